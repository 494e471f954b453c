// A producer that uses nothing of ours: enqueues jobs with the AWS SDK for JavaScript.
// usage: node enqueue.mjs QUEUE_URL FIRST COUNT
import { SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";

const [queueUrl, first, count] = process.argv.slice(2);
const client = new SQSClient({});
const end = Number(first) + Number(count);
for (let start = Number(first); start < end; start += 10) {
  const numbers = Array.from({ length: Math.min(10, end - start) }, (_, i) => start + i);
  const job = (n) => ({ id: `job-${n}`, customerId: "c", endpointId: "e", data: { n } });
  const entry = (n) => ({ Id: `${n}`, MessageBody: JSON.stringify(job(n)) });
  const sent = await client.send(
    new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: numbers.map(entry) }),
  );
  if (sent.Failed?.length) throw new Error(JSON.stringify(sent.Failed));
}
