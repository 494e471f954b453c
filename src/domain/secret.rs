//! Secrets: bytes that a customer gave us, in types that cannot be printed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::{self, Origin};
use crate::domain::reference::Keeper;
use crate::domain::timestamp::Timestamp;

/// Largest secret value, in bytes: two sealed values have to fit a DynamoDB item of 400 KB.
pub const MAX_VALUE: usize = 64 * 1024;

/// Checks the size of a value that is to be sealed.
///
/// # Errors
/// If it is empty or larger than [`MAX_VALUE`].
pub fn check_size(value: &SecretBytes) -> Result<(), String> {
    match value.expose().len() {
        0 => Err("the value is empty".to_owned()),
        1..=MAX_VALUE => Ok(()),
        _ => Err(format!("the value has more than {MAX_VALUE} bytes")),
    }
}

/// Bytes of a secret. Has neither `Debug` nor `Display`, and is wiped from memory when the last clone
/// is dropped.
#[derive(Clone)]
pub struct SecretBytes(Arc<Zeroizing<Vec<u8>>>);

impl SecretBytes {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// Whether these are the same bytes. Quick for clones; says by its time where others differ, so
    /// it is for values that are both ours.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }

    /// The bytes. Whoever calls this answers for where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// What a sealed value is bound to: it opens under exactly these facts and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Whose secret it is.
    pub customer_id: CustomerId,
    /// Its name.
    pub secret_id: SecretId,
    /// The version of the value, from 1.
    pub version: u64,
    /// Where the value may go.
    pub origins: BTreeSet<Origin>,
}

impl Binding {
    /// The facts as sorted pairs: the encryption context of AWS KMS and the associated data of the
    /// envelope. Values are text, because KMS knows nothing else.
    pub fn context(&self) -> Vec<(&'static str, String)> {
        self.context_for("sealpost-secret")
    }

    /// The same for a reference: what was sealed as a value is never taken for one, nor one for a value.
    pub fn reference_context(&self) -> Vec<(&'static str, String)> {
        self.context_for("sealpost-reference")
    }

    fn context_for(&self, purpose: &str) -> Vec<(&'static str, String)> {
        let digest = origin::digest(&self.origins);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![
            ("customerId", self.customer_id.to_string()),
            ("origins", hex),
            ("purpose", purpose.to_owned()),
            ("secretId", self.secret_id.to_string()),
            ("version", self.version.to_string()),
        ]
    }
}

/// How a value is sealed: the first byte of the sealed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedKind {
    /// In an envelope, under a data key that the key service wraps.
    Envelope = 1,
    /// By the key service itself.
    Direct = 2,
    /// By the key service itself, without context, by a program that is not sealpost.
    Unbound = 3,
    /// To the customer's tenant key.
    TenantKey = 4,
    /// A reference to a secret in AWS Secrets Manager, itself sealed in another way.
    SecretsManager = 5,
    /// A reference to a parameter of AWS Systems Manager, itself sealed in another way.
    Ssm = 6,
}

impl SealedKind {
    const ALL: [Self; 6] = [
        Self::Envelope,
        Self::Direct,
        Self::Unbound,
        Self::TenantKey,
        Self::SecretsManager,
        Self::Ssm,
    ];

    /// The kind of a reference to what `keeper` keeps.
    pub fn of(keeper: Keeper) -> Self {
        match keeper {
            Keeper::SecretsManager => Self::SecretsManager,
            Keeper::Ssm => Self::Ssm,
        }
    }

    /// Whether what is sealed is a reference.
    pub fn is_reference(self) -> bool {
        match self {
            Self::SecretsManager | Self::Ssm => true,
            Self::Envelope | Self::Direct | Self::Unbound | Self::TenantKey => false,
        }
    }

    /// The byte that stands for it.
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Direct => "direct",
            Self::Unbound => "unbound",
            Self::TenantKey => "tenant_key",
            Self::SecretsManager => Keeper::SecretsManager.word(),
            Self::Ssm => Keeper::Ssm.word(),
        }
    }

    /// The kind of sealed bytes, and what follows the byte that says so.
    pub fn split(sealed: &[u8]) -> Option<(Self, &[u8])> {
        let (first, rest) = sealed.split_first()?;
        Self::ALL.into_iter().find(|kind| kind.byte() == *first).map(|kind| (kind, rest))
    }
}

/// One version of a secret as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedVersion {
    /// From 1, one more with every put; 0 if it is unbound.
    pub version: u64,
    /// The sealed bytes, beginning with their [`SealedKind`].
    #[serde(with = "base64_text")]
    pub sealed: Vec<u8>,
    /// Where the value may go.
    pub origins: BTreeSet<Origin>,
    /// When it was put.
    pub created_at: Timestamp,
    /// What is known of the value that is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
}

/// What a value says that is no secret: kept beside the sealed value when it is put, so that it can be
/// shown where nobody may decrypt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// Whom a certificate is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_subject: Option<String>,
    /// Who vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_issuer: Option<String>,
    /// SHA-256 of the certificate, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_fingerprint: Option<String>,
    /// The beginning of a certificate's validity; of the chain's latest, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The end of a certificate's validity; of the chain's shortest, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The kind of an asymmetric key, as in `EC P-256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_bits: Option<u32>,
    /// Its public half, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The thumbprint of its public half as a JWK (RFC 7638).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwk_thumbprint: Option<String>,
}

/// How long before its end a certificate is warned about.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

impl Facts {
    /// What is to be said of a certificate that has ended at `now`, or ends soon.
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let end = self.not_after?;
        if end <= now {
            Some(format!("ended at {end}"))
        } else if end <= now.plus(SOON) {
            Some(format!("ends at {end}: put a new one"))
        } else {
            None
        }
    }
}

impl SealedVersion {
    /// A value that another program had sealed by the key service, bound to nothing.
    pub fn unbound(ciphertext: &[u8], created_at: Timestamp) -> Self {
        let sealed = [&[SealedKind::Unbound.byte()], ciphertext].concat();
        Self { version: 0, sealed, origins: BTreeSet::new(), created_at, facts: None }
    }

    /// Whether the value is bound to no customer, no name and no origins.
    pub fn is_unbound(&self) -> bool {
        matches!(SealedKind::split(&self.sealed), Some((SealedKind::Unbound, _)))
    }

    /// Whether what is sealed is a reference.
    pub fn is_reference(&self) -> bool {
        SealedKind::split(&self.sealed).is_some_and(|(kind, _)| kind.is_reference())
    }

    /// SHA-256 over all that decides to what the value opens and where it may go.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.version.to_be_bytes());
        hash.update(origin::digest(&self.origins));
        hash.update(&self.sealed);
        hash.finalize().into()
    }

    /// Whether the value may go to `origin`, as far as the value itself says. An unbound one names
    /// no origins: it may go wherever an endpoint of its customer is.
    pub fn may_go_to(&self, origin: &Origin) -> bool {
        self.is_unbound() || self.origins.contains(origin)
    }
}

/// A secret as a store keeps it: the current version and, for a while, the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecret {
    /// The version that is used.
    pub current: SealedVersion,
    /// The version before, while receivers may still expect it.
    pub previous: Option<SealedVersion>,
    /// Until when the previous version is used beside the current one.
    pub previous_until: Option<Timestamp>,
}

impl SealedSecret {
    /// The versions in use at `now`, the current one first.
    pub fn in_use(&self, now: Timestamp) -> impl Iterator<Item = &SealedVersion> {
        let overlap = self.previous_until.is_some_and(|until| now < until);
        std::iter::once(&self.current).chain(self.previous.iter().filter(move |_| overlap))
    }
}

/// Bytes as base64 text, in stored records.
mod base64_text {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
