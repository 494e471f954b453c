//! `standard_webhooks`: HMAC-SHA256 over id, timestamp and body (Standard Webhooks, version `v1`).
//!
//! During a rotation the previous value signs too, and both signatures stand in the header.

use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::prepared::Prepared;
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;

/// Receivers' libraries accept secrets with and without padding, and cut short by hand.
const UNPADDED_TOO: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
const PREFIX: &str = "whsec_";

/// The scheme.
pub struct StandardWebhooks;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The signing secret: base64, with or without the prefix `whsec_`.
    secret: SecretId,
    #[serde(skip)]
    keys: Prepared<Zeroizing<Vec<u8>>>,
}

impl Scheme for StandardWebhooks {
    fn name(&self) -> &'static str {
        "standard_webhooks"
    }

    fn summary(&self) -> &'static str {
        "signatures of Standard Webhooks over id, timestamp and body"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "standard_webhooks", "secret": "signing"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        Ok(Box::new(read_settings::<Settings>(settings)?))
    }
}

impl Step for Settings {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.secret]
    }

    fn sets(&self) -> Vec<Part> {
        let names = ["webhook-timestamp", "webhook-signature"];
        names.map(|name| Part::Header(name.to_owned())).to_vec()
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        decode_key(value).map(drop).ok_or_else(|| AuthError::of_secret(secret, WANTED_KEY))
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let id = call.job_id.as_str();
        if id.contains('.') {
            // The dot parts id, timestamp and body: with one inside, two messages share a signature.
            return Err(AuthError::new(
                "the job's id holds a '.', which Standard Webhooks forbids",
            ));
        }
        let timestamp = call.now.as_secs().to_string();
        let mut signatures = String::new();
        call.secret(&self.secret)?;
        for value in call.all(&self.secret) {
            let key = self.keys.get(value, |value| self.key(value))?;
            if !signatures.is_empty() {
                signatures.push(' ');
            }
            signatures.push_str("v1,");
            signatures.push_str(&BASE64_STANDARD.encode(sign(
                &key,
                id,
                &timestamp,
                &request.body,
            )?));
        }
        request.set_header("webhook-id", HeaderValue::Plain(id.to_owned()));
        request.set_header("webhook-timestamp", HeaderValue::Plain(timestamp));
        request.set_header("webhook-signature", HeaderValue::Plain(signatures));
        Ok(())
    }
}

impl Settings {
    fn key(&self, value: &SecretBytes) -> Result<Zeroizing<Vec<u8>>, AuthError> {
        decode_key(value).ok_or_else(|| AuthError::of_secret(&self.secret, WANTED_KEY))
    }
}

const WANTED_KEY: &str =
    "expected whsec_ and the base64 of 1 to 512 bytes (24 to 64 are recommended)";

/// The key's bytes. The specification recommends 24 to 64; shorter and longer ones are in use.
fn decode_key(value: &SecretBytes) -> Option<Zeroizing<Vec<u8>>> {
    let text = value.expose_str()?.trim_end_matches(['\r', '\n']);
    let key = Zeroizing::new(UNPADDED_TOO.decode(text.strip_prefix(PREFIX).unwrap_or(text)).ok()?);
    (1..=512).contains(&key.len()).then_some(key)
}

fn sign(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Result<[u8; 32], AuthError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| AuthError::new(e.to_string()))?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().into())
}
