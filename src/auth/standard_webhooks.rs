//! `standard_webhooks`: signatures over id, timestamp and body (Standard Webhooks), of version `v1`
//! (HMAC-SHA256), `v1a` (Ed25519) or both.
//!
//! During a rotation the previous value of a secret signs too, and all signatures stand in the header.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::hmac::algorithm::Algorithm;
use super::hmac::format::{Format, Spec};
use super::hmac::preset::{Preset, STANDARD_WEBHOOKS};
use super::hmac::signer::Signer;
use super::hmac::verify;
use super::verify::{Check, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::{Facts, SecretBytes};

const SIGNATURE: &str = "webhook-signature";

/// The format of version `v1a`: as `v1`, signed with a key pair.
const V1A: Preset = Preset {
    name: "v1a",
    mac: Algorithm::Ed25519,
    key_prefix: "whsk_",
    headers: &[("webhook-id", "{id}"), ("webhook-timestamp", "{ts}"), (SIGNATURE, "v1a,{sig}")],
    join: Some(" v1a,"),
    ..STANDARD_WEBHOOKS
};

/// The scheme.
pub struct StandardWebhooks;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The key of `v1`: base64, with or without the prefix `whsec_`.
    secret: Option<SecretId>,
    /// The key pair of `v1a`: base64 of seed and public key, with or without the prefix `whsk_`.
    ed25519_secret: Option<SecretId>,
}

/// One signer for each version, `v1` first.
struct Signers(Vec<Signer>);

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
        let settings: Settings = read_settings(settings)?;
        let of = |preset: &Preset, secret: Option<SecretId>| {
            secret.map(|secret| Ok(Signer::new(Format::new(&Spec::from(preset))?, secret)))
        };
        let versions = [of(&STANDARD_WEBHOOKS, settings.secret), of(&V1A, settings.ed25519_secret)];
        let signers: Vec<_> = versions.into_iter().flatten().collect::<Result<_, _>>()?;
        if signers.is_empty() {
            let problem =
                "missing: expected a secret's id here (v1), in ed25519_secret (v1a) or in both";
            return Err(FieldError::new("secret", problem));
        }
        Ok(Box::new(Signers(signers)))
    }
}

impl Step for Signers {
    fn secrets(&self) -> Vec<&SecretId> {
        self.0.iter().map(|signer| &signer.secret).collect()
    }

    fn sets(&self) -> Vec<Part> {
        self.0.first().map(Signer::sets).unwrap_or_default()
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        let mut using = self.0.iter().filter(|signer| signer.secret == *secret);
        using.try_for_each(|signer| signer.key(value).map(drop))
    }

    fn check_facts(&self, secret: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        let mut using = self.0.iter().filter(|signer| signer.secret == *secret);
        using.try_for_each(|signer| signer.check_facts(facts))
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let mut signatures = Vec::with_capacity(self.0.len());
        for signer in &self.0 {
            for (name, value) in signer.sign(request, call)? {
                match name == SIGNATURE {
                    true => signatures.push(value),
                    false => request.set_header(&name, HeaderValue::Plain(value)),
                }
            }
        }
        request.set_header(SIGNATURE, HeaderValue::Plain(signatures.join(" ")));
        Ok(())
    }

    /// Each version that has a secret has to be right: who checks the stronger one must find it.
    fn verify(&self, check: &Check<'_>) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for found in self.0.iter().flat_map(|signer| verify::verify(signer, check)) {
            if !findings.contains(&found) {
                findings.push(found);
            }
        }
        findings
    }
}
