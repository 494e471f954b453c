// What runs: workers on Fargate or as a function, and the API, in a network of their own.
import { Stack } from "aws-cdk-lib";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import * as s3 from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import { ApiService } from "./api-service.js";
import { Network } from "./network.js";
import { Roles } from "./roles.js";
import { settings } from "./settings.js";
import { Store } from "./store.js";
import { type Architecture } from "./task.js";
import { WorkerFunction } from "./worker-function.js";
import { WorkerService } from "./worker-service.js";

/** What runs; nothing by default, for those who run it elsewhere. */
export interface ComputeOptions {
  /** Workers on Fargate, or a Lambda function behind the queue. */
  worker?: "fargate" | "lambda";
  /** The container image of workers on Fargate and of the API. */
  image?: string;
  /** The zip file of the function: its bucket and key. */
  functionCode?: { bucket: string; key: string };
  architecture?: Architecture;
  /** At least and at most so many workers on Fargate; events at once of the function are the larger one. */
  tasks?: [number, number];
  /** The API, with the ARN of its certificate and who may call it from outside the network. */
  api?: { certificate: string; callers: string[] };
  /** Whether all calls leave from one address that does not change. */
  fixedAddress?: boolean;
}

export interface ComputeProps extends ComputeOptions {
  store: Store;
  roles: Roles;
  log: logs.ILogGroup;
  tablePrefix: string;
}

export class Compute extends Construct {
  constructor(scope: Construct, id: string, props: ComputeProps) {
    super(scope, id);
    const { store, roles, log, architecture = "arm64", tasks = [2, 20] } = props;
    const environment = settings(store, props.tablePrefix);
    if (props.worker === "lambda") {
      new WorkerFunction(this, "Function", {
        code: this.code(props), architecture, environment, role: roles.worker, log, store, concurrency: tasks[1],
      });
    }
    if (props.worker !== "fargate" && !props.api) return;
    const { image } = props;
    if (!image) throw new Error("workers on Fargate and the API need `image`");
    const network = new Network(this, "Network", props.fixedAddress ?? false);
    const cluster = new ecs.Cluster(this, "Cluster", {
      vpc: network.vpc,
      // Counts the tasks that run, by which workers are scaled.
      containerInsightsV2: ecs.ContainerInsights.ENABLED,
    });
    const common = { cluster, network, image, architecture, environment, log };
    if (props.worker === "fargate") {
      new WorkerService(this, "Workers", { ...common, store, tasks, role: roles.worker });
    }
    if (props.api) new ApiService(this, "Api", { ...common, ...props.api, role: roles.api });
  }

  private code({ functionCode }: ComputeProps): lambda.Code {
    if (!functionCode) throw new Error(`a function in ${Stack.of(this).stackName} needs \`functionCode\``);
    const bucket = s3.Bucket.fromBucketName(this, "Code", functionCode.bucket);
    return lambda.Code.fromBucketV2(bucket, functionCode.key);
  }
}
