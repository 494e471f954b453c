//! Binds ciphertexts with KMS `ReEncrypt`: decrypted and encrypted inside KMS, under an administrator's
//! rights (`kms:ReEncryptFrom` and `kms:ReEncryptTo`).

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::re_encrypt::ReEncryptError;
use aws_sdk_kms::primitives::Blob;

use super::classify::{Failure, key_failed};
use super::kms::{MAX_CIPHERTEXT, NO_LEGACY_KEY, encryption_context, missing};
use crate::ports::Result;
use crate::ports::keys::Context;
use crate::ports::rebind::{Rebind, Rebound};

/// One symmetric KMS key that wraps anew what legacy keys wrapped without a context.
pub struct KmsRebind {
    client: Client,
    key_id: String,
    legacy: Vec<String>,
}

impl KmsRebind {
    /// To the key of this id, ARN or alias, from these.
    pub fn new(client: &Client, key_id: &str, legacy: Vec<String>) -> Self {
        Self { client: client.clone(), key_id: key_id.to_owned(), legacy }
    }

    /// Naming the source key keeps KMS from taking what somebody else wrapped with a key of theirs.
    async fn bind_from(&self, key: &str, wrapped: &[u8], context: &Context) -> Result<Rebound> {
        let asked = self.client.re_encrypt().ciphertext_blob(Blob::new(wrapped));
        let asked = asked.source_key_id(key).destination_key_id(&self.key_id);
        let asked = asked.set_destination_encryption_context(encryption_context(context));
        match asked.send().await {
            Ok(made) => {
                let wrapped = made.ciphertext_blob.map(Blob::into_inner);
                wrapped.map(Rebound::Wrapped).ok_or_else(|| missing("keys.bind"))
            }
            Err(error) => match error.as_service_error() {
                Some(
                    ReEncryptError::InvalidCiphertextException(_)
                    | ReEncryptError::IncorrectKeyException(_),
                ) => Ok(Rebound::Refused(Failure::of(&error).to_string())),
                _ => Err(key_failed("keys.bind", &error)),
            },
        }
    }
}

#[async_trait]
impl Rebind for KmsRebind {
    async fn bind(&self, wrapped: &[u8], context: &Context) -> Result<Rebound> {
        if !(1..=MAX_CIPHERTEXT).contains(&wrapped.len()) {
            let problem = format!("{} bytes are no ciphertext of KMS", wrapped.len());
            return Ok(Rebound::Refused(problem));
        }
        let mut refused = NO_LEGACY_KEY.to_owned();
        for key in &self.legacy {
            match self.bind_from(key, wrapped, context).await? {
                Rebound::Refused(problem) => refused = problem,
                bound @ Rebound::Wrapped(_) => return Ok(bound),
            }
        }
        Ok(Rebound::Refused(refused))
    }
}
