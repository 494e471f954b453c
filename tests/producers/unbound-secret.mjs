// Writes a secret as programs do that seal with KMS alone: Encrypt without an encryption context, the
// ciphertext as base64 text, one item through the document client.
//
// node unbound-secret.mjs <table> <key id> <customer> <secret> <value>
import { KMSClient, EncryptCommand } from "@aws-sdk/client-kms";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, PutCommand } from "@aws-sdk/lib-dynamodb";

const [table, keyId, customerId, secretId, value] = process.argv.slice(2);

const sealed = await new KMSClient({}).send(
  new EncryptCommand({ KeyId: keyId, Plaintext: Buffer.from(value, "utf-8") }),
);
const encryptedValue = Buffer.from(sealed.CiphertextBlob).toString("base64");
const createdAt = new Date().toISOString();
const tables = DynamoDBDocumentClient.from(new DynamoDBClient({}));
await tables.send(
  new PutCommand({ TableName: table, Item: { customerId, secretId, encryptedValue, createdAt } }),
);
