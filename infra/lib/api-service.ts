// The HTTP API on Fargate behind a load balancer, over TLS alone.
import { CfnOutput, Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as acm from "aws-cdk-lib/aws-certificatemanager";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as ecs from "aws-cdk-lib/aws-ecs";
import * as elb from "aws-cdk-lib/aws-elasticloadbalancingv2";
import * as iam from "aws-cdk-lib/aws-iam";
import * as s3 from "aws-cdk-lib/aws-s3";
import { Construct } from "constructs";
import { Network } from "./network.js";
import { closed, task, type TaskProps } from "./task.js";

const PORT = 8080;

export interface ApiServiceProps extends Omit<TaskProps, "command" | "cpu" | "memory" | "port"> {
  cluster: ecs.ICluster;
  network: Network;
  /** The ARN of the certificate of the API's name. */
  certificate: string;
  /** Who may connect, as address ranges; the network itself without them. */
  callers: string[];
}

export class ApiService extends Construct {
  readonly balancer: elb.ApplicationLoadBalancer;

  constructor(scope: Construct, id: string, props: ApiServiceProps) {
    super(scope, id);
    const { cluster, network } = props;
    const environment = { ...props.environment, SEALPOST_API_LISTEN: `0.0.0.0:${PORT}` };
    const group = closed(this, "Group", network.vpc, "The API of sealpost: its load balancer alone calls it");
    const service = new ecs.FargateService(this, "Service", {
      cluster,
      taskDefinition: task(this, "Api", {
        ...props, environment, command: ["api"], cpu: 256, memory: 512, port: PORT,
      }),
      desiredCount: 2,
      minHealthyPercent: 100,
      circuitBreaker: { rollback: true },
      vpcSubnets: network.subnets,
      assignPublicIp: network.hasPublicAddresses,
      securityGroups: [group],
    });
    this.balancer = this.balance(props);
    const listener = this.balancer.addListener("Tls", {
      protocol: elb.ApplicationProtocol.HTTPS,
      certificates: [acm.Certificate.fromCertificateArn(this, "Certificate", props.certificate)],
      sslPolicy: elb.SslPolicy.RECOMMENDED_TLS,
      open: false,
    });
    listener.addTargets("Api", {
      port: PORT,
      protocol: elb.ApplicationProtocol.HTTP,
      targets: [service],
      deregistrationDelay: Duration.seconds(30),
      healthCheck: { path: "/readyz", interval: Duration.seconds(10), healthyThresholdCount: 2 },
    });
    new CfnOutput(this, "Name", { value: this.balancer.loadBalancerDnsName });
  }

  private balance({ network, callers }: ApiServiceProps): elb.ApplicationLoadBalancer {
    const own = new ec2.SecurityGroup(this, "Callers", {
      vpc: network.vpc,
      description: "Who may call the API of sealpost",
      allowAllOutbound: false,
    });
    const ranges = callers.length ? callers : [network.vpc.vpcCidrBlock];
    for (const range of ranges) own.addIngressRule(ec2.Peer.ipv4(range), ec2.Port.tcp(443));
    const balancer = new elb.ApplicationLoadBalancer(this, "Balancer", {
      vpc: network.vpc,
      internetFacing: callers.length > 0,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      securityGroup: own,
      dropInvalidHeaderFields: true,
      deletionProtection: true,
    });
    const log = new s3.Bucket(this, "AccessLog", {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      lifecycleRules: [{ expiration: Duration.days(90) }],
      removalPolicy: RemovalPolicy.RETAIN,
      serverAccessLogsPrefix: "own/",
    });
    // By hand: the construct wants to know the region, for those that had a way of their own before 2022.
    log.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal("logdelivery.elasticloadbalancing.amazonaws.com")],
        actions: ["s3:PutObject"],
        resources: [log.arnForObjects(`api/AWSLogs/${Stack.of(this).account}/*`)],
      }),
    );
    balancer.setAttribute("access_logs.s3.enabled", "true");
    balancer.setAttribute("access_logs.s3.bucket", log.bucketName);
    balancer.setAttribute("access_logs.s3.prefix", "api");
    if (log.policy) balancer.node.addDependency(log.policy);
    return balancer;
  }
}
