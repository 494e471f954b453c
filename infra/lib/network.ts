// A network of its own. Customers' firewalls want to know where calls come from: with a fixed address, all leave
// through one NAT gateway, whose address does not change.
import { CfnOutput } from "aws-cdk-lib";
import * as ec2 from "aws-cdk-lib/aws-ec2";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";

export class Network extends Construct {
  readonly vpc: ec2.Vpc;
  /** Where processes run. */
  readonly subnets: ec2.SubnetSelection;
  /** Whether they have addresses of their own, in place of a gateway's. */
  readonly hasPublicAddresses: boolean;

  constructor(scope: Construct, id: string, fixedAddress: boolean) {
    super(scope, id);
    const address = fixedAddress ? new ec2.CfnEIP(this, "Address") : undefined;
    this.vpc = new ec2.Vpc(this, "Vpc", {
      maxAzs: 2,
      restrictDefaultSecurityGroup: false,
      natGateways: address ? 1 : 0,
      ...(address && { natGatewayProvider: ec2.NatProvider.gateway({ eipAllocationIds: [address.attrAllocationId] }) }),
      subnetConfiguration: [
        { name: "public", subnetType: ec2.SubnetType.PUBLIC, mapPublicIpOnLaunch: false },
        ...(address ? [{ name: "private", subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }] : []),
      ],
      // Calls of DynamoDB do not leave AWS's network, nor pay for the gateway.
      gatewayEndpoints: { DynamoDb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB } },
      flowLogs: {
        Rejected: {
          trafficType: ec2.FlowLogTrafficType.REJECT,
          destination: ec2.FlowLogDestination.toCloudWatchLogs(
            new logs.LogGroup(this, "FlowLog", { retention: logs.RetentionDays.ONE_MONTH }),
          ),
        },
      },
    });
    this.hasPublicAddresses = !address;
    this.subnets = { subnetType: address ? ec2.SubnetType.PRIVATE_WITH_EGRESS : ec2.SubnetType.PUBLIC };
    if (address) new CfnOutput(this, "EgressAddress", { value: address.ref });
  }
}
