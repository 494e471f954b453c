// What somebody has to look at. docs/OPERATIONS.md says what each means and what to type.
import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { Store } from "./store.js";

/** Messages in flight at which SQS gives no more ("Amazon SQS standard queue quotas"). */
const IN_FLIGHT_QUOTA = 120_000;

export class Alarms extends Construct {
  /** Where workers and the API log, as JSON. */
  readonly log: logs.LogGroup;
  readonly all: cloudwatch.Alarm[];

  constructor(scope: Construct, id: string, store: Store) {
    super(scope, id);
    this.log = new logs.LogGroup(this, "Log", { retention: logs.RetentionDays.ONE_MONTH });
    const every = Duration.minutes(1);
    const age = store.jobs.metricApproximateAgeOfOldestMessage({ period: every, statistic: "Maximum" });
    const dead = store.deadLetters.metricApproximateNumberOfMessagesVisible({ period: every, statistic: "Maximum" });
    const inFlight = store.jobs.metricApproximateNumberOfMessagesNotVisible({ period: every, statistic: "Maximum" });
    const denials = this.faults("KeyAlarms", '$.alarm = "key_*"').metric({ period: every, statistic: "Sum" });
    const strange = this.faults("NotUnderstood", '($.alarm = "newer_version" || $.alarm = "row_unreadable")')
      .metric({ period: every, statistic: "Sum" });
    this.all = [
      this.alarm("OldestMessage", age, 900, 5, "jobs have waited for a quarter of an hour: workers are missing, or too few"),
      this.alarm("DeadLetters", dead, 1, 1, "jobs were given up: sealpost dlq list"),
      this.alarm("InFlight", inFlight, IN_FLIGHT_QUOTA * 0.8, 1, "SQS gives no more messages beyond its quota"),
      this.alarm("Unreadable", strange, 1, 1, "a worker met a job or a row that it cannot read: finish the deploy, or look at the row"),
      this.alarm("KeyUnusable", denials, 1, 1, "the KMS key refuses the workers: jobs wait until it is mended"),
    ];
    new cloudwatch.Dashboard(this, "Dashboard", {
      widgets: [
        [graph("Waiting jobs: age of the oldest, in seconds", age), graph("In flight", inFlight)],
        [graph("Dead letters", dead), graph("Alarms of the key", denials)],
      ],
    });
  }

  /** Counts the log's faults of some alarms. */
  private faults(name: string, which: string): logs.MetricFilter {
    return new logs.MetricFilter(this, name, {
      logGroup: this.log,
      filterPattern: logs.FilterPattern.literal(`{ $.event = "fault" && ${which} }`),
      metricNamespace: "sealpost",
      metricName: name,
      metricValue: "1",
    });
  }

  private alarm(
    id: string, metric: cloudwatch.Metric, threshold: number, periods: number, description: string,
  ): cloudwatch.Alarm {
    return new cloudwatch.Alarm(this, id, {
      metric,
      threshold,
      evaluationPeriods: periods,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
      alarmDescription: description,
    });
  }
}

function graph(title: string, metric: cloudwatch.IMetric): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, left: [metric], width: 12 });
}
