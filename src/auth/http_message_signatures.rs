//! `http_message_signatures`: HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530).

pub mod base;
pub mod component;
pub mod content_digest;
pub mod fields;
mod verify;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::key::{Algorithm, SigningKey};
use super::prepared::Prepared;
use super::verify::{Check, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::{Facts, SecretBytes};
use component::{Component, Message};
use content_digest::{DigestAlgorithm, content_digest};
use fields::{Bare, Parameters};

/// Longest time a signature may be valid for.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_COMPONENTS: [&str; 4] = ["@method", "@target-uri", "content-digest", "content-type"];

/// The scheme.
pub struct HttpMessageSignatures;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    algorithm: SignatureAlgorithm,
    /// The private key; for HMAC the shared one.
    secret: SecretId,
    /// By what the receiver finds the key.
    key_id: Option<String>,
    /// What is signed, in order.
    #[serde(default = "default_components")]
    components: Vec<String>,
    #[serde(default = "sig1")]
    label: String,
    /// From `created` to `expires`; without it, there is no `expires`.
    #[serde(default, with = "humantime_serde")]
    expires: Option<Duration>,
    /// Whether each signature has a nonce.
    #[serde(default)]
    nonce: bool,
    /// What the signature is for.
    tag: Option<String>,
    /// Whether the signature names its algorithm.
    #[serde(default)]
    include_alg: bool,
    /// The algorithm of `Content-Digest`.
    #[serde(default)]
    digest: DigestAlgorithm,
}

/// The algorithms by their registered names (RFC 9421 section 6.2.2).
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
enum SignatureAlgorithm {
    #[serde(rename = "ed25519")]
    Ed25519,
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    #[serde(rename = "ecdsa-p384-sha384")]
    EcdsaP384Sha384,
    #[serde(rename = "rsa-pss-sha512")]
    RsaPssSha512,
    #[serde(rename = "rsa-v1_5-sha256")]
    RsaV15Sha256,
}

impl SignatureAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::HmacSha256 => "hmac-sha256",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
        }
    }

    /// The same signatures are computed as those that JOSE names so.
    fn key(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::EdDsa,
            Self::HmacSha256 => Algorithm::Hs256,
            Self::EcdsaP256Sha256 => Algorithm::Es256,
            Self::EcdsaP384Sha384 => Algorithm::Es384,
            Self::RsaPssSha512 => Algorithm::Ps512,
            Self::RsaV15Sha256 => Algorithm::Rs256,
        }
    }
}

fn default_components() -> Vec<String> {
    DEFAULT_COMPONENTS.map(str::to_owned).to_vec()
}

fn sig1() -> String {
    "sig1".to_owned()
}

impl Scheme for HttpMessageSignatures {
    fn name(&self) -> &'static str {
        "http_message_signatures"
    }

    fn summary(&self) -> &'static str {
        "HTTP Message Signatures (RFC 9421) with Content-Digest"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "http_message_signatures", "algorithm": "ed25519", "secret": "key", "key_id": "acme-2026"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        Ok(Box::new(Signing::new(read_settings(settings)?)?))
    }
}

/// The settings, checked.
struct Signing {
    settings: Settings,
    components: Vec<Component>,
    keys: Prepared<SigningKey>,
}

impl Signing {
    fn new(settings: Settings) -> Result<Self, FieldError> {
        let mut components: Vec<Component> = Vec::with_capacity(settings.components.len());
        for (index, text) in settings.components.iter().enumerate() {
            let wrong = |e: String| FieldError::new(format!("components[{index}]"), e);
            let component = Component::of_setting(text).map_err(wrong)?;
            if components.contains(&component) {
                return Err(wrong("a component stands in the list once".to_owned()));
            }
            components.push(component);
        }
        if components.is_empty() {
            return Err(FieldError::new("components", "empty: nothing would be signed"));
        }
        if !fields::is_key(&settings.label) {
            let problem =
                "expected a lower-case letter, then lower-case letters, digits and any of _-.*";
            return Err(FieldError::new("label", problem));
        }
        for (name, text) in [("key_id", &settings.key_id), ("tag", &settings.tag)] {
            if text.as_deref().is_some_and(|text| text.is_empty() || !fields::is_string(text)) {
                return Err(FieldError::new(name, "expected printable ASCII characters"));
            }
        }
        let is_wrong =
            |d: Duration| d.as_secs() == 0 || d.subsec_nanos() != 0 || d > LONGEST_LIFETIME;
        if settings.expires.is_some_and(is_wrong) {
            let problem = "expected whole seconds, at least 1s and at most 24h";
            return Err(FieldError::new("expires", problem));
        }
        Ok(Self { settings, components, keys: Prepared::default() })
    }

    fn sets_digest(&self) -> bool {
        self.components.iter().any(|component| component.is_header("content-digest"))
    }

    /// The signature's parameters (RFC 9421 section 2.3).
    fn parameters(&self, call: &Call<'_>) -> Parameters {
        let settings = &self.settings;
        let created = call.now.as_secs();
        let text = |text: &str| Bare::String(text.to_owned());
        let expires = settings.expires.map(|lifetime| call.now.plus(lifetime).as_secs());
        [
            ("created", Some(Bare::Integer(created))),
            ("expires", expires.map(Bare::Integer)),
            ("keyid", settings.key_id.as_deref().map(text)),
            ("alg", settings.include_alg.then(|| text(settings.algorithm.name()))),
            ("nonce", settings.nonce.then(|| Bare::String((call.nonce)()))),
            ("tag", settings.tag.as_deref().map(text)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
    }
}

impl Step for Signing {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.settings.secret]
    }

    fn sets(&self) -> Vec<Part> {
        let mut names = vec!["signature-input", "signature"];
        names.extend(self.sets_digest().then_some("content-digest"));
        names.into_iter().map(|name| Part::Header(name.to_owned())).collect()
    }

    fn covers_url(&self) -> bool {
        self.components.iter().any(Component::covers_query)
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        SigningKey::parse(self.settings.algorithm.key(), secret, value).map(drop)
    }

    fn check_facts(&self, secret: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        self.settings.algorithm.key().check_kind(secret, facts)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let settings = &self.settings;
        let key = self.keys.get(call.secret(&settings.secret)?, |value| {
            SigningKey::parse(settings.algorithm.key(), &settings.secret, value)
        })?;
        if self.sets_digest() {
            let value = content_digest(settings.digest, &request.body);
            request.set_header("content-digest", HeaderValue::Plain(value));
        }
        let url = request.full_url();
        let message = Message {
            method: request.method.as_str(),
            url: &url,
            headers: texts(request)?,
            body_length: request.body.len(),
        };
        let base = base::signature_base(&message, &self.components, self.parameters(call))
            .map_err(|e| AuthError::new(format!("the request cannot be signed: {e}")))?;
        let signature = Bare::Bytes(key.sign(base.text.as_bytes())?);
        let mut value = format!("{}=", settings.label);
        fields::push_item(&mut value, &fields::Item { value: signature, parameters: Vec::new() });
        let input = format!("{}={}", settings.label, base.input);
        request.set_header("signature-input", HeaderValue::Plain(input));
        request.set_header("signature", HeaderValue::Plain(value));
        Ok(())
    }

    fn verify(&self, check: &Check<'_>) -> Vec<Finding> {
        self.findings(check)
    }
}

/// The request's headers as text.
fn texts(request: &OutboundRequest) -> Result<Vec<(&str, &str)>, AuthError> {
    let mut texts = Vec::with_capacity(request.headers.len());
    for header in &request.headers {
        let value = std::str::from_utf8(header.value.expose())
            .map_err(|_| AuthError::new(format!("the header {} is not text", header.name)))?;
        texts.push((&*header.name, value));
    }
    Ok(texts)
}
