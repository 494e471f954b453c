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

/** What a worker may do beyond its own tables, queues and key, by ARN. */
export interface WorkerMay {
  /**
   * KMS keys with which other programs sealed values without an encryption context (`aws.legacy_kms_key_ids`). They are
   * opened with these alone: the stack's own key refuses whatever has no context. Their own policies must allow it, too.
   */
  legacyKeys?: string[];
  /** Roles that endpoints may sign as (`auth.aws_assumable_roles`). Their trust policies must name the worker's role. */
  assumeRoles?: string[];
  /** Secrets of AWS Secrets Manager that references lead to (`secrets.references`). */
  readSecrets?: string[];
  /** Parameters of AWS Systems Manager that references lead to. */
  readParameters?: string[];
}

export interface RolesProps {
  store: Store;
  /** What the worker may do beyond its own: nothing by default. */
  workerMay?: WorkerMay;
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

  constructor(scope: Construct, id: string, { store, administrators, asFunction, workerMay = {} }: RolesProps) {
    super(scope, id);
    const tasks = new iam.ServicePrincipal("ecs-tasks.amazonaws.com");
    const people = administrators ?? new iam.AccountRootPrincipal();
    const functions = new iam.ServicePrincipal("lambda.amazonaws.com");
    this.worker = new iam.Role(this, "Worker", { assumedBy: asFunction ? functions : tasks });
    this.api = new iam.Role(this, "Api", { assumedBy: tasks });
    this.administrator = new iam.Role(this, "Administrator", { assumedBy: people });
    this.rewrapper = new iam.Role(this, "Rewrapper", { assumedBy: people });
    this.grantWorker(store);
    this.grantMore(workerMay);
    for (const role of [this.api, this.administrator]) grantWriter(role, store);
    this.grantRewrapper(store, workerMay.legacyKeys ?? []);
  }

  private grantWorker(store: Store): void {
    const { worker } = this;
    allow(worker, READ, ...arns(store, "secrets", "endpoints", "health"));
    allow(worker, ["dynamodb:UpdateItem"], ...arns(store, "health"));
    allow(worker, DEAD_LETTERS, ...arns(store, "deliveries"));
    allow(worker, ["kms:Decrypt"], store.key.keyArn);
    consume(worker, store);
  }

  /** A statement for each kind, and none for what nothing is named of. */
  private grantMore({ legacyKeys, assumeRoles, readSecrets, readParameters }: WorkerMay): void {
    const { worker } = this;
    allowNamed(worker, "kms:Decrypt", LEGACY_KEY, legacyKeys);
    allowNamed(worker, "sts:AssumeRole", ROLE, assumeRoles);
    allowNamed(worker, "secretsmanager:GetSecretValue", SECRET, readSecrets);
    allowNamed(worker, "ssm:GetParameter", PARAMETER, readParameters);
  }

  private grantRewrapper(store: Store, legacyKeys: string[]): void {
    const { rewrapper } = this;
    const secrets = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"];
    allow(rewrapper, secrets, ...arns(store, "secrets"));
    allow(rewrapper, ["dynamodb:Query"], ...arns(store, "endpoints"));
    allow(rewrapper, ["kms:ReEncryptTo"], store.key.keyArn);
    allowNamed(rewrapper, "kms:ReEncryptFrom", LEGACY_KEY, legacyKeys);
    allow(rewrapper, ["sqs:GetQueueAttributes"], store.jobs.queueArn, store.deadLetters.queueArn);
  }
}

/** The API and the administrators' commands. */
function grantWriter(role: iam.Role, store: Store): void {
  allow(role, KEEP, ...arns(store, "secrets", "endpoints", "control"));
  // Rows of `health` go when a customer is erased.
  allow(role, [...READ, "dynamodb:UpdateItem", "dynamodb:DeleteItem"], ...arns(store, "health"));
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

/** An ARN of one kind: account and what it begins with are named, only the rest of a name may be a pattern. */
const named = (service: string, resource: string): RegExp =>
  new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]*:\\d{12}:${resource}[^*?]`);
const LEGACY_KEY = { is: "a KMS key's", form: /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/ };
const ROLE = { is: "a role's", form: named("iam", "role/") };
const SECRET = { is: "a secret's", form: named("secretsmanager", "secret:") };
const PARAMETER = { is: "a parameter's", form: named("ssm", "parameter/") };

function allowNamed(
  role: iam.Role, action: string, { is, form }: { is: string; form: RegExp }, arns: string[] = [],
): void {
  for (const arn of arns) {
    if (!form.test(arn)) throw new Error(`${action}: expected ${is} ARN with its account and a name, found ${arn}`);
  }
  if (arns.length > 0) allow(role, [action], ...arns);
}

function allow(role: iam.Role, actions: string[], ...resources: string[]): void {
  role.addToPolicy(new iam.PolicyStatement({ actions, resources }));
}
