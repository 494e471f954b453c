// A process on Fargate: no root, no writable disk, its log in the log group.
import { Duration, Validations } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as iam from "aws-cdk-lib/aws-iam";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";

export type Architecture = "arm64" | "x86_64";

export interface TaskProps {
  /** The container image, with its tag or digest. */
  image: string;
  architecture: Architecture;
  command: string[];
  environment: Record<string, string>;
  role: iam.IRole;
  log: logs.ILogGroup;
  /** In units of a thousand and twenty-fourth of a core, and MiB ("Amazon ECS task definition parameters"). */
  cpu: number;
  memory: number;
  port?: number;
}

/** The user of the image (Dockerfile). */
const USER = "65532";
/** Longer than `worker.drain`: the process settles what it has in hand before it is killed. */
export const STOP_TIMEOUT = Duration.seconds(60);

export function task(scope: Construct, id: string, props: TaskProps): ecs.FargateTaskDefinition {
  const { ARM64, X86_64 } = ecs.CpuArchitecture;
  const definition = new ecs.FargateTaskDefinition(scope, id, {
    cpu: props.cpu,
    memoryLimitMiB: props.memory,
    taskRole: props.role,
    runtimePlatform: {
      cpuArchitecture: props.architecture === "arm64" ? ARM64 : X86_64,
      operatingSystemFamily: ecs.OperatingSystemFamily.LINUX,
    },
  });
  definition.addContainer("sealpost", {
    image: ecs.ContainerImage.fromRegistry(props.image),
    command: props.command,
    environment: props.environment,
    user: USER,
    readonlyRootFilesystem: true,
    stopTimeout: STOP_TIMEOUT,
    logging: ecs.LogDrivers.awsLogs({ logGroup: props.log, streamPrefix: id }),
    ...(props.port && { portMappings: [{ containerPort: props.port }] }),
  });
  Validations.of(definition).acknowledge({
    id: "AwsSolutions::AwsSolutions-ECS2",
    reason: "The variables name the queues, tables and key, and no secret: the task's role is what opens them.",
  });
  return definition;
}

/** A group of which nothing comes in unless somebody is let in. */
export function closed(scope: Construct, id: string, vpc: ec2.IVpc, description: string): ec2.SecurityGroup {
  return new ec2.SecurityGroup(scope, id, { vpc, description, allowAllOutbound: true });
}
