// The configuration of a process, as the environment variables that it reads (docs/REFERENCE.md).
import { Store } from "./store.js";

/** Everything that the `[aws]` section of a file would say, and logs as JSON. No value of it is secret. */
export function settings(store: Store, tablePrefix: string): Record<string, string> {
  return {
    SEALPOST_AWS_QUEUE_URL: store.jobs.queueUrl,
    SEALPOST_AWS_DEAD_LETTER_QUEUE_URL: store.deadLetters.queueUrl,
    SEALPOST_AWS_KMS_KEY_ID: store.key.keyArn,
    SEALPOST_AWS_TABLE_PREFIX: tablePrefix,
    SEALPOST_LOG_FORMAT: "json",
  };
}
