// Who may do what, as a table of what is allowed and of what is not.
import assert from "node:assert/strict";
import test from "node:test";
import { Policies } from "./policies.js";

const policies = new Policies();
const table = (name: string) => policies.id("AWS::DynamoDB::GlobalTable", `Store${name}`);
const [secrets, endpoints, health, deliveries, control] =
  ["Secrets", "Endpoints", "Health", "Deliveries", "Control"].map(table) as [string, string, string, string, string];
const jobs = policies.id("AWS::SQS::Queue", "StoreJobs");
const dead = policies.id("AWS::SQS::Queue", "StoreDeadLetters");
const key = policies.id("AWS::KMS::Key", "StoreKey");
const bound = { "kms:EncryptionContext:purpose": "sealpost-secret" };

const ROLES = ["RolesWorker", "RolesApi", "RolesAdministrator", "RolesRewrapper"];
const [WORKER, API, ADMINISTRATOR, REWRAPPER] = ROLES as [string, string, string, string];
const WRITES = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"];

function check(role: string, expected: boolean, resource: string, actions: string[], context = bound): void {
  for (const action of actions) {
    const says = policies.may(role, { action, resource, context });
    assert.equal(says, expected, `${role} ${action} ${resource}`);
  }
}
const dynamodb = (actions: string[]) => actions.map((action) => `dynamodb:${action}`);

test("a worker opens secrets, and writes neither secrets nor endpoints nor keys of the API", () => {
  check(WORKER, true, secrets, dynamodb(["GetItem", "Query"]));
  check(WORKER, true, endpoints, dynamodb(["GetItem", "Query"]));
  check(WORKER, true, health, dynamodb(["GetItem", "UpdateItem"]));
  check(WORKER, true, deliveries, dynamodb(["GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]));
  check(WORKER, true, `${deliveries}/index/dead-letters`, dynamodb(["Query"]));
  check(WORKER, true, key, ["kms:Decrypt"]);
  for (const forbidden of [secrets, endpoints, control]) check(WORKER, false, forbidden, dynamodb(WRITES));
  check(WORKER, false, control, dynamodb(["GetItem", "Query", "Scan"]));
  check(WORKER, false, secrets, dynamodb(["Scan"]));
  check(WORKER, false, key, ["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]);
});

test("whoever writes secrets, the API and the administrators, cannot open one", () => {
  for (const role of [API, ADMINISTRATOR]) {
    for (const kept of [secrets, endpoints, control]) {
      check(role, true, kept, dynamodb(["GetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem"]));
    }
    check(role, true, key, ["kms:Encrypt", "kms:GenerateDataKey"]);
    check(role, false, key, ["kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"]);
    check(role, true, dead, ["sqs:StartMessageMoveTask", "sqs:ReceiveMessage"]);
  }
});

test("whoever binds foreign rows can do nothing else", () => {
  check(REWRAPPER, true, secrets, dynamodb(["Scan", "GetItem", "UpdateItem"]));
  check(REWRAPPER, true, key, ["kms:ReEncryptFrom", "kms:ReEncryptTo"]);
  check(REWRAPPER, false, secrets, dynamodb(["PutItem", "DeleteItem"]));
  check(REWRAPPER, false, key, ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]);
  check(REWRAPPER, false, jobs, ["sqs:SendMessage", "sqs:ReceiveMessage"]);
  check(REWRAPPER, false, deliveries, dynamodb(["GetItem", ...WRITES]));
});

test("no role has both halves: to open secrets, and to write them", () => {
  for (const role of ROLES) {
    const opens = policies.may(role, { action: "kms:Decrypt", resource: key, context: bound });
    const writes = policies.may(role, { action: "dynamodb:PutItem", resource: secrets });
    assert.ok(!(opens && writes), role);
  }
});

test("the key does nothing without an encryption context, but to bind what has none", () => {
  check(WORKER, false, key, ["kms:Decrypt"], {} as typeof bound);
  check(API, false, key, ["kms:Encrypt", "kms:GenerateDataKey"], {} as typeof bound);
  check(REWRAPPER, false, key, ["kms:ReEncryptTo"], {} as typeof bound);
  check(REWRAPPER, true, key, ["kms:ReEncryptFrom"], {} as typeof bound);
  const lenient = new Policies({ allowUnbound: true });
  const request = { action: "kms:Decrypt", resource: lenient.id("AWS::KMS::Key", "StoreKey") };
  assert.ok(lenient.may(WORKER, request), "where values of others are accepted");
});

test("no statement names every resource or every action", () => {
  for (const role of ROLES) {
    const statements = policies.statements(role);
    assert.ok(statements.length > 0);
    for (const { Action, Resource } of statements) {
      for (const word of [Action, Resource].flat()) {
        const said = JSON.stringify(word);
        assert.ok(said !== '"*"' && !/"\w+:\*"/.test(said), `${role}: ${said}`);
      }
    }
  }
});
