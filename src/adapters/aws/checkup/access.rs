//! What the role may do, as far as it can be tried without effect: reads of what is not there, and dry runs
//! of KMS, which checks the rights and does nothing ("DryRun", AWS KMS API Reference).

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use super::{Resources, unseen};
use crate::adapters::aws::classify::{Failure, Kind};
use crate::adapters::aws::client::Clients;
use crate::adapters::aws::dynamodb::tables::{self, Definition};
use crate::domain::check::{Check, Duty, look};

/// Nobody's key.
const NOBODY: &str = "sealpost-doctor";
/// What KMS answers to a dry run that would have succeeded.
const WOULD_SUCCEED: &str = "DryRunOperationException";
/// What only an effect, or a value, would tell.
const UNTRIED: [(&str, &str); 3] = [
    ("sqs:ReceiveMessage", "it would raise the receive count of a job"),
    ("sqs:SendMessage, DeleteMessage, ChangeMessageVisibility", "they would touch jobs"),
    ("dynamodb:PutItem, UpdateItem, DeleteItem, Query", "the writes would change rows"),
];

/// The tables that somebody reads by key, and who (docs/AWS.md, "Rights").
const READ: [(&Definition, &[Duty]); 5] = [
    (&tables::SECRETS, &[Duty::Worker, Duty::Api]),
    (&tables::ENDPOINTS, &[Duty::Worker, Duty::Api]),
    (&tables::HEALTH, &[Duty::Worker, Duty::Api]),
    (&tables::DELIVERIES, &[Duty::Worker, Duty::Api]),
    (&tables::CONTROL, &[Duty::Api]),
];

/// Tries what can be tried.
pub async fn examine(clients: &Clients, resources: &Resources, duty: Option<Duty>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (definition, needed) in READ {
        let table = format!("{}{}", resources.table_prefix, definition.name);
        let mut asked = clients.dynamodb.get_item().table_name(&table);
        for key in definition.key {
            asked = asked.key(key, AttributeValue::S(NOBODY.to_owned()));
        }
        let answer = asked.send().await.map(drop).map_err(|error| Failure::of(&error));
        checks.push(judge("access.read", "dynamodb:GetItem", &table, needed, duty, answer));
    }
    checks.extend(sealing(clients, resources, duty).await);
    for (right, why) in UNTRIED {
        checks.push(look("access.untried", right).skipped(format!("not tried: {why}")));
    }
    let why = "not tried: it takes a sealed value, which secrets.open has with --role worker";
    checks.push(look("access.untried", "kms:Decrypt").skipped(why));
    checks
}

/// Under the encryption context without which the key's own policy refuses everybody.
async fn sealing(clients: &Clients, resources: &Resources, duty: Option<Duty>) -> [Check; 2] {
    let key = &resources.key;
    let generate = clients.kms.generate_data_key().key_id(key).key_spec(DataKeySpec::Aes256);
    let generate = generate.encryption_context("purpose", NOBODY).dry_run(true).send();
    let encrypt = clients.kms.encrypt().key_id(key).plaintext(Blob::new([0]));
    let encrypt = encrypt.encryption_context("purpose", NOBODY).dry_run(true).send();
    let (generate, encrypt) = tokio::join!(generate, encrypt);
    let generate = match generate {
        Err(error) if error.code() == Some(WOULD_SUCCEED) => Ok(()),
        other => other.map(drop).map_err(|error| Failure::of(&error)),
    };
    let encrypt = match encrypt {
        Err(error) if error.code() == Some(WOULD_SUCCEED) => Ok(()),
        other => other.map(drop).map_err(|error| Failure::of(&error)),
    };
    [("kms:GenerateDataKey", generate), ("kms:Encrypt", encrypt)]
        .map(|(right, answer)| judge("access.seal", right, key, &[Duty::Api], duty, answer))
}

fn judge(
    name: &'static str,
    right: &str,
    resource: &str,
    needed: &[Duty],
    duty: Option<Duty>,
    answer: Result<(), Failure>,
) -> Check {
    let subject = look(name, format!("{right} on {resource}"));
    let failure = match (answer, duty) {
        (Ok(()), Some(duty)) if !needed.contains(&duty) => {
            return subject.warning(
                "allowed",
                format!("denied: {} does not need it", duty.word()),
                "take it from the role's policy (infra/lib/roles.ts)",
            );
        }
        (Ok(()), Some(_) | None) => return subject.ok("allowed"),
        (Err(failure), _) => failure,
    };
    if failure.kind != Kind::AccessDenied {
        return unseen(subject, &failure, right);
    }
    let who = needed.iter().map(|duty| duty.word()).collect::<Vec<_>>().join(" and ");
    match duty {
        Some(duty) if needed.contains(&duty) => subject.failed(
            failure.to_string(),
            format!("allowed: {} needs it", duty.word()),
            format!(
                "allow {right} in the role's policy (infra/lib/roles.ts), and for a key in its own"
            ),
        ),
        Some(_) => subject.ok("denied, as it should be"),
        None => subject.warning(
            failure.to_string(),
            format!("allowed to {who}"),
            "say with --role whose rights these are",
        ),
    }
}
