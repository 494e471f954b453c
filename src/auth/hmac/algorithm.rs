//! What computes a signature, and how it is written.

use aws_lc_rs::hmac as mac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};

/// What computes a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Algorithm {
    /// HMAC with SHA-1 (RFC 2104): still sound for HMAC, used by older formats.
    #[serde(rename = "hmac-sha1")]
    HmacSha1,
    /// HMAC with SHA-256.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// HMAC with SHA-384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// HMAC with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
    /// Ed25519 (RFC 8032), for formats that are otherwise like those with an HMAC. No setting names it.
    #[serde(skip)]
    Ed25519,
}

/// A key ready for use.
pub enum Key {
    /// For an HMAC.
    Hmac(Box<mac::Key>),
    /// For Ed25519.
    Ed25519(Ed25519KeyPair),
}

impl Algorithm {
    /// Whether its key is a pair.
    pub fn is_asymmetric(self) -> bool {
        match self {
            Self::HmacSha1 | Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512 => false,
            Self::Ed25519 => true,
        }
    }

    /// A key of these bytes; for Ed25519 the 32 bytes of the seed and the 32 of its public half.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn key(self, bytes: &[u8]) -> Result<Key, &'static str> {
        let hmac = match self {
            Self::HmacSha1 => mac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::HmacSha256 => mac::HMAC_SHA256,
            Self::HmacSha384 => mac::HMAC_SHA384,
            Self::HmacSha512 => mac::HMAC_SHA512,
            Self::Ed25519 => return ed25519(bytes),
        };
        if bytes.is_empty() {
            return Err("the key is empty");
        }
        Ok(Key::Hmac(Box::new(mac::Key::new(hmac, bytes))))
    }
}

/// The public half is derived from the seed, never taken on trust: a signature made with another one
/// would give the seed away (RUSTSEC-2022-0093).
fn ed25519(bytes: &[u8]) -> Result<Key, &'static str> {
    let halves = bytes.split_at_checked(32).filter(|(_, public)| public.len() == 32);
    let (seed, public) =
        halves.ok_or("expected 64 bytes: a seed of 32 and its public key of 32")?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| "not an Ed25519 seed")?;
    if pair.public_key().as_ref() != public {
        return Err("its second half is not the public key of its first half");
    }
    Ok(Key::Ed25519(pair))
}

impl Key {
    /// The signature of what `write` hands to its parameter, piece by piece.
    ///
    /// # Errors
    /// What `write` gives.
    pub fn sign<E>(
        &self,
        write: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        match self {
            Self::Hmac(key) => {
                let mut context = mac::Context::with_key(key);
                write(&mut |bytes| context.update(bytes))?;
                Ok(context.sign().as_ref().to_vec())
            }
            Self::Ed25519(pair) => {
                let mut message = Vec::new();
                write(&mut |bytes| message.extend_from_slice(bytes))?;
                Ok(pair.sign(&message).as_ref().to_vec())
            }
        }
    }
}

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal in lower case.
    Hex,
    /// Hexadecimal in upper case.
    HexUpper,
    /// Base64 (RFC 4648 section 4).
    Base64,
    /// Base64 for URLs, without padding (RFC 4648 section 5).
    Base64url,
}

impl Encoding {
    /// The text of these bytes.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex(bytes),
            Self::HexUpper => hex(bytes).to_ascii_uppercase(),
            Self::Base64 => BASE64_STANDARD.encode(bytes),
            Self::Base64url => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        }
    }

    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hex => "hexadecimal in lower case",
            Self::HexUpper => "hexadecimal in upper case",
            Self::Base64 => "base64",
            Self::Base64url => "base64 for URLs without padding",
        }
    }

    /// Whether this could be the text of any bytes.
    pub fn is_text(self, text: &str) -> bool {
        let hex = |digits: &[u8]| {
            text.len().is_multiple_of(2) && text.bytes().all(|b| digits.contains(&b))
        };
        !text.is_empty()
            && match self {
                Self::Hex => hex(b"0123456789abcdef"),
                Self::HexUpper => hex(b"0123456789ABCDEF"),
                Self::Base64 => BASE64_STANDARD.decode(text).is_ok(),
                Self::Base64url => BASE64_URL_SAFE_NO_PAD.decode(text).is_ok(),
            }
    }
}

/// Bytes in hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
