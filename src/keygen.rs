//! Makes keys: what a scheme needs where we and not the customer choose the secret.

use aws_lc_rs::rand;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use clap::ValueEnum;
use zeroize::Zeroizing;

use crate::auth::hmac::key::Spelling;
use crate::auth::hmac::preset::PRESETS;
use crate::domain::secret::SecretBytes;
use crate::vault::{Public, pem};

/// Fewest and most bytes of a symmetric key (Standard Webhooks, "Signature scheme").
pub const SYMMETRIC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// One key that both sides hold
    Symmetric,
    /// A key pair on the curve P-256, as for ES256
    EcP256,
    /// A key pair on Curve25519, as for EdDSA
    Ed25519,
}

/// What key is made.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The scheme that it is for.
    pub scheme: &'w str,
    /// Its kind; the scheme's usual one, if it is left out.
    pub kind: Option<Kind>,
    /// For `hmac`, the format that it is for.
    pub preset: Option<&'w str>,
    /// How many random bytes a symmetric key has; as many as the scheme usually has, if it is left out.
    pub bytes: Option<usize>,
}

/// A new key.
pub struct Generated {
    /// What becomes the secret.
    pub value: SecretBytes,
    /// What receivers check with, of a key pair.
    pub public: Option<Public>,
    /// The same as `whpk_…`, for `standard_webhooks`.
    pub webhook_public: Option<String>,
}

/// How a symmetric key is spelled for a scheme, and how many bytes it usually has.
enum Form {
    Text(usize),
    Hex(&'static str, usize),
    Base64(&'static str, usize),
}

/// Makes a key.
///
/// # Errors
/// If the scheme takes no key of that kind, or nobody but its owner can make one.
pub fn generate(wanted: Wanted<'_>) -> Result<Generated, String> {
    let (form, usual, pairs) = takes(&wanted)?;
    match wanted.kind.unwrap_or(usual) {
        Kind::Symmetric => {
            let form = form.ok_or_else(|| {
                format!("{} takes a key pair: expected ec_p256 or ed25519", wanted.scheme)
            })?;
            symmetric(&form, wanted.bytes)
        }
        Kind::EcP256 if pairs.contains(&Kind::EcP256) => ec_p256(),
        Kind::Ed25519 if wanted.scheme == "standard_webhooks" => webhook_pair(),
        Kind::Ed25519 if pairs.contains(&Kind::Ed25519) => ed25519(),
        Kind::EcP256 | Kind::Ed25519 => {
            Err(format!("{} takes no key pair of this kind", wanted.scheme))
        }
    }
}

/// What a scheme takes: the form of a symmetric key, the usual kind, and the kinds of key pairs.
type Takes = (Option<Form>, Kind, &'static [Kind]);

fn takes(wanted: &Wanted<'_>) -> Result<Takes, String> {
    const PAIRS: &[Kind] = &[Kind::EcP256, Kind::Ed25519];
    if wanted.preset.is_some() && wanted.scheme != "hmac" {
        return Err(format!("a preset is for hmac, and not for {}", wanted.scheme));
    }
    Ok(match wanted.scheme {
        "standard_webhooks" => {
            (Some(Form::Base64("whsec_", 32)), Kind::Symmetric, &[Kind::Ed25519])
        }
        "hmac" => (Some(of_preset(wanted.preset.unwrap_or("sha256"))?), Kind::Symmetric, &[]),
        "jwt" => (Some(Form::Base64("base64:", 64)), Kind::EcP256, PAIRS),
        "http_message_signatures" => (Some(Form::Base64("base64:", 64)), Kind::Ed25519, PAIRS),
        "oauth2_client_credentials" => (None, Kind::EcP256, PAIRS),
        "basic" | "bearer" | "api_key" | "digest" => (Some(Form::Text(32)), Kind::Symmetric, &[]),
        "none" => return Err("none needs no secret".to_owned()),
        "mtls" => {
            return Err("a certificate comes from whoever vouches for it: put it with \
                        `sealpost secret put --scheme mtls`"
                .to_owned());
        }
        "aws_sigv4" => {
            return Err("an AWS access key comes from AWS: put it with `sealpost secret put`, or \
                        name a role in the auth step"
                .to_owned());
        }
        other => return Err(format!("no key is made for {other}")),
    })
}

/// The form of the key that a preset of `hmac` takes.
fn of_preset(name: &str) -> Result<Form, String> {
    let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        return Err(format!("{name:?} is not a preset: expected one of {}", names.join(", ")));
    };
    Ok(match preset.key {
        Spelling::Utf8 | Spelling::Hex => Form::Hex(preset.key_prefix, 32),
        Spelling::Base64 => Form::Base64(preset.key_prefix, 32),
    })
}

fn symmetric(form: &Form, bytes: Option<usize>) -> Result<Generated, String> {
    let usual = match form {
        Form::Text(usual) | Form::Hex(_, usual) | Form::Base64(_, usual) => *usual,
    };
    let bytes = bytes.unwrap_or(usual);
    if !SYMMETRIC_BYTES.contains(&bytes) {
        let (least, most) = (SYMMETRIC_BYTES.start(), SYMMETRIC_BYTES.end());
        return Err(format!("a key of {bytes} bytes: expected {least} to {most}"));
    }
    let mut random = Zeroizing::new(vec![0; bytes]);
    rand::fill(&mut random).map_err(failed)?;
    let text = match form {
        Form::Text(_) => BASE64_URL_SAFE_NO_PAD.encode(&*random),
        Form::Hex(prefix, _) => {
            let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{prefix}{digits}")
        }
        Form::Base64(prefix, _) => format!("{prefix}{}", BASE64_STANDARD.encode(&*random)),
    };
    let value = SecretBytes::new(text.into_bytes());
    Ok(Generated { value, public: None, webhook_public: None })
}

fn ec_p256() -> Result<Generated, String> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
    of_pkcs8(pair.to_pkcs8v1().map_err(failed)?.as_ref())
}

fn ed25519() -> Result<Generated, String> {
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    of_pkcs8(pair.to_pkcs8v1().map_err(failed)?.as_ref())
}

fn of_pkcs8(der: &[u8]) -> Result<Generated, String> {
    let value = SecretBytes::new(pem("PRIVATE KEY", der).into_bytes());
    let public = Public::of(&value);
    Ok(Generated { value, public, webhook_public: None })
}

/// `whsk_` and the base64 of seed and public key.
fn webhook_pair() -> Result<Generated, String> {
    let mut seed = Zeroizing::new([0; 32]);
    rand::fill(&mut *seed).map_err(failed)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|e| e.to_string())?;
    let public = pair.public_key().as_ref();
    let both = Zeroizing::new([&seed[..], public].concat());
    let text = format!("whsk_{}", BASE64_STANDARD.encode(&*both));
    let webhook_public = Some(format!("whpk_{}", BASE64_STANDARD.encode(public)));
    let value = SecretBytes::new(text.into_bytes());
    Ok(Generated { public: Public::of(&value), value, webhook_public })
}

fn failed(_: aws_lc_rs::error::Unspecified) -> String {
    "the cryptographic library made no key".to_owned()
}

#[cfg(test)]
mod tests;
