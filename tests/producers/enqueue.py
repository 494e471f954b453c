"""A producer that uses nothing of ours: enqueues jobs with boto3.

usage: python enqueue.py QUEUE_URL FIRST COUNT
"""

import json
import sys

import boto3

queue_url, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = boto3.client("sqs")
for start in range(first, first + count, 10):
    numbers = range(start, min(start + 10, first + count))
    jobs = [{"id": f"job-{n}", "customerId": "c", "endpointId": "e", "data": {"n": n}} for n in numbers]
    entries = [{"Id": str(n), "MessageBody": json.dumps(job)} for n, job in zip(numbers, jobs)]
    sent = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
    if sent.get("Failed"):
        sys.exit(f"not sent: {sent['Failed']}")
