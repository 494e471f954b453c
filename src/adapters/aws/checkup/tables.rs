//! The tables.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, TableDescription, TimeToLiveStatus};

use super::unseen;
use crate::adapters::aws::classify::{Failure, Kind};
use crate::adapters::aws::dynamodb::tables::{ALL, Definition, check_keys, is_active};
use crate::domain::check::{Check, Subject, look};

const MAKE: &str = "`sealpost tables create` makes what is missing; in production deploy infra/";

/// Looks at each of them.
pub async fn examine(client: &Client, prefix: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    for definition in &ALL {
        let name = format!("{prefix}{}", definition.name);
        let described = client.describe_table().table_name(&name).send().await;
        let subject = look("table.exists", &name);
        let table = match described.map(|described| described.table) {
            Ok(Some(table)) => table,
            Ok(None) => {
                checks.push(subject.skipped("DynamoDB said nothing of it"));
                continue;
            }
            Err(error) => {
                let failure = Failure::of(&error);
                checks.push(match failure.kind {
                    Kind::NotFound => subject.failed("there is none", "it is there", MAKE),
                    Kind::AccessDenied
                    | Kind::Throttled
                    | Kind::Credentials
                    | Kind::KeyUnusable
                    | Kind::Unreachable
                    | Kind::ServiceFault
                    | Kind::Refused => unseen(subject, &failure, "dynamodb:DescribeTable"),
                });
                continue;
            }
        };
        checks.push(keys(subject, definition, &table));
        checks.push(ttl(client, definition, &name).await);
        checks.push(recovery(client, &name).await);
        checks.push(protection(&name, &table));
    }
    checks
}

fn keys(subject: Subject, definition: &Definition, table: &TableDescription) -> Check {
    if let Err(found) = check_keys(definition, table) {
        let mend = "the index or table is of an older version or of something else: add the index, remove \
                    the table, or choose another aws.table_prefix";
        return subject.failed(found, "the keys and indexes of docs/AWS.md, \"Tables\"", mend);
    }
    if is_active(table) {
        return subject.ok("active, with its keys and indexes");
    }
    let mend = "wait until it and its indexes are ACTIVE";
    subject.failed("it or one of its indexes is not active", "active", mend)
}

/// Fences and records go by themselves after a while; endpoints and secrets never.
async fn ttl(client: &Client, definition: &Definition, name: &str) -> Check {
    let subject = look("table.ttl", name);
    let described = client.describe_time_to_live().table_name(name).send().await;
    let description = match described {
        Ok(described) => described.time_to_live_description,
        Err(error) => return unseen(subject, &Failure::of(&error), "dynamodb:DescribeTimeToLive"),
    };
    let on = description.filter(|ttl| {
        let status = ttl.time_to_live_status();
        matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling))
    });
    let attribute = on.and_then(|ttl| ttl.attribute_name);
    match (attribute.as_deref(), definition.ttl) {
        (found, expected) if found == expected => {
            subject.ok(found.map_or("none".to_owned(), |attribute| format!("on `{attribute}`")))
        }
        (found, Some(expected)) => {
            let found = found.unwrap_or("none");
            let why = format!("on `{expected}`: what has ended stays and is paid for otherwise");
            let mend = format!(
                "aws dynamodb update-time-to-live --table-name {name} \
                 --time-to-live-specification Enabled=true,AttributeName={expected}"
            );
            subject.warning(found, why, mend)
        }
        (found, None) => {
            let found = found.unwrap_or_default();
            let mend = format!(
                "aws dynamodb update-time-to-live --table-name {name} \
                 --time-to-live-specification Enabled=false,AttributeName={found}"
            );
            subject.failed(format!("on `{found}`"), "none: nothing in it may go by itself", mend)
        }
    }
}

async fn recovery(client: &Client, name: &str) -> Check {
    let subject = look("table.recovery", name);
    let described = client.describe_continuous_backups().table_name(name).send().await;
    let description = match described {
        Ok(described) => described.continuous_backups_description,
        Err(error) => {
            return unseen(subject, &Failure::of(&error), "dynamodb:DescribeContinuousBackups");
        }
    };
    let recovery = description.and_then(|backups| backups.point_in_time_recovery_description);
    let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
    if status == Some(PointInTimeRecoveryStatus::Enabled) {
        return subject.ok("point-in-time recovery is on");
    }
    let mend = format!(
        "aws dynamodb update-continuous-backups --table-name {name} \
         --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
    );
    subject.warning("point-in-time recovery is off", "on", mend)
}

fn protection(name: &str, table: &TableDescription) -> Check {
    let subject = look("table.protection", name);
    if table.deletion_protection_enabled() == Some(true) {
        return subject.ok("protected from deletion");
    }
    let mend =
        format!("aws dynamodb update-table --table-name {name} --deletion-protection-enabled");
    subject.warning("not protected from deletion", "protected", mend)
}
