//! `sealpost doctor` over AWS: what is sound is ok, each planted fault is found, and no job is touched.

use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, TimeToLiveSpecification};
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::doctor::{checks, expect, report, troubles};

const TABLES: [&str; 5] = ["secrets", "endpoints", "health", "deliveries", "control"];
const DAYS_14: &str = "1209600";

async fn set(cloud: &Cloud, url: &str, attributes: &[(Name, &str)]) {
    let mut request = cloud.clients.sqs.set_queue_attributes().queue_url(url);
    for (name, value) in attributes {
        request = request.attributes(name.clone(), *value);
    }
    request.send().await.unwrap();
}

fn redrive(to: &str, after: u32) -> String {
    let arn = format!("arn:aws:sqs:us-east-1:123456789012:{to}");
    json!({"deadLetterTargetArn": arn, "maxReceiveCount": after}).to_string()
}

/// As the infrastructure describes it, with one secret and one endpoint.
async fn sound() -> Cloud {
    let cloud = Cloud::start().await;
    let kept = [(Name::MessageRetentionPeriod, DAYS_14), (Name::SqsManagedSseEnabled, "true")];
    set(&cloud, &cloud.dead, &kept).await;
    set(&cloud, &cloud.jobs, &kept).await;
    let policy = redrive("dead", 10);
    let jobs = [(Name::VisibilityTimeout, "30"), (Name::RedrivePolicy, policy.as_str())];
    set(&cloud, &cloud.jobs, &jobs).await;
    set(&cloud, &cloud.jobs, &[(Name::MaximumMessageSize, "1048576")]).await;
    for table in TABLES {
        let name = format!("sealpost-{table}");
        let dynamodb = &cloud.clients.dynamodb;
        let protected = dynamodb.update_table().table_name(&name);
        protected.deletion_protection_enabled(true).send().await.unwrap();
        let on = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
        let backed_up = dynamodb.update_continuous_backups().table_name(&name);
        let on = on.build().unwrap();
        backed_up.point_in_time_recovery_specification(on).send().await.unwrap();
    }
    cloud.clients.kms.enable_key_rotation().key_id(&cloud.key).send().await.unwrap();
    cloud.ok(&["secret", "put", "acme", "s", "--origin", "https://93.184.215.14"], "canary");
    let endpoint = json!({"customerId": "acme", "endpointId": "e", "url": "https://93.184.215.14/in",
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    cloud.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    cloud
}

fn examined(cloud: &Cloud, arguments: &[&str]) -> Value {
    let mut command = cloud.command(&[&["doctor", "--json"], arguments].concat());
    for name in ["ALLOW_HTTP", "ALLOW", "PORTS"] {
        command.env_remove(format!("SEALPOST_EGRESS_{name}"));
    }
    report(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_installation_has_no_trouble_and_no_job_or_row_is_touched() {
    let cloud = sound().await;
    let before = (cloud.emulator.all_calls(), cloud.emulator.calls_of("DynamoDB"));
    let report = examined(&cloud, &[]);
    assert_eq!(troubles(&report), [""; 0], "{report:#}");
    for name in ["queue.redrive", "queue.visibility", "table.ttl", "key.state", "clock.skew"] {
        assert_eq!(checks(&report, name)[0]["status"], "ok", "{name}");
    }
    assert_eq!(checks(&report, "table.exists").len(), TABLES.len());
    expect(&report, "secrets.open", "skipped", "--role worker", "");
    expect(&report, "access.untried", "skipped", "receive count", "");
    let after = (cloud.emulator.all_calls(), cloud.emulator.calls_of("DynamoDB"));
    let called = |before: &serde_json::Map<String, Value>,
                  after: &serde_json::Map<String, Value>| {
        let new = after.iter().filter(|(name, count)| before.get(*name) != Some(count));
        new.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(called(&before.0, &after.0), ["GetQueueAttributes"]);
    for operation in called(&before.1, &after.1) {
        let reads = ["Describe", "Get", "Query", "Scan", "BatchGet"];
        assert!(reads.iter().any(|read| operation.starts_with(read)), "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_lose_jobs_or_deliver_them_twice_are_found() {
    let cloud = sound().await;
    set(&cloud, &cloud.jobs, &[(Name::VisibilityTimeout, "6"), (Name::DelaySeconds, "5")]).await;
    set(&cloud, &cloud.dead, &[(Name::MessageRetentionPeriod, "86400")]).await;
    let elsewhere = redrive("elsewhere", 10);
    cloud.clients.sqs.create_queue().queue_name("elsewhere").send().await.unwrap();
    set(&cloud, &cloud.jobs, &[(Name::RedrivePolicy, &elsewhere)]).await;
    let report = examined(&cloud, &[]);
    expect(&report, "queue.visibility", "warning", "6 s", "VisibilityTimeout to 30");
    expect(&report, "queue.delay", "warning", "5", "DelaySeconds to 0");
    expect(&report, "queue.retention", "warning", "after 1 days", "1209600");
    expect(&report, "queue.retentions", "warning", "dead letters 1.0 days", "1209600");
    expect(&report, "queue.redrive", "warning", "another queue", "");
    assert_eq!(report["failed"], 0);
    set(&cloud, &cloud.jobs, &[(Name::RedrivePolicy, &redrive("dead", 12))]).await;
    let mut command = cloud.command(&["doctor", "--json"]);
    command.env("SEALPOST_WORKER_MAX_RECEIVES", "20");
    expect(&self::report(command), "queue.redrive", "warning", "after 12", "at least 20");
    set(&cloud, &cloud.jobs, &[(Name::RedrivePolicy, "")]).await;
    expect(&examined(&cloud, &[]), "queue.redrive", "warning", "it has none", "at least 10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_fails_and_everything_else_is_looked_at() {
    let cloud = sound().await;
    cloud.clients.sqs.delete_queue().queue_url(&cloud.dead).send().await.unwrap();
    let report = examined(&cloud, &[]);
    expect(&report, "queue.exists", "failed", "not found", "deploy it");
    expect(&report, "queue.redrive", "skipped", "", "");
    expect(&report, "queue.visibility", "ok", "30 s", "");
    expect(&report, "endpoints.secrets", "ok", "1 in use", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_used_is_found_with_what_to_type() {
    let cloud = sound().await;
    let kms = &cloud.clients.kms;
    kms.disable_key().key_id(&cloud.key).send().await.unwrap();
    let report = examined(&cloud, &["--role", "worker"]);
    let enable = format!("aws kms enable-key --key-id {}", cloud.key);
    expect(&report, "key.state", "failed", "key_disabled", &enable);
    expect(&report, "secrets.open", "failed", "1 do not open", "key.state");
    kms.schedule_key_deletion().key_id(&cloud.key).send().await.unwrap();
    let report = examined(&cloud, &[]);
    expect(&report, "key.state", "failed", "key_pending_deletion", "cancel-key-deletion");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_missing_or_forget_the_wrong_things_are_found() {
    let cloud = sound().await;
    let dynamodb = &cloud.clients.dynamodb;
    let ttl = async |table: &str, enabled: bool| {
        let ttl = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(enabled);
        let update = dynamodb.update_time_to_live().table_name(table);
        let ttl = ttl.build().unwrap();
        update.time_to_live_specification(ttl).send().await.unwrap();
    };
    ttl("sealpost-deliveries", false).await;
    ttl("sealpost-secrets", true).await;
    let control = "sealpost-control";
    let open = dynamodb.update_table().table_name(control).deletion_protection_enabled(false);
    open.send().await.unwrap();
    expect(&examined(&cloud, &[]), "table.protection", "warning", "not protected", control);
    dynamodb.delete_table().table_name(control).send().await.unwrap();
    let report = examined(&cloud, &[]);
    let turn_on = "--table-name sealpost-deliveries --time-to-live-specification Enabled=true";
    expect(&report, "table.ttl", "warning", "none", turn_on);
    expect(&report, "table.ttl", "failed", "on `ttl`", "sealpost-secrets");
    expect(&report, "table.exists", "failed", "there is none", "sealpost tables create");
    expect(&report, "endpoints.usable", "ok", "1 can be called", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_judged_by_whose_they_should_be() {
    let cloud = sound().await;
    let denied = |operation: &str, times| {
        cloud.emulator.fail(operation, 400, "AccessDeniedException", times);
    };
    // Nothing is denied here: a worker may do more than it needs.
    let report = examined(&cloud, &["--role", "worker"]);
    expect(&report, "access.read", "warning", "allowed", "take it from the role's policy");
    expect(&report, "access.seal", "warning", "allowed", "take it from the role's policy");
    expect(&report, "secrets.open", "ok", "1 open", "");
    denied("GetItem", 1);
    let report = examined(&cloud, &["--role", "worker"]);
    expect(&report, "access.read", "failed", "access denied", "dynamodb:GetItem");
    denied("GenerateDataKey", 1);
    let report = examined(&cloud, &["--role", "worker"]);
    expect(&report, "access.seal", "ok", "denied, as it should be", "");
    denied("GenerateDataKey", 1);
    let report = examined(&cloud, &["--role", "administrator"]);
    expect(&report, "access.seal", "failed", "access denied", "kms:GenerateDataKey");
    denied("DescribeTable", 5);
    denied("DescribeKey", 1);
    let report = examined(&cloud, &["--role", "api"]);
    assert_eq!(report["failed"], 0, "{report:#}");
    expect(&report, "table.exists", "skipped", "dynamodb:DescribeTable", "");
    expect(&report, "key.state", "skipped", "kms:DescribeKey", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_from_that_of_aws_and_missing_credentials_are_found() {
    let cloud = sound().await;
    cloud.emulator.advance(std::time::Duration::from_secs(120));
    expect(&examined(&cloud, &[]), "clock.skew", "warning", "s behind", "set the clock right");
    cloud.emulator.advance(std::time::Duration::from_secs(600));
    expect(&examined(&cloud, &[]), "clock.skew", "failed", "s behind", "set the clock right");
    let mut command = cloud.command(&["doctor", "--json"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        command.env_remove(name);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", cloud.program.data());
    let without = report(command);
    expect(&without, "aws.credentials", "failed", "", "AWS_ACCESS_KEY_ID");
    expect(&without, "queue.exists", "failed", "credentials", "");
}
