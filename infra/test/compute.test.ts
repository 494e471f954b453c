// What runs: workers and the API on Fargate, or a function, with no more rights and ways in than they need.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { stackProps } from "../lib/context.js";
import { FUNCTION_TIMEOUT } from "../lib/worker-function.js";
import { Policies, text } from "./policies.js";

type Json = Record<string, any>;

function variant(name: string): Policies {
  const context: Json = JSON.parse(readFileSync(new URL(`../variants/${name}.json`, import.meta.url), "utf8"));
  return new Policies(stackProps((key) => context[key]));
}

const [fargate, lambda] = [variant("fargate"), variant("lambda")];

function all({ template }: Policies, type: string): Json[] {
  return Object.values<Json>(template.Resources).filter((r) => r.Type === type).map((r) => r.Properties);
}

function only(of: Policies, type: string): Json {
  const found = all(of, type);
  assert.equal(found.length, 1, type);
  return found[0]!;
}

test("nothing runs unless it is asked for", () => {
  const bare = new Policies();
  for (const type of ["AWS::ECS::Service", "AWS::Lambda::Function", "AWS::EC2::VPC"]) {
    assert.deepEqual(all(bare, type), [], type);
  }
});

test("a task has no root, no writable disk, and time to settle what it has in hand", () => {
  const tasks = all(fargate, "AWS::ECS::TaskDefinition");
  assert.equal(tasks.length, 2);
  for (const { ContainerDefinitions: [container], RuntimePlatform: platform } of tasks) {
    assert.equal(container.User, "65532");
    assert.equal(container.ReadonlyRootFilesystem, true);
    assert.equal(container.StopTimeout, 60);
    assert.equal(container.Image, "registry.example/sealpost:0.1.0");
    assert.equal(platform.CpuArchitecture, "ARM64");
  }
});

test("processes are told where queues, tables and key are", () => {
  const variables = all(fargate, "AWS::ECS::TaskDefinition").map(({ ContainerDefinitions: [container] }) =>
    Object.fromEntries(container.Environment.map(({ Name, Value }: Json) => [Name, Value])),
  );
  const ofFunction = only(lambda, "AWS::Lambda::Function").Environment.Variables;
  for (const given of [...variables, ofFunction]) {
    for (const name of ["QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "KMS_KEY_ID"]) {
      assert.ok(text(given[`SEALPOST_AWS_${name}`]), name);
    }
    assert.equal(given.SEALPOST_AWS_TABLE_PREFIX, "sealpost-");
  }
  assert.deepEqual(variables.map((v) => v.SEALPOST_API_LISTEN).sort(), ["0.0.0.0:8080", undefined]);
});

test("workers are as many as the jobs that wait for each of them want", () => {
  const policy = only(fargate, "AWS::ApplicationAutoScaling::ScalingPolicy");
  const tracking = policy.TargetTrackingScalingPolicyConfiguration;
  assert.equal(tracking.TargetValue, 1000);
  const metrics = tracking.CustomizedMetricSpecification.Metrics;
  const names = metrics.map((m: Json) => m.MetricStat?.Metric.MetricName ?? m.Expression);
  assert.deepEqual(names, ["ApproximateNumberOfMessagesVisible", "RunningTaskCount", "waiting / MAX([running, 1])"]);
  assert.deepEqual(metrics.map((m: Json) => m.ReturnData !== false), [false, false, true]);
  const { MinCapacity, MaxCapacity } = only(fargate, "AWS::ApplicationAutoScaling::ScalableTarget");
  assert.deepEqual([MinCapacity, MaxCapacity], [2, 20]);
});

test("a new version takes over while the old one still works, and is taken back if it does not start", () => {
  for (const { DeploymentConfiguration: deployment } of all(fargate, "AWS::ECS::Service")) {
    assert.equal(deployment.MinimumHealthyPercent, 100);
    assert.deepEqual(deployment.DeploymentCircuitBreaker, { Enable: true, Rollback: true });
  }
});

test("all calls leave from one address that does not change", () => {
  const gateway = only(fargate, "AWS::EC2::NatGateway");
  const address = fargate.id("AWS::EC2::EIP", "ComputeNetworkAddress");
  assert.equal(gateway.AllocationId["Fn::GetAtt"][0], address);
  const outputs = Object.entries<Json>(fargate.template.Outputs);
  const [, output] = outputs.find(([name]) => name.startsWith("ComputeNetworkEgressAddress"))!;
  assert.equal(text(output.Value), address);
  for (const { NetworkConfiguration: network } of all(fargate, "AWS::ECS::Service")) {
    assert.equal(network.AwsvpcConfiguration.AssignPublicIp, "DISABLED");
  }
});

test("the API takes TLS alone, from those who are named, and its tasks from the balancer alone", () => {
  const listener = only(fargate, "AWS::ElasticLoadBalancingV2::Listener");
  assert.deepEqual([listener.Port, listener.Protocol], [443, "HTTPS"]);
  const groups = all(fargate, "AWS::EC2::SecurityGroup");
  const open = groups.flatMap((group) => group.SecurityGroupIngress ?? []);
  assert.deepEqual(open.map((rule: Json) => [rule.CidrIp, rule.FromPort]), [["203.0.113.0/24", 443]]);
  const between = all(fargate, "AWS::EC2::SecurityGroupIngress");
  assert.equal(between.length, 1);
  assert.ok(between[0]!.SourceSecurityGroupId && !between[0]!.CidrIp);
  assert.equal(only(fargate, "AWS::ElasticLoadBalancingV2::TargetGroup").HealthCheckPath, "/readyz");
});

test("the function answers with what it could not settle, and the queue hides messages six times as long", () => {
  const mapping = only(lambda, "AWS::Lambda::EventSourceMapping");
  assert.deepEqual(mapping.FunctionResponseTypes, ["ReportBatchItemFailures"]);
  assert.equal(mapping.BatchSize, 10);
  assert.equal(mapping.ScalingConfig.MaximumConcurrency, 20);
  const { Runtime, Handler, Timeout, Architectures, Code } = only(lambda, "AWS::Lambda::Function");
  assert.deepEqual([Runtime, Handler, Architectures], ["provided.al2023", "bootstrap", ["x86_64"]]);
  assert.deepEqual(Code, { S3Bucket: "releases-of-sealpost", S3Key: "sealpost-0.1.0.zip" });
  assert.equal(Timeout, FUNCTION_TIMEOUT.toSeconds());
  const jobs = lambda.template.Resources[lambda.id("AWS::SQS::Queue", "StoreJobs")].Properties;
  assert.equal(jobs.VisibilityTimeout, 6 * Timeout);
});

test("neither way to run gives the worker more than its role, but to write its log", () => {
  const actions = (of: Policies) => of.statements("RolesWorker").flatMap((s) => s.Action).sort();
  const bare = actions(new Policies());
  assert.deepEqual(actions(fargate), bare);
  const more = [...new Set(actions(lambda))].filter((action) => !bare.includes(action));
  assert.deepEqual(more.sort(), ["logs:CreateLogStream", "logs:PutLogEvents", "sqs:GetQueueUrl"]);
  for (const forbidden of ["kms:Encrypt", "kms:GenerateDataKey"]) {
    assert.ok(!lambda.may("RolesWorker", { action: forbidden, resource: lambda.id("AWS::KMS::Key", "StoreKey") }));
  }
});

test("what is misspelt on the command line is refused", () => {
  const with_ = (given: Json) => () => new Policies(stackProps((key) => given[key]));
  assert.throws(with_({ worker: "ec2" }), /worker is ec2: expected fargate or lambda/);
  assert.throws(with_({ worker: "lambda", functionCode: "a/b", fifo: "true" }), /order is kept by workers/);
  assert.throws(with_({ worker: "fargate" }), /need `image`/);
  assert.throws(with_({ worker: "lambda" }), /needs `functionCode`/);
});

test("every variant is tried here", () => {
  assert.deepEqual(readdirSync(new URL("../variants", import.meta.url)).sort(), ["fargate.json", "lambda.json"]);
});
