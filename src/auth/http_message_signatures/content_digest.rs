//! `Content-Digest` (RFC 9530): a digest of the body as it is sent.

use aws_lc_rs::digest;
use serde::Deserialize;

use super::fields::{self, Bare, Item, Member};
use crate::auth::verify::is_equal;

/// An algorithm of RFC 9530 section 5 that resists attackers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[allow(missing_docs)]
pub enum DigestAlgorithm {
    #[default]
    #[serde(rename = "sha-256")]
    Sha256,
    #[serde(rename = "sha-512")]
    Sha512,
}

impl DigestAlgorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    fn key(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    fn of(self, body: &[u8]) -> digest::Digest {
        digest::digest(
            match self {
                Self::Sha256 => &digest::SHA256,
                Self::Sha512 => &digest::SHA512,
            },
            body,
        )
    }
}

/// The header's value for a body.
pub fn content_digest(algorithm: DigestAlgorithm, body: &[u8]) -> String {
    let mut value = format!("{}=", algorithm.key());
    let item =
        Item { value: Bare::Bytes(algorithm.of(body).as_ref().to_vec()), parameters: Vec::new() };
    fields::push_item(&mut value, &item);
    value
}

/// Checks the header's value against a body: the digest of `algorithm` has to be in it, and every one
/// of an algorithm that is known here has to be right.
///
/// # Errors
/// With what is wrong.
pub fn check(value: &str, algorithm: DigestAlgorithm, body: &[u8]) -> Result<(), Wrong> {
    let dictionary = fields::read_dictionary(value).ok_or(Wrong::Malformed)?;
    let mut has_wanted = false;
    for known in DigestAlgorithm::ALL {
        let Some(member) = fields::member(&dictionary, known.key()) else { continue };
        let Member::Item(Item { value: Bare::Bytes(sent), .. }) = member else {
            return Err(Wrong::Malformed);
        };
        if !is_equal(sent, known.of(body).as_ref()) {
            return Err(Wrong::Another);
        }
        has_wanted |= known == algorithm;
    }
    if has_wanted { Ok(()) } else { Err(Wrong::Missing(algorithm.key())) }
}

/// What is wrong with a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Not a dictionary of byte sequences.
    #[error("the header content-digest does not parse: expected sha-256=:…: or sha-512=:…:")]
    Malformed,
    /// The algorithm of this name is not among those in the header.
    #[error("the header content-digest has no {0}")]
    Missing(&'static str),
    /// The body has another digest.
    #[error("the header content-digest is not that of the body: the body was changed")]
    Another,
}
