// Stores a secret in the pattern of teams that built their own store before they had sealpost: a KMS
// ciphertext without an encryption context, in base64, as a row of a DynamoDB table.
// usage: node put_secret_row.mjs TABLE KEY_ID CUSTOMER SECRET < value
import { readFileSync } from "node:fs";
import { DynamoDBClient, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { EncryptCommand, KMSClient } from "@aws-sdk/client-kms";

const [table, keyId, customerId, secretId] = process.argv.slice(2);
const encrypted = await new KMSClient({}).send(
  new EncryptCommand({ KeyId: keyId, Plaintext: readFileSync(0) }),
);
const row = {
  customerId: { S: customerId },
  secretId: { S: secretId },
  encryptedValue: { S: Buffer.from(encrypted.CiphertextBlob).toString("base64") },
  createdAt: { S: new Date().toISOString() },
};
await new DynamoDBClient({}).send(new PutItemCommand({ TableName: table, Item: row }));
