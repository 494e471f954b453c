// What is deployed: nothing can be lost with the stack, and the queues are set up as a worker wants them.
import assert from "node:assert/strict";
import test from "node:test";
import { Policies, text } from "./policies.js";

const { template } = new Policies();
const all = (type: string, of = template): [string, any][] =>
  Object.entries<any>(of.Resources).filter(([, resource]) => resource.Type === type);

test("tables, queues and key outlive their stack", () => {
  for (const type of ["AWS::DynamoDB::GlobalTable", "AWS::SQS::Queue", "AWS::KMS::Key"]) {
    for (const [id, resource] of all(type)) {
      assert.equal(resource.DeletionPolicy, "Retain", id);
      assert.equal(resource.UpdateReplacePolicy, "Retain", id);
    }
  }
});

test("every table can be restored to a point in time and cannot be deleted by mistake", () => {
  const tables = all("AWS::DynamoDB::GlobalTable");
  assert.equal(tables.length, 5);
  for (const [id, { Properties }] of tables) {
    assert.equal(Properties.BillingMode, "PAY_PER_REQUEST", id);
    for (const replica of Properties.Replicas) {
      assert.ok(replica.DeletionProtectionEnabled, id);
      assert.ok(replica.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled, id);
    }
  }
});

test("only deliveries and what the API remembers have an end of their own", () => {
  const ending = all("AWS::DynamoDB::GlobalTable").filter(([, t]) => t.Properties.TimeToLiveSpecification?.Enabled);
  assert.deepEqual(ending.map(([, t]) => t.Properties.TableName).sort(), ["sealpost-control", "sealpost-deliveries"]);
});

test("a message that nobody settles is moved to the dead letters after ten receipts, and stays two weeks", () => {
  const queues = all("AWS::SQS::Queue");
  const [, jobs] = queues.find(([id]) => id.startsWith("StoreJobs"))!;
  const [deadId] = queues.find(([id]) => id.startsWith("StoreDeadLetters"))!;
  assert.equal(text(jobs.Properties.RedrivePolicy.deadLetterTargetArn), deadId);
  assert.ok(jobs.Properties.RedrivePolicy.maxReceiveCount >= 10);
  for (const [id, { Properties }] of queues) {
    assert.equal(Properties.MessageRetentionPeriod, 14 * 24 * 3600, id);
    assert.equal(Properties.MaximumMessageSize, 1_048_576, id);
    assert.ok(Properties.SqsManagedSseEnabled, id);
  }
});

test("queues take no call without TLS", () => {
  const policies = all("AWS::SQS::QueuePolicy");
  assert.equal(policies.length, 2);
  for (const [id, { Properties }] of policies) {
    const [statement] = Properties.PolicyDocument.Statement;
    assert.equal(statement.Effect, "Deny", id);
    assert.deepEqual(statement.Condition, { Bool: { "aws:SecureTransport": "false" } }, id);
  }
});

test("the key is turned over every year", () => {
  assert.deepEqual(all("AWS::KMS::Key").map(([, key]) => key.Properties.EnableKeyRotation), [true]);
});

test("somebody is told of waiting jobs, dead letters, the quota in flight, a key that refuses and what is not understood", () => {
  const alarms = all("AWS::CloudWatch::Alarm").map(([, alarm]) => alarm.Properties.MetricName);
  assert.deepEqual(alarms.sort(), [
    "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesVisible", "KeyAlarms", "NotUnderstood",
  ]);
});

test("a FIFO pair keeps order at the highest throughput, and SQS moves nothing of it by itself", () => {
  const queues = all("AWS::SQS::Queue", new Policies({ fifo: true }).template);
  assert.equal(queues.length, 2);
  for (const [id, { Properties, DeletionPolicy }] of queues) {
    assert.equal(Properties.FifoQueue, true, id);
    assert.equal(Properties.DeduplicationScope, "messageGroup", id);
    assert.equal(Properties.FifoThroughputLimit, "perMessageGroupId", id);
    assert.equal(Properties.ContentBasedDeduplication, undefined, id);
    assert.equal(Properties.RedrivePolicy, undefined, id);
    assert.equal(Properties.MessageRetentionPeriod, 14 * 24 * 3600, id);
    assert.equal(DeletionPolicy, "Retain", id);
  }
  assert.ok(all("AWS::SQS::Queue").every(([, queue]) => queue.Properties.FifoQueue === undefined));
});
