//! How a secret becomes the bytes of a key.

use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Receivers' libraries accept base64 with and without padding, and cut short by hand.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);

/// How a secret is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// Its bytes are the key, every one of them.
    Utf8,
    /// Base64, with or without padding.
    Base64,
    /// Hexadecimal in either case.
    Hex,
}

/// How a secret becomes the bytes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFormat {
    /// How it is spelled, after the prefix.
    pub spelling: Spelling,
    /// What may stand before it and is no part of it; empty for nothing.
    pub prefix: String,
}

impl KeyFormat {
    /// The key's bytes, if the secret is spelled so and not empty. A line break at the end of base64
    /// and hexadecimal is no part of them: files end with one.
    pub fn decode(&self, secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let bare = secret.strip_prefix(self.prefix.as_bytes()).unwrap_or(secret);
        let line = std::str::from_utf8(bare).map(|text| text.trim_end_matches(['\r', '\n']));
        let key = match self.spelling {
            Spelling::Utf8 => Some(Zeroizing::new(bare.to_vec())),
            Spelling::Base64 => BASE64.decode(line.ok()?).ok().map(Zeroizing::new),
            Spelling::Hex => unhex(line.ok()?),
        };
        key.filter(|key| !key.is_empty())
    }

    /// What a secret has to be, to say when it is not.
    pub fn wanted(&self) -> String {
        let what = match self.spelling {
            Spelling::Utf8 => "at least one byte",
            Spelling::Base64 => "the base64 of at least one byte",
            Spelling::Hex => "hexadecimal digits, two for each byte",
        };
        match self.prefix.as_str() {
            "" => format!("expected {what}"),
            prefix => format!("expected {prefix} and {what}"),
        }
    }

    /// Other ways in which the same secret may have been taken, each with its description.
    pub fn others(&self) -> Vec<(String, Self)> {
        let mut others = Vec::new();
        let prefixes = ["", "whsec_", "whsk_", self.prefix.as_str()];
        for (spelling, name) in [
            (Spelling::Utf8, "the secret's text itself"),
            (Spelling::Base64, "decoded from base64"),
            (Spelling::Hex, "decoded from hexadecimal"),
        ] {
            for prefix in prefixes {
                let other = Self { spelling, prefix: prefix.to_owned() };
                if other == *self || others.iter().any(|(_, known)| *known == other) {
                    continue;
                }
                let without = match prefix {
                    "" => ", a prefix being part of it".to_owned(),
                    prefix => format!(", without the prefix {prefix}"),
                };
                others.push((format!("{name}{without}"), other));
            }
        }
        others
    }
}

fn unhex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let nibble = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| match *pair {
        [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
        _ => None,
    });
    bytes.collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}
