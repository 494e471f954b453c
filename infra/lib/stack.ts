// The whole of it as one stack.
import { CfnOutput, Stack, type StackProps } from "aws-cdk-lib";
import { Construct } from "constructs";
import { Alarms } from "./alarms.js";
import { Compute, type ComputeOptions } from "./compute.js";
import { Roles, type WorkerMay } from "./roles.js";
import { Store } from "./store.js";
import { FUNCTION_VISIBILITY } from "./worker-function.js";

export interface SealpostProps extends StackProps {
  /** What the names of tables begin with. */
  tablePrefix?: string;
  /** What the worker may do beyond its own tables, queues and key: nothing by default. */
  workerMay?: WorkerMay;
  /** What runs. */
  compute?: ComputeOptions;
  /** Whether the queues keep order. */
  fifo?: boolean;
}

export class SealpostStack extends Stack {
  readonly store: Store;
  readonly roles: Roles;
  readonly alarms: Alarms;

  constructor(scope: Construct, id: string, props: SealpostProps = {}) {
    super(scope, id, props);
    const { tablePrefix = "sealpost-", fifo = false, compute = {}, workerMay = {} } = props;
    const asFunction = compute.worker === "lambda";
    if (asFunction && fifo) throw new Error("order is kept by workers: choose another worker than lambda for FIFO queues");
    const visibility = asFunction ? { visibility: FUNCTION_VISIBILITY } : {};
    this.store = new Store(this, "Store", { tablePrefix, fifo, ...visibility });
    this.roles = new Roles(this, "Roles", { store: this.store, asFunction, workerMay });
    this.alarms = new Alarms(this, "Alarms", this.store);
    new Compute(this, "Compute", {
      ...compute, store: this.store, roles: this.roles, log: this.alarms.log, tablePrefix,
    });
    const { jobs, deadLetters, key } = this.store;
    // What goes into `[aws]` of the configuration.
    const outputs = { QueueUrl: jobs.queueUrl, DeadLetterQueueUrl: deadLetters.queueUrl, KmsKeyId: key.keyArn };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
    for (const [name, role] of Object.entries({
      WorkerRole: this.roles.worker, ApiRole: this.roles.api,
      AdministratorRole: this.roles.administrator, RewrapperRole: this.roles.rewrapper,
    })) {
      new CfnOutput(this, name, { value: role.roleArn });
    }
  }
}
