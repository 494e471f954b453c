//! Binds ciphertexts with KMS `ReEncrypt`: decrypted and encrypted inside KMS, under an administrator's
//! rights (`kms:ReEncryptFrom` and `kms:ReEncryptTo`).

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::re_encrypt::ReEncryptError;
use aws_sdk_kms::primitives::Blob;

use super::classify::{Failure, key_failed};
use super::kms::{MAX_CIPHERTEXT, encryption_context, missing};
use crate::ports::Result;
use crate::ports::keys::Context;
use crate::ports::rebind::{Rebind, Rebound};

/// One symmetric KMS key that wraps its own ciphertexts anew.
pub struct KmsRebind {
    client: Client,
    key_id: String,
}

impl KmsRebind {
    /// The key of this id, ARN or alias.
    pub fn new(client: &Client, key_id: &str) -> Self {
        Self { client: client.clone(), key_id: key_id.to_owned() }
    }
}

#[async_trait]
impl Rebind for KmsRebind {
    async fn bind(&self, wrapped: &[u8], context: &Context) -> Result<Rebound> {
        if !(1..=MAX_CIPHERTEXT).contains(&wrapped.len()) {
            let problem = format!("{} bytes are no ciphertext of KMS", wrapped.len());
            return Ok(Rebound::Refused(problem));
        }
        // Naming the source key keeps KMS from taking what somebody else wrapped with a key of theirs.
        let asked = self.client.re_encrypt().ciphertext_blob(Blob::new(wrapped));
        let asked = asked.source_key_id(&self.key_id).destination_key_id(&self.key_id);
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
