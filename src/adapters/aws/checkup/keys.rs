//! The key that seals, and the keys of values without a context.

use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, KeySpec, KeyState};

use super::unseen;
use crate::adapters::aws::classify::Failure;
use crate::domain::check::{Check, Subject, look};
use crate::ports::Alarm;

/// Looks at each of them.
pub async fn examine(client: &Client, key: &str, legacy: &[String]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, id) in std::iter::once(("key.state", key))
        .chain(legacy.iter().map(|id| ("key.legacy", id.as_str())))
    {
        let described = client.describe_key().key_id(id).send().await;
        let subject = look(name, id);
        match described.map(|described| described.key_metadata) {
            Ok(Some(metadata)) => checks.push(state(subject, &metadata)),
            Ok(None) => checks.push(subject.skipped("KMS said nothing of it")),
            Err(error) => checks.push(unseen(subject, &Failure::of(&error), "kms:DescribeKey")),
        }
    }
    checks.push(name(key));
    checks.push(rotation(client, key).await);
    checks
}

/// Whether it can be used: what is said where it cannot is the alarm of the worker's log.
fn state(subject: Subject, key: &KeyMetadata) -> Check {
    let id = &key.key_id;
    if key.key_spec().is_some_and(|spec| *spec != KeySpec::SymmetricDefault) {
        let spec = key.key_spec().map_or("", KeySpec::as_str);
        let mend = "name a symmetric key that encrypts and decrypts";
        return subject.failed(spec, KeySpec::SymmetricDefault.as_str(), mend);
    }
    let (alarm, mend) = match key.key_state() {
        Some(KeyState::Enabled) | None => return subject.ok("enabled, symmetric"),
        Some(KeyState::Disabled) => {
            (Alarm::KeyDisabled, format!("aws kms enable-key --key-id {id}"))
        }
        Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => {
            let mend = format!(
                "at once: aws kms cancel-key-deletion --key-id {id} && aws kms enable-key --key-id {id}; \
                 after its waiting period every secret that it sealed is lost"
            );
            (Alarm::KeyPendingDeletion, mend)
        }
        // States of imported material, of custom key stores, and those of the future.
        Some(_) => (Alarm::KeyUnusable, "see \"Key states of AWS KMS keys\"".to_owned()),
    };
    let state = key.key_state().map_or("", KeyState::as_str);
    subject.failed(format!("{state} (alarm {})", alarm.name()), "Enabled", mend)
}

fn name(key: &str) -> Check {
    let subject = look("key.name", "aws.kms_key_id");
    if key.contains("alias/") {
        let expected =
            "an id or ARN: what was sealed before an alias moves cannot be opened after it";
        return subject.warning(key, expected, "name the key that the alias leads to now");
    }
    subject.ok("an id or ARN")
}

async fn rotation(client: &Client, key: &str) -> Check {
    let subject = look("key.rotation", key);
    let asked = client.get_key_rotation_status().key_id(key).send().await;
    match asked {
        Ok(status) if status.key_rotation_enabled => subject.ok("its material is rotated"),
        Ok(_) => subject.warning(
            "its material is never rotated",
            "rotated once a year",
            format!("aws kms enable-key-rotation --key-id {key}"),
        ),
        Err(error) => {
            let failure = Failure::of(&error);
            // What is wrong with the key itself was said of its state.
            subject.skipped(format!("kms:GetKeyRotationStatus: {failure}"))
        }
    }
}
