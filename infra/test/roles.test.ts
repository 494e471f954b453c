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
  check(WORKER, false, health, dynamodb(["PutItem", "DeleteItem"]));
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
    check(role, true, health, dynamodb(["GetItem", "Query", "UpdateItem", "DeleteItem"]));
    check(role, true, key, ["kms:Encrypt", "kms:GenerateDataKey"]);
    check(role, false, key, ["kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"]);
    check(role, true, dead, ["sqs:StartMessageMoveTask", "sqs:ReceiveMessage"]);
  }
});

test("whoever binds foreign rows can do nothing else", () => {
  check(REWRAPPER, true, secrets, dynamodb(["Scan", "GetItem", "UpdateItem"]));
  check(REWRAPPER, true, key, ["kms:ReEncryptTo"]);
  check(REWRAPPER, false, key, ["kms:ReEncryptFrom"]);
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

test("the key does nothing without an encryption context, for anybody", () => {
  const unbound = {} as typeof bound;
  check(WORKER, false, key, ["kms:Decrypt"], unbound);
  check(API, false, key, ["kms:Encrypt", "kms:GenerateDataKey"], unbound);
  check(REWRAPPER, false, key, ["kms:ReEncryptFrom", "kms:ReEncryptTo"], unbound);
});

const ARN = {
  legacy: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
  role: "arn:aws:iam::111122223333:role/hooks-globex",
  secret: "arn:aws:secretsmanager:eu-west-1:111122223333:secret:webhooks/acme/signing-a1B2c3",
  parameter: "arn:aws:ssm:eu-west-1:111122223333:parameter/webhooks/acme/*",
};
const generous = new Policies({
  workerMay: {
    legacyKeys: [ARN.legacy], assumeRoles: [ARN.role], readSecrets: [ARN.secret], readParameters: [ARN.parameter],
  },
});

test("values without a context open with the legacy keys that are named, and with no other", () => {
  const own = generous.id("AWS::KMS::Key", "StoreKey");
  for (const [role, action] of [[WORKER, "kms:Decrypt"], [REWRAPPER, "kms:ReEncryptFrom"]] as const) {
    assert.ok(generous.ownMay(role, { action, resource: ARN.legacy }), `${role} ${action}`);
    assert.ok(!generous.ownMay(role, { action, resource: ARN.legacy.replace("1234abcd", "other") }));
    assert.ok(!policies.ownMay(role, { action, resource: ARN.legacy }), "nothing by default");
    assert.ok(!generous.may(role, { action, resource: own }), "its own key demands the context all the same");
  }
  for (const role of ROLES) {
    for (const action of ["kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptTo"]) {
      assert.ok(!generous.ownMay(role, { action, resource: ARN.legacy }), `${role} ${action}`);
    }
  }
  assert.ok(!generous.ownMay(API, { action: "kms:Decrypt", resource: ARN.legacy }));
  assert.ok(!generous.ownMay(ADMINISTRATOR, { action: "kms:Decrypt", resource: ARN.legacy }));
});

test("a worker assumes roles and follows references as far as they are named, and nobody else does", () => {
  const more: [string, string, string][] = [
    ["sts:AssumeRole", ARN.role, "arn:aws:iam::111122223333:role/administrator"],
    ["secretsmanager:GetSecretValue", ARN.secret, ARN.secret.replace("acme", "globex")],
    ["ssm:GetParameter", ARN.parameter.replace("*", "signing"), ARN.parameter.replace("acme/*", "globex/signing")],
  ];
  for (const [action, resource, other] of more) {
    assert.ok(generous.ownMay(WORKER, { action, resource }), action);
    assert.ok(!generous.ownMay(WORKER, { action, resource: other }), `${action} ${other}`);
    assert.ok(!policies.ownMay(WORKER, { action, resource }), `${action}: nothing by default`);
    for (const role of [API, ADMINISTRATOR, REWRAPPER]) assert.ok(!generous.ownMay(role, { action, resource }), role);
  }
});

test("what is named has to be named", () => {
  for (const workerMay of [
    { legacyKeys: ["*"] },
    { legacyKeys: ["arn:aws:kms:eu-west-1:111122223333:key/*"] },
    { legacyKeys: ["alias/customers"] },
    { assumeRoles: ["arn:aws:iam::*:role/hooks"] },
    { assumeRoles: ["arn:aws:iam::111122223333:role/*"] },
    { readSecrets: ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:*"] },
    { readSecrets: [ARN.parameter] },
    { readParameters: ["arn:aws:ssm:*:111122223333:parameter/webhooks"] },
  ]) {
    assert.throws(() => new Policies({ workerMay }), /expected .* ARN/, JSON.stringify(workerMay));
  }
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
