//! Secrets that are kept by somebody else: the vault seals their names, and follows them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;
use zeroize::Zeroize;

use super::write::NewSecret;
use super::{OpenSecret, OpenVersion, Opener, Sealer, Vault, VaultError, WriteError, binding};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::reference::{Reference, ReferenceRule, Select};
use crate::domain::secret::{SealedKind, SealedVersion, SecretBytes, check_size};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::ports::references::Fetched;
use crate::ports::{Alarm, Error, References};

/// Until when what serves beside a reference is in use: always. (The end of the year 9999.)
pub(super) const ALWAYS: Timestamp = Timestamp::from_millis(253_402_300_799_000);
/// The staging label of the version that was current before ("Staging labels", AWS Secrets Manager).
const BEFORE: &str = "AWSPREVIOUS";

/// Which references may be named, and who follows them.
#[derive(Clone, Default)]
pub struct ReferencePolicy {
    /// What may be named; nothing without a rule.
    pub rules: Vec<ReferenceRule>,
    /// Who follows; `None` where AWS is not configured.
    pub source: Option<Arc<dyn References>>,
}

impl ReferencePolicy {
    fn allows(&self, customer: &CustomerId, reference: &Reference) -> bool {
        self.rules.iter().any(|rule| rule.allows(customer, reference))
    }
}

/// A reference that is put into the vault in place of a value.
pub struct NewReference {
    /// Whose.
    pub customer: CustomerId,
    /// Which.
    pub secret: SecretId,
    /// What is named.
    pub reference: Reference,
    /// Where its value may go.
    pub origins: BTreeSet<Origin>,
    /// How long the version before stays in use beside the new one.
    pub overlap: Option<Duration>,
}

impl Vault {
    /// The same vault, where references may be named and followed.
    #[must_use]
    pub fn with_references(self, policy: ReferencePolicy) -> Self {
        let references = Arc::new(policy);
        let opener = Opener { references: Arc::clone(&references), ..self.opener };
        Self { opener, sealer: Sealer { references, ..self.sealer } }
    }
}

impl Sealer {
    /// Seals a reference and makes it the secret's current version, if the version `expected` is the
    /// current one (0: there is none). It is not followed: whoever writes need not be able to read.
    ///
    /// # Errors
    /// If the settings do not allow it, or the store or the key service fails.
    pub async fn put_reference(
        &self,
        new: NewReference,
        expected: Option<u64>,
    ) -> Result<PutResult, WriteError> {
        let NewReference { customer, secret, reference, origins, overlap } = new;
        if self.references.source.is_none() {
            return Err(WriteError::NoReferences);
        }
        if !self.references.allows(&customer, &reference) {
            let reference = Box::new(reference);
            return Err(WriteError::ReferenceNotAllowed { customer, reference });
        }
        let value = SecretBytes::new(reference.to_string().into_bytes());
        let new = NewSecret { customer, secret, value, origins, overlap };
        self.put_as(new, expected, Some(reference.keeper)).await
    }
}

impl Opener {
    /// What a stored reference leads to, and what serves beside it; taken over from `known` where that
    /// is young enough.
    pub(super) async fn followed(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        stored: &SealedVersion,
        known: Option<&OpenSecret>,
    ) -> Result<(OpenVersion, Option<OpenVersion>), VaultError> {
        let (digest, beside) = (stored.digest(), digest_beside(stored));
        let find = |digest: [u8; 32]| {
            let same = |v: &&OpenVersion| v.digest == digest && v.opened_at.elapsed() < self.keep;
            known.and_then(|known| known.versions().find(same)).cloned()
        };
        if let Some(open) = find(digest) {
            return Ok((open, find(beside)));
        }
        let opened_at = Instant::now();
        let reference = self.reference(customer, secret, stored).await?;
        if !self.references.allows(customer, &reference) {
            let problem = format!("customer {customer} may not name {reference}");
            return Err(failed(problem, Alarm::ReferenceNotAllowed).into());
        }
        let value = self.fetch(&reference).await?;
        let open = OpenVersion::new(stored, value, opened_at);
        let previous =
            if reference.previous { self.fetch_previous(&reference).await? } else { None };
        let previous = previous.map(|value| OpenVersion { digest: beside, value, ..open.clone() });
        Ok((open, previous))
    }

    /// The reference in a stored version.
    async fn reference(
        &self,
        customer: &CustomerId,
        secret: &SecretId,
        stored: &SealedVersion,
    ) -> Result<Reference, VaultError> {
        let binding = binding(customer, secret, stored);
        let refused = |problem: &str| VaultError::NotDecrypted {
            customer: customer.clone(),
            secret: secret.clone(),
            version: stored.version,
            problem: problem.to_owned(),
        };
        let (kind, inner) =
            SealedKind::split(&stored.sealed).ok_or_else(|| refused("it is of no known form"))?;
        let text = self.unseal(&binding, inner, &binding.reference_context()).await?;
        let parsed = text.expose_str().and_then(|text| text.parse::<Reference>().ok());
        let reference = parsed.filter(|reference| SealedKind::of(reference.keeper) == kind);
        reference.ok_or_else(|| refused("what was sealed is no reference"))
    }

    async fn fetch(&self, reference: &Reference) -> Result<SecretBytes, Error> {
        let whole = self.ask(reference).await?.value(reference)?;
        selected(reference, whole)
    }

    /// The version before, if there is one.
    async fn fetch_previous(&self, reference: &Reference) -> Result<Option<SecretBytes>, Error> {
        let select = Select::Label(BEFORE.to_owned());
        let before = Reference { select, previous: false, ..reference.clone() };
        match self.ask(&before).await? {
            Fetched::NotFound(_) => Ok(None),
            found @ (Fetched::Value(_) | Fetched::Deleted(_)) => {
                selected(&before, found.value(&before)?).map(Some)
            }
        }
    }

    async fn ask(&self, reference: &Reference) -> Result<Fetched, Error> {
        let Some(source) = &self.references.source else {
            let problem = format!("{reference}: references lead to AWS, which is not configured");
            return Err(failed(problem, Alarm::ReferenceNotAllowed));
        };
        source.fetch(reference).await
    }
}

/// Tells what serves beside a stored reference from everything else.
fn digest_beside(stored: &SealedVersion) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(stored.digest());
    hash.update(BEFORE);
    hash.finalize().into()
}

fn failed(problem: String, alarm: Alarm) -> Error {
    Error::new("references.fetch", problem).with_alarm(Some(alarm))
}

/// The piece of a kept secret that a reference means. Says nothing of its value.
fn selected(reference: &Reference, whole: SecretBytes) -> Result<SecretBytes, Error> {
    let unusable =
        |problem: &str| failed(format!("{reference}: {problem}"), Alarm::ReferenceUnusable);
    let value = match &reference.pointer {
        None => whole,
        Some(pointer) => {
            let mut json: serde_json::Value = serde_json::from_slice(whole.expose())
                .map_err(|_| unusable("it is no JSON, and a piece of it is asked for"))?;
            let piece = match json.pointer_mut(pointer) {
                Some(serde_json::Value::String(text)) => Ok(std::mem::take(text)),
                Some(_) => Err("what the pointer leads to is no string"),
                None => Err("the pointer leads to nothing"),
            };
            wipe(&mut json);
            SecretBytes::new(piece.map_err(unusable)?.into_bytes())
        }
    };
    check_size(&value).map_err(|problem| unusable(&problem))?;
    Ok(value)
}

/// Wipes the texts of a JSON value that is not needed any more.
fn wipe(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::String(text) => text.zeroize(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(wipe),
        serde_json::Value::Object(members) => members.values_mut().for_each(wipe),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}
