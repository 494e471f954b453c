//! Sealed secrets: whether they open, which keys they need, and which certificates end.

use std::sync::Arc;

use super::{World, shortened};
use crate::domain::check::{Check, Duty, look};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::SealedSecret;
use crate::domain::timestamp::Timestamp;
use crate::ports::MasterKeys;
use crate::ports::master_keys::MasterKeyId;
use crate::vault::Vault;

type Sealed = (CustomerId, SecretId, SealedSecret);

/// The keys of the key file: which are needed, and whether one is missing.
pub async fn master_keys(world: &World<'_>) -> Vec<Check> {
    let Some((keys, vault)) = &world.stores.master_keys else { return Vec::new() };
    match judge_keys(keys, vault).await {
        Ok(checks) => checks,
        Err(error) => vec![look("secrets.keys", "the key file").skipped(error.to_string())],
    }
}

async fn judge_keys(keys: &Arc<dyn MasterKeys>, vault: &Vault) -> crate::ports::Result<Vec<Check>> {
    let known = keys.all()?;
    let is_known = |id: &MasterKeyId| known.iter().any(|key| key.id == *id);
    let lost = vault.wrapped_by(&**keys, |by| !is_known(by)).await?;
    let subject = look("secrets.keys", "the key file");
    let missing = match lost.first() {
        None => subject.ok(format!("{}: every stored version's key is there", count(known.len()))),
        Some(first) => subject.failed(
            format!(
                "{} versions need a key that is not in it, {}/{} first",
                lost.len(),
                first.customer,
                first.secret
            ),
            "every key that wrapped something that is stored",
            "put the keys of that time back from where they are kept, or put these secrets again",
        ),
    };
    let mut checks = vec![missing];
    for key in known.iter().filter(|key| !key.wraps) {
        let needed = vault.wrapped_by(&**keys, |by| *by == key.id).await?.len();
        let subject = look("secrets.old_key", format!("key {}", key.id));
        checks.push(if needed == 0 {
            let expected = "keys that are needed: whoever has this one opens backups of its time";
            subject.warning("nothing needs it", expected, format!("sealpost key retire {}", key.id))
        } else {
            let found = format!("{needed} versions need it");
            subject.warning(found, "a rotation that has ended", "sealpost key rotate --resume")
        });
    }
    Ok(checks)
}

fn count(keys: usize) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}

/// Client certificates, by what is kept beside their sealed values.
pub fn certificates(sealed: &[Sealed], now: Timestamp) -> Vec<Check> {
    let name = "secrets.certificates";
    let (mut troubles, mut seen) = (Vec::new(), 0);
    for (customer, id, secret) in sealed {
        let Some(facts) = secret.current.facts.as_ref().filter(|f| f.not_after.is_some()) else {
            continue;
        };
        seen += 1;
        if let Some(warning) = facts.warning(now) {
            let mend = format!("sealpost secret put {customer} {id}, with the new certificate");
            let expected = "a certificate that is good for another 30 days";
            let what = format!("{customer}/{id}");
            troubles.push(look(name, what).warning(warning, expected, mend));
        }
    }
    if troubles.is_empty() {
        let found = format!("{seen}, none of which ends within 30 days");
        troubles.push(look(name, "client certificates").ok(found));
    }
    shortened(troubles, name, "client certificates")
}

/// Whether each opens. On AWS only a worker may, and every one is a call of KMS.
pub async fn open(world: &World<'_>, sealed: &[Sealed]) -> Check {
    let subject = look("secrets.open", "all secrets");
    if world.stores.master_keys.is_none() && world.scope.duty != Some(Duty::Worker) {
        return subject.skipped("on AWS a worker alone may open them: --role worker tries");
    }
    let (mut opened, mut passed_over, mut troubles) = (0usize, 0usize, Vec::new());
    for (customer, id, secret) in sealed {
        // What a reference leads to lies elsewhere, and may be paid for.
        if secret.current.is_reference() {
            passed_over += 1;
            continue;
        }
        match world.stores.opener.open(customer, id).await {
            Ok(_) => opened += 1,
            Err(error) => troubles.push(error.to_string()),
        }
    }
    if let Some(first) = troubles.first() {
        return subject.failed(
            format!("{} do not open; the first: {first}", troubles.len()),
            "every secret opens: the jobs that need one are dead-lettered otherwise",
            "put the key back that sealed them (secrets.keys, key.state), or put these secrets again",
        );
    }
    subject.ok(format!("{opened} open; {passed_over} references were not followed"))
}
