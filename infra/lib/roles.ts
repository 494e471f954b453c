// Who may do what: docs/AWS.md, "Rights". No role has both the right to open and the right to write secrets.
import * as iam from "aws-cdk-lib/aws-iam";
import { Construct } from "constructs";
import { Store } from "./store.js";
import { TABLES } from "./tables.js";

const READ = ["dynamodb:GetItem", "dynamodb:Query"];
const WRITE = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"];
/** What a command needs that lists, reads and writes a table. */
const KEEP = [...READ, ...WRITE, "dynamodb:Scan"];
/** What those need who look dead letters up, and send them again. */
const DEAD_LETTERS = [
  ...READ, ...WRITE, "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem",
];

export interface RolesProps {
  store: Store;
  /** Who runs the API and administers: the account itself without it. */
  administrators?: iam.IPrincipal;
  /** Whether the worker is a function of Lambda, and not a task of ECS. */
  asFunction?: boolean;
}

export class Roles extends Construct {
  /** Opens secrets and calls endpoints; writes neither secrets nor endpoints. */
  readonly worker: iam.Role;
  /** Serves the HTTP API: writes secrets, and never reads one back. */
  readonly api: iam.Role;
  /** Runs the commands for people; the same rights as the API. */
  readonly administrator: iam.Role;
  /** Binds rows that other programs wrote (`sealpost secret rewrap`), and nothing else. */
  readonly rewrapper: iam.Role;

  constructor(scope: Construct, id: string, { store, administrators, asFunction }: RolesProps) {
    super(scope, id);
    const tasks = new iam.ServicePrincipal("ecs-tasks.amazonaws.com");
    const people = administrators ?? new iam.AccountRootPrincipal();
    const functions = new iam.ServicePrincipal("lambda.amazonaws.com");
    this.worker = new iam.Role(this, "Worker", { assumedBy: asFunction ? functions : tasks });
    this.api = new iam.Role(this, "Api", { assumedBy: tasks });
    this.administrator = new iam.Role(this, "Administrator", { assumedBy: people });
    this.rewrapper = new iam.Role(this, "Rewrapper", { assumedBy: people });
    this.grantWorker(store);
    for (const role of [this.api, this.administrator]) grantWriter(role, store);
    this.grantRewrapper(store);
  }

  private grantWorker(store: Store): void {
    const { worker } = this;
    allow(worker, READ, ...arns(store, "secrets", "endpoints", "health"));
    allow(worker, ["dynamodb:UpdateItem"], ...arns(store, "health"));
    allow(worker, DEAD_LETTERS, ...arns(store, "deliveries"));
    allow(worker, ["kms:Decrypt"], store.key.keyArn);
    consume(worker, store);
  }

  private grantRewrapper(store: Store): void {
    const { rewrapper } = this;
    const secrets = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"];
    allow(rewrapper, secrets, ...arns(store, "secrets"));
    allow(rewrapper, ["dynamodb:Query"], ...arns(store, "endpoints"));
    allow(rewrapper, ["kms:ReEncryptFrom", "kms:ReEncryptTo"], store.key.keyArn);
    allow(rewrapper, ["sqs:GetQueueAttributes"], store.jobs.queueArn, store.deadLetters.queueArn);
  }
}

/** The API and the administrators' commands. */
function grantWriter(role: iam.Role, store: Store): void {
  allow(role, KEEP, ...arns(store, "secrets", "endpoints", "control"));
  allow(role, [...READ, "dynamodb:UpdateItem"], ...arns(store, "health"));
  allow(role, DEAD_LETTERS, ...arns(store, "deliveries"));
  allow(role, ["kms:Encrypt", "kms:GenerateDataKey"], store.key.keyArn);
  consume(role, store);
  const moves = ["sqs:StartMessageMoveTask", "sqs:ListMessageMoveTasks", "sqs:CancelMessageMoveTask"];
  allow(role, moves, store.deadLetters.queueArn);
}

/** Sends to the queues, and receives from both: a replay takes its letters out of the dead-letter queue. */
function consume(role: iam.Role, store: Store): void {
  const actions = [
    "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
  ];
  allow(role, actions, store.jobs.queueArn, store.deadLetters.queueArn);
}

/** The ARNs of tables, and of each of their indexes. */
function arns(store: Store, ...names: string[]): string[] {
  return TABLES.filter(({ name }) => names.includes(name)).flatMap(({ name, indexes }) => {
    const { tableArn } = store.table(name);
    return [tableArn, ...indexes.map((index) => `${tableArn}/index/${index.name}`)];
  });
}

function allow(role: iam.Role, actions: string[], ...resources: string[]): void {
  role.addToPolicy(new iam.PolicyStatement({ actions, resources }));
}
