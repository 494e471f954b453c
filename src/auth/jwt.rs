//! `jwt`: a JSON Web Token (RFC 7519) that is made and signed for each call, in a header.

mod claims;
mod verify;

use std::time::Duration;

use aws_lc_rs::digest;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jws;
use super::key::{Algorithm, SigningKey};
use super::prepared::Prepared;
use super::verify::{Check, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::{Facts as KeptFacts, SecretBytes};
use claims::{Claim, Facts};

/// Longest time a token may be valid for.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The scheme.
pub struct Jwt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    algorithm: Algorithm,
    /// The private key; for HMAC the shared one.
    secret: SecretId,
    /// The key's id, for the token's header.
    kid: Option<String>,
    /// The request's header that the token goes into.
    #[serde(default = "authorization")]
    header: String,
    /// Plain text before the token.
    prefix: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    /// One text, or a list of texts.
    audience: Option<Audience>,
    /// From `iat` to `exp`.
    #[serde(default = "five_minutes", with = "humantime_serde")]
    lifetime: Duration,
    /// Whether the token says from when on it is valid: the time of the call.
    #[serde(default)]
    nbf: bool,
    /// Whether the token has an id of its own.
    #[serde(default = "yes")]
    jti: bool,
    /// Further claims.
    #[serde(default)]
    claims: Map<String, Value>,
    body_hash: Option<BodyHash>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// A claim that holds a digest of the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyHash {
    claim: String,
    #[serde(default)]
    algorithm: Hash,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum Hash {
    #[default]
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Hex,
    Base64,
    Base64Url,
}

fn authorization() -> String {
    "authorization".to_owned()
}

fn five_minutes() -> Duration {
    Duration::from_secs(5 * 60)
}

fn yes() -> bool {
    true
}

impl Scheme for Jwt {
    fn name(&self) -> &'static str {
        "jwt"
    }

    fn summary(&self) -> &'static str {
        "a JSON Web Token made and signed for each call"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "jwt", "algorithm": "ES256", "secret": "key", "kid": "2026-11", "issuer": "acme", "audience": "{url}"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let settings: Settings = read_settings(settings)?;
        Ok(Box::new(JwtStep::new(settings)?))
    }
}

/// The settings, checked.
struct JwtStep {
    settings: Settings,
    prefix: String,
    /// The claims that are not automatic.
    claims: Vec<(String, Claim)>,
    keys: Prepared<SigningKey>,
}

impl JwtStep {
    fn new(mut settings: Settings) -> Result<Self, FieldError> {
        let refuse = |e: header::InvalidHeader| FieldError::new("header", e.to_string());
        settings.header = header::check_name(&settings.header).map_err(refuse)?;
        header::check_not_reserved(&settings.header).map_err(refuse)?;
        let bearer = if settings.header == "authorization" { "Bearer " } else { "" };
        let prefix = settings.prefix.clone().unwrap_or_else(|| bearer.to_owned());
        header::check_value(&prefix).map_err(|e| FieldError::new("prefix", e.to_string()))?;
        if prefix.starts_with([' ', '\t']) {
            let problem = "begins with white space, which receivers cut off";
            return Err(FieldError::new("prefix", problem));
        }
        if settings.kid.as_deref() == Some("") {
            return Err(FieldError::new("kid", "empty; expected the key's id, or leave it out"));
        }
        if settings.lifetime.as_secs() == 0
            || settings.lifetime.subsec_nanos() != 0
            || settings.lifetime > LONGEST_LIFETIME
        {
            let problem = "expected whole seconds, at least 1s and at most 24h";
            return Err(FieldError::new("lifetime", problem));
        }
        let claims = settings.compile_claims()?;
        Ok(Self { settings, prefix, claims, keys: Prepared::default() })
    }
}

impl Settings {
    /// Every claim that is not automatic, with no name twice.
    fn compile_claims(&self) -> Result<Vec<(String, Claim)>, FieldError> {
        let mut automatic = vec!["iat", "exp"];
        automatic.extend(self.nbf.then_some("nbf"));
        automatic.extend(self.jti.then_some("jti"));
        let mut compiled: Vec<(String, Claim)> = Vec::new();
        if let Some(hash) = &self.body_hash {
            if automatic.contains(&hash.claim.as_str()) || hash.claim.is_empty() {
                let problem = "empty, or a claim that is set anyway; expected a name of its own";
                return Err(FieldError::new("body_hash.claim", problem));
            }
            automatic.push(&hash.claim);
        }
        let own = [
            ("iss", "issuer", self.issuer.clone().map(Value::String)),
            ("sub", "subject", self.subject.clone().map(Value::String)),
            ("aud", "audience", self.audience.as_ref().map(Audience::value)),
        ];
        let own = own.into_iter().filter_map(|(claim, path, value)| {
            value.map(|value| (claim.to_owned(), path.to_owned(), value))
        });
        let further = self.claims.iter();
        let further = further.map(|(name, v)| (name.clone(), format!("claims.{name}"), v.clone()));
        for (name, path, value) in own.chain(further) {
            let is_set = automatic.contains(&name.as_str());
            if is_set || compiled.iter().any(|(known, _)| *known == name) {
                let problem = format!("the claim {name} is set by another setting");
                return Err(FieldError::new(path, problem));
            }
            let claim = Claim::compile(&path, &value)?;
            compiled.push((name, claim));
        }
        Ok(compiled)
    }
}

impl Audience {
    fn value(&self) -> Value {
        match self {
            Self::One(text) => text.clone().into(),
            Self::Many(texts) => texts.clone().into(),
        }
    }
}

impl BodyHash {
    fn of(&self, body: &[u8]) -> String {
        let algorithm = match self.algorithm {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        let digest = digest::digest(algorithm, body);
        match self.encoding {
            Encoding::Hex => digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            Encoding::Base64 => BASE64_STANDARD.encode(digest),
            Encoding::Base64Url => BASE64_URL_SAFE_NO_PAD.encode(digest),
        }
    }
}

impl Step for JwtStep {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.settings.secret]
    }

    fn sets(&self) -> Vec<Part> {
        vec![Part::Header(self.settings.header.clone())]
    }

    fn covers_url(&self) -> bool {
        self.claims.iter().any(|(_, claim)| claim.covers_url())
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        SigningKey::parse(self.settings.algorithm, secret, value).map(drop)
    }

    fn check_facts(&self, secret: &SecretId, facts: &KeptFacts) -> Result<(), AuthError> {
        self.settings.algorithm.check_kind(secret, facts)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let settings = &self.settings;
        let key = self.keys.get(call.secret(&settings.secret)?, |value| {
            SigningKey::parse(settings.algorithm, &settings.secret, value)
        })?;
        let claims = self.filled(request, call)?;
        let token = jws::sign(&key, settings.kid.as_deref(), Some("JWT"), &claims)?;
        let value = SecretBytes::new([self.prefix.as_bytes(), token.as_bytes()].concat());
        if value.expose().len() > header::MAX_VALUE {
            let problem = format!("the token is over {} bytes, too long", header::MAX_VALUE);
            return Err(AuthError::new(problem));
        }
        request.set_header(&settings.header, HeaderValue::Secret(value));
        Ok(())
    }

    fn verify(&self, check: &Check<'_>) -> Vec<Finding> {
        self.findings(check)
    }
}

impl JwtStep {
    fn filled(
        &self,
        request: &OutboundRequest,
        call: &Call<'_>,
    ) -> Result<Map<String, Value>, AuthError> {
        let settings = &self.settings;
        let now = call.now.as_secs();
        // At most 24 hours: fits.
        let lifetime = i64::try_from(settings.lifetime.as_secs()).unwrap_or(i64::MAX);
        let mut filled = Map::new();
        filled.insert("iat".to_owned(), now.into());
        filled.insert("exp".to_owned(), now.saturating_add(lifetime).into());
        if settings.nbf {
            filled.insert("nbf".to_owned(), now.into());
        }
        if settings.jti {
            filled.insert("jti".to_owned(), (call.nonce)().into());
        }
        if let Some(hash) = &settings.body_hash {
            filled.insert(hash.claim.clone(), hash.of(&request.body).into());
        }
        let facts = Facts { request, call };
        for (name, claim) in &self.claims {
            filled.insert(name.clone(), claim.fill(&facts)?);
        }
        Ok(filled)
    }
}
