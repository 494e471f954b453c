//! `hmac`: a signature with a shared secret, in the format of a provider (a preset) or in any other
//! (`custom`). One engine reads all formats from data.

pub mod algorithm;
mod diagnose;
pub mod format;
mod json;
pub mod key;
mod layout;
mod message;
pub mod preset;
pub mod signer;
mod spelling;
mod template;
pub mod timestamp;
pub mod verify;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use self::algorithm::{Algorithm, Encoding};
use self::format::{Format, Spec};
use self::key::{KeyFormat, Spelling};
use self::preset::PRESETS;
use self::signer::Signer;
use self::timestamp::Unit;
use super::verify::{Check, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::{Facts, SecretBytes};

/// The scheme.
pub struct Hmac;

/// The preset that is none: every setting is given.
const CUSTOM: &str = "custom";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The key.
    secret: SecretId,
    /// A provider's name; `custom` if it is left out.
    preset: Option<String>,
    /// With a preset: another name for the header that carries the signature.
    header: Option<String>,
    /// How the secret is spelled.
    key: Option<Spelling>,
    /// What may stand before the secret.
    key_prefix: Option<String>,
    /// What stands between the signatures of a rotation.
    rotation: Option<String>,
    /// The headers that are signed, in order.
    #[serde(default)]
    covered_headers: Vec<String>,
    mac: Option<Algorithm>,
    string_to_sign: Option<String>,
    output: Option<Encoding>,
    headers: Option<BTreeMap<String, String>>,
    query: Option<BTreeMap<String, String>>,
    body_at: Option<String>,
    timestamp: Option<Unit>,
}

impl Scheme for Hmac {
    fn name(&self) -> &'static str {
        "hmac"
    }

    fn summary(&self) -> &'static str {
        "HMAC signatures in the formats of providers, or in one of your own"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "hmac", "preset": "stripe", "secret": "signing"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let settings: Settings = read_settings(settings)?;
        let mut spec = match settings.preset.as_deref() {
            None | Some(CUSTOM) => settings.custom()?,
            Some(name) => settings.of_preset(name)?,
        };
        spec.covered_headers = settings.covered_headers;
        if settings.rotation.as_deref() == Some("") {
            return Err(FieldError::new(
                "rotation",
                "empty: expected what stands between signatures",
            ));
        }
        Ok(Box::new(Signer::new(Format::new(&spec)?, settings.secret)))
    }
}

impl Settings {
    /// A preset, with what may be changed of it.
    fn of_preset(&self, name: &str) -> Result<Spec, FieldError> {
        let preset = PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
            let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            let problem = format!(
                "{name:?} is not a preset: expected {CUSTOM} or one of {}",
                known.join(", ")
            );
            FieldError::new("preset", problem)
        })?;
        let fixed = [
            ("mac", self.mac.is_some()),
            ("string_to_sign", self.string_to_sign.is_some()),
            ("output", self.output.is_some()),
            ("headers", self.headers.is_some()),
            ("query", self.query.is_some()),
            ("body_at", self.body_at.is_some()),
            ("timestamp", self.timestamp.is_some()),
        ];
        if let Some((path, _)) = fixed.iter().find(|(_, given)| *given) {
            let problem = format!("the preset {name} decides this: leave it out, or use {CUSTOM}");
            return Err(FieldError::new(*path, problem));
        }
        let mut spec = Spec::from(preset);
        if let Some(spelling) = self.key {
            spec.key = KeyFormat { spelling, prefix: String::new() };
        }
        if let Some(prefix) = &self.key_prefix {
            spec.key.prefix.clone_from(prefix);
        }
        if self.rotation.is_some() {
            spec.rotation.clone_from(&self.rotation);
        }
        if let Some(header) = &self.header {
            rename(&mut spec, header)?;
        }
        Ok(spec)
    }

    /// A format of the user's own.
    fn custom(&self) -> Result<Spec, FieldError> {
        fn given<T: Clone>(value: &Option<T>, path: &str, wanted: &str) -> Result<T, FieldError> {
            let missing =
                || FieldError::new(path, format!("missing: expected {wanted}, or a preset"));
            value.clone().ok_or_else(missing)
        }
        if self.header.is_some() {
            let problem = "only a preset has one header to rename: name it in headers";
            return Err(FieldError::new("header", problem));
        }
        let mac = "hmac-sha1, hmac-sha256, hmac-sha384 or hmac-sha512";
        let headers = self.headers.clone().unwrap_or_default();
        for name in headers.keys() {
            check_header(&format!("headers.{name}"), name)?;
        }
        Ok(Spec {
            mac: given(&self.mac, "mac", mac)?,
            key: KeyFormat {
                spelling: given(&self.key, "key", "utf8, base64 or hex")?,
                prefix: self.key_prefix.clone().unwrap_or_default(),
            },
            string_to_sign: given(
                &self.string_to_sign,
                "string_to_sign",
                "a template such as {ts}.{body}",
            )?,
            also: Vec::new(),
            output: given(&self.output, "output", "hex, hex_upper, base64 or base64url")?,
            headers: headers.into_iter().collect(),
            query: self.query.clone().unwrap_or_default().into_iter().collect(),
            body_at: self.body_at.clone(),
            timestamp: self.timestamp.unwrap_or(Unit::Seconds),
            rotation: self.rotation.clone(),
            covered_headers: Vec::new(),
            covered: None,
        })
    }
}

/// Gives the header with the signature another name.
fn rename(spec: &mut Spec, to: &str) -> Result<(), FieldError> {
    check_header("header", to)?;
    let versions = spec.covered.as_mut().map(|(_, headers)| headers);
    let all = versions.into_iter().flatten().chain(&mut spec.headers);
    let mut renamed = false;
    for (name, _) in all.filter(|(_, template)| template.contains("{sig}")) {
        to.clone_into(name);
        renamed = true;
    }
    let problem = "this preset sets no header";
    renamed.then_some(()).ok_or_else(|| FieldError::new("header", problem))
}

/// Names that prove an origin are for presets, which are known to use them rightly.
fn check_header(path: &str, name: &str) -> Result<(), FieldError> {
    let checked = header::check_name(name).and_then(|name| header::check_not_reserved(&name));
    checked.map_err(|e| FieldError::new(path, e.to_string()))
}

impl Step for Signer {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.secret]
    }

    fn sets(&self) -> Vec<Part> {
        self.sets()
    }

    fn covers_url(&self) -> bool {
        self.format.covers_url()
    }

    fn check_secret(&self, _: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        self.key(value).map(drop)
    }

    fn check_facts(&self, _: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        self.check_facts(facts)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        for (name, value) in self.sign(request, call)? {
            request.set_header(&name, HeaderValue::Plain(value));
        }
        Ok(())
    }

    fn verify(&self, check: &Check<'_>) -> Vec<Finding> {
        verify::verify(self, check)
    }
}
