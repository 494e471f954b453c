// The worker as a Lambda function behind the queue: docs/AWS.md, "As a Lambda function".
import { Duration } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import { Construct } from "constructs";
import { Store } from "./store.js";
import { type Architecture } from "./task.js";

/** The longest that a function works on an event; calls are cut short 3 s before it. */
export const FUNCTION_TIMEOUT = Duration.seconds(30);
/** What Lambda asks of the queue: six times as much ("Creating and configuring an Amazon SQS event source mapping"). */
export const FUNCTION_VISIBILITY = Duration.seconds(6 * FUNCTION_TIMEOUT.toSeconds());

export interface WorkerFunctionProps {
  /** The zip file with `bootstrap` and the program. */
  code: lambda.Code;
  architecture: Architecture;
  environment: Record<string, string>;
  role: iam.Role;
  log: logs.ILogGroup;
  store: Store;
  /** Most events at once; at least 2. */
  concurrency: number;
}

export class WorkerFunction extends Construct {
  readonly function: lambda.Function;

  constructor(scope: Construct, id: string, props: WorkerFunctionProps) {
    super(scope, id);
    const { ARM_64, X86_64 } = lambda.Architecture;
    this.function = new lambda.Function(this, "Function", {
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: "bootstrap",
      code: props.code,
      architecture: props.architecture === "arm64" ? ARM_64 : X86_64,
      memorySize: 512,
      timeout: FUNCTION_TIMEOUT,
      role: props.role,
      logGroup: props.log,
      environment: props.environment,
    });
    this.function.addEventSource(
      new SqsEventSource(props.store.jobs, {
        batchSize: 10,
        reportBatchItemFailures: true,
        maxConcurrency: props.concurrency,
      }),
    );
    props.log.grantWrite(props.role);
  }
}
