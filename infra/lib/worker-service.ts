// Workers on Fargate, as many as the backlog wants.
import { Duration } from "aws-cdk-lib";
import * as scaling from "aws-cdk-lib/aws-applicationautoscaling";
import * as ecs from "aws-cdk-lib/aws-ecs";
import { Construct } from "constructs";
import { Network } from "./network.js";
import { Store } from "./store.js";
import { closed, task, type TaskProps } from "./task.js";

export interface WorkerServiceProps extends Omit<TaskProps, "command" | "cpu" | "memory"> {
  cluster: ecs.ICluster;
  network: Network;
  store: Store;
  /** At least and at most so many. */
  tasks: [number, number];
}

/** Jobs that wait for each worker, when there are as many workers as are wanted. */
export const BACKLOG_PER_TASK = 1_000;

export class WorkerService extends Construct {
  readonly service: ecs.FargateService;

  constructor(scope: Construct, id: string, props: WorkerServiceProps) {
    super(scope, id);
    const [least, most] = props.tasks;
    const { cluster, network, store } = props;
    this.service = new ecs.FargateService(this, "Service", {
      cluster,
      taskDefinition: task(this, "Worker", { ...props, command: ["worker"], cpu: 512, memory: 1024 }),
      desiredCount: least,
      // Workers share the queue: new ones may begin before old ones have ended, and none is missing meanwhile.
      minHealthyPercent: 100,
      maxHealthyPercent: 200,
      circuitBreaker: { rollback: true },
      vpcSubnets: network.subnets,
      assignPublicIp: network.hasPublicAddresses,
      securityGroups: [closed(this, "Group", network.vpc, "Workers of sealpost: they call out, and nobody calls them")],
    });
    this.scale(cluster, store, least, most);
  }

  /** Target tracking on the jobs that wait, divided by the workers that run. */
  private scale(cluster: ecs.ICluster, store: Store, least: number, most: number): void {
    const target = new scaling.ScalableTarget(this, "Tasks", {
      serviceNamespace: scaling.ServiceNamespace.ECS,
      scalableDimension: "ecs:service:DesiredCount",
      resourceId: `service/${cluster.clusterName}/${this.service.serviceName}`,
      minCapacity: least,
      maxCapacity: most,
    });
    const metric = (id: string, namespace: string, metricName: string, dimensions: Record<string, string>, stat: string) => ({
      id,
      returnData: false,
      metricStat: {
        metric: {
          namespace, metricName,
          dimensions: Object.entries(dimensions).map(([name, value]) => ({ name, value })),
        },
        stat,
      },
    });
    new scaling.CfnScalingPolicy(this, "Backlog", {
      policyName: `${this.node.addr}-backlog`,
      policyType: "TargetTrackingScaling",
      scalingTargetId: target.scalableTargetId,
      targetTrackingScalingPolicyConfiguration: {
        targetValue: BACKLOG_PER_TASK,
        scaleOutCooldown: Duration.minutes(1).toSeconds(),
        scaleInCooldown: Duration.minutes(5).toSeconds(),
        customizedMetricSpecification: {
          metrics: [
            metric("waiting", "AWS/SQS", "ApproximateNumberOfMessagesVisible", { QueueName: store.jobs.queueName }, "Average"),
            metric("running", "ECS/ContainerInsights", "RunningTaskCount", {
              ClusterName: cluster.clusterName, ServiceName: this.service.serviceName,
            }, "Average"),
            { id: "backlog", expression: "waiting / MAX([running, 1])", label: "Jobs that wait for each worker" },
          ],
        },
      },
    });
  }
}
