//! Keys in AWS KMS. The key never leaves it: KMS makes data keys, and wraps and unwraps under the
//! encryption context.

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use super::classify::{Failure, key_failed};
use crate::domain::secret::SecretBytes;
use crate::ports::keys::{Context, DataKey, Unwrapped};
use crate::ports::{Error, OpenKeys, Result, SealKeys};

/// Longest ciphertext, in bytes ("Decrypt", AWS KMS API Reference).
pub(super) const MAX_CIPHERTEXT: usize = 6144;

/// What is said of a value without a context where no key is named for it.
pub(super) const NO_LEGACY_KEY: &str =
    "it has no encryption context, and no key is named for such values: `aws.legacy_kms_key_ids`";

/// One symmetric KMS key, to seal with: needs `kms:GenerateDataKey` and `kms:Encrypt`.
pub struct KmsSealer {
    client: Client,
    key_id: String,
}

/// One symmetric KMS key, to open with: needs `kms:Decrypt`. What has no context opens with the legacy
/// keys alone.
pub struct KmsOpener {
    client: Client,
    key_id: String,
    legacy: Vec<String>,
}

/// Both, for those who may do both.
pub struct KmsKeys {
    opener: KmsOpener,
    sealer: KmsSealer,
}

impl KmsSealer {
    /// The key of this id, ARN or alias.
    pub fn new(client: &Client, key_id: &str) -> Self {
        Self { client: client.clone(), key_id: key_id.to_owned() }
    }
}

impl KmsOpener {
    /// The key of this id, ARN or alias.
    pub fn new(client: &Client, key_id: &str) -> Self {
        Self { client: client.clone(), key_id: key_id.to_owned(), legacy: Vec::new() }
    }

    /// The same, which opens what has no context with these keys.
    #[must_use]
    pub fn with_legacy(self, legacy: Vec<String>) -> Self {
        Self { legacy, ..self }
    }

    /// Opens with this key, and with no other: a ciphertext names its key itself, and KMS would open with
    /// our rights what somebody else wrapped with a key of theirs ("Decrypt", AWS KMS API Reference).
    async fn decrypt(&self, key: &str, wrapped: &[u8], context: &Context) -> Result<Unwrapped> {
        let asked = self.client.decrypt().key_id(key).ciphertext_blob(Blob::new(wrapped));
        let sent = asked.set_encryption_context(encryption_context(context)).send().await;
        match sent {
            Ok(opened) => {
                let plain = opened.plaintext.ok_or_else(|| missing("keys.unwrap"))?;
                Ok(Unwrapped::Opened(SecretBytes::new(plain.into_inner())))
            }
            Err(error) => match error.as_service_error() {
                Some(
                    DecryptError::InvalidCiphertextException(_)
                    | DecryptError::IncorrectKeyException(_),
                ) => Ok(Unwrapped::Refused(Failure::of(&error).to_string())),
                _ => Err(key_failed("keys.unwrap", &error)),
            },
        }
    }
}

impl KmsKeys {
    /// The key of this id, ARN or alias.
    pub fn new(client: &Client, key_id: &str) -> Self {
        let opener = KmsOpener::new(client, key_id);
        Self { opener, sealer: KmsSealer::new(client, key_id) }
    }

    /// The same, which opens what has no context with these keys.
    #[must_use]
    pub fn with_legacy(self, legacy: Vec<String>) -> Self {
        Self { opener: self.opener.with_legacy(legacy), ..self }
    }
}

#[async_trait]
impl SealKeys for KmsKeys {
    async fn generate(&self, context: &Context) -> Result<DataKey> {
        self.sealer.generate(context).await
    }

    async fn wrap(&self, value: &SecretBytes, context: &Context) -> Result<Vec<u8>> {
        self.sealer.wrap(value, context).await
    }
}

#[async_trait]
impl OpenKeys for KmsKeys {
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped> {
        self.opener.unwrap(wrapped, context).await
    }
}

pub(super) type EncryptionContext = Option<std::collections::HashMap<String, String>>;

pub(super) fn encryption_context(context: &Context) -> EncryptionContext {
    let pairs = context.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Some(pairs.collect()).filter(|pairs: &std::collections::HashMap<_, _>| !pairs.is_empty())
}

pub(super) fn missing(operation: &'static str) -> Error {
    Error::new(operation, "KMS answered without what was asked for")
}

#[async_trait]
impl OpenKeys for KmsOpener {
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Unwrapped> {
        // KMS would refuse the call and not the ciphertext, and that would count as ours for ever.
        if !(1..=MAX_CIPHERTEXT).contains(&wrapped.len()) {
            let problem = format!("{} bytes are no ciphertext of KMS", wrapped.len());
            return Ok(Unwrapped::Refused(problem));
        }
        if !context.is_empty() {
            return self.decrypt(&self.key_id, wrapped, context).await;
        }
        let mut refused = NO_LEGACY_KEY.to_owned();
        for key in &self.legacy {
            match self.decrypt(key, wrapped, context).await? {
                Unwrapped::Refused(problem) => refused = problem,
                opened @ Unwrapped::Opened(_) => return Ok(opened),
            }
        }
        Ok(Unwrapped::Refused(refused))
    }
}

#[async_trait]
impl SealKeys for KmsSealer {
    async fn generate(&self, context: &Context) -> Result<DataKey> {
        let asked = self.client.generate_data_key().key_id(&self.key_id);
        let asked = asked.key_spec(DataKeySpec::Aes256);
        let made = asked.set_encryption_context(encryption_context(context)).send().await;
        let made = made.map_err(|e| key_failed("keys.generate", &e))?;
        let (Some(plain), Some(wrapped)) = (made.plaintext, made.ciphertext_blob) else {
            return Err(missing("keys.generate"));
        };
        let plain = SecretBytes::new(plain.into_inner());
        Ok(DataKey { plain, wrapped: wrapped.into_inner() })
    }

    async fn wrap(&self, value: &SecretBytes, context: &Context) -> Result<Vec<u8>> {
        let asked = self.client.encrypt().key_id(&self.key_id);
        let asked = asked.plaintext(Blob::new(value.expose()));
        let made = asked.set_encryption_context(encryption_context(context)).send().await;
        let made = made.map_err(|e| key_failed("keys.wrap", &e))?;
        made.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| missing("keys.wrap"))
    }
}
