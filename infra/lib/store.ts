// What sealpost keeps on AWS: the queue and its dead-letter queue, the five tables, and the key.
import { Duration, RemovalPolicy, Validations } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { TABLES } from "./tables.js";

/** The most that a message may have, in bytes ("Amazon SQS message quotas"). */
const MAX_MESSAGE = 1_048_576;
/** Receipts after which SQS itself moves a message that nobody settles to the dead letters. */
const MAX_RECEIVES = 10;

/** A FIFO queue of high throughput ("High throughput for FIFO queues in Amazon SQS"). */
const IN_ORDER: sqs.QueueProps = {
  fifo: true,
  deduplicationScope: sqs.DeduplicationScope.MESSAGE_GROUP,
  fifoThroughputLimit: sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
};

export interface StoreProps {
  /** What the names of tables begin with; `table_prefix` under `[aws]`. */
  tablePrefix: string;
  /** How long a received message is hidden from other workers; they renew it. */
  visibility?: Duration;
  /** Whether the queues keep order (`orderingGroup` of a job). False by default. */
  fifo?: boolean;
}

/** The queues, tables and key. Deleting the stack leaves tables and key where they are. */
export class Store extends Construct {
  readonly jobs: sqs.Queue;
  readonly deadLetters: sqs.Queue;
  readonly tables: Record<string, dynamodb.TableV2> = {};
  readonly key: kms.Key;

  constructor(scope: Construct, id: string, props: StoreProps) {
    super(scope, id);
    const kind: sqs.QueueProps = props.fifo ? IN_ORDER : {};
    this.deadLetters = new sqs.Queue(this, "DeadLetters", {
      // Dead letters stay as long as SQS can keep them: the index outlives them otherwise.
      retentionPeriod: Duration.days(14),
      maxMessageSizeBytes: MAX_MESSAGE,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.RETAIN,
      ...kind,
    });
    this.jobs = new sqs.Queue(this, "Jobs", {
      visibilityTimeout: props.visibility ?? Duration.seconds(30),
      retentionPeriod: Duration.days(14),
      maxMessageSizeBytes: MAX_MESSAGE,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.RETAIN,
      ...kind,
      ...(!props.fifo && { deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: MAX_RECEIVES } }),
    });
    if (props.fifo) {
      // Receipts count returns there, too, and those of the jobs that wait for others of their group.
      const reason = "the worker dead-letters by itself; SQS would move jobs that only wait for their turn";
      for (const queue of [this.jobs, this.deadLetters]) {
        Validations.of(queue).acknowledge({ id: "AwsSolutions-SQS3", reason });
      }
    }
    for (const { name, key, indexes, ttl } of TABLES) {
      this.tables[name] = new dynamodb.TableV2(this, capitalised(name), {
        tableName: `${props.tablePrefix}${name}`,
        partitionKey: text(key[0]),
        sortKey: text(key[1]),
        globalSecondaryIndexes: indexes.map((index) => ({
          indexName: index.name,
          partitionKey: text(index.key[0]),
          sortKey: text(index.key[1]),
          projectionType: dynamodb.ProjectionType.INCLUDE,
          nonKeyAttributes: index.projected,
        })),
        billing: dynamodb.Billing.onDemand(),
        pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
        deletionProtection: true,
        removalPolicy: RemovalPolicy.RETAIN,
        ...(ttl && { timeToLiveAttribute: "ttl" }),
      });
    }
    this.key = new kms.Key(this, "Key", {
      description: "Seals the secrets of sealpost's customers",
      enableKeyRotation: true,
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.demandContext();
  }

  /** Nobody wraps or unwraps anything that is bound to nothing, whatever their own policies say. */
  private demandContext(): void {
    this.key.addToResourcePolicy(
      new iam.PolicyStatement({
        sid: "OnlyWithAnEncryptionContext",
        effect: iam.Effect.DENY,
        principals: [new iam.AnyPrincipal()],
        actions: ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncryptTo"],
        resources: ["*"],
        conditions: { Null: { "kms:EncryptionContext:purpose": "true" } },
      }),
    );
  }

  table(name: string): dynamodb.TableV2 {
    const table = this.tables[name];
    if (!table) throw new Error(`there is no table ${name}`);
    return table;
  }
}

function text(name: string): dynamodb.Attribute {
  return { name, type: dynamodb.AttributeType.STRING };
}

function capitalised(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
