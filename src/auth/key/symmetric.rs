//! HMAC keys: a text, or `base64:` and the key in base64.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use zeroize::Zeroizing;

use crate::domain::secret::SecretBytes;

const BASE64: &str = "base64:";

/// The key that `value` is: its bytes as they are, or what follows `base64:` decoded.
///
/// # Errors
/// If it is empty or not base64.
pub(super) fn load(hash: hmac::Algorithm, value: &SecretBytes) -> Result<hmac::Key, &'static str> {
    match value.expose_str().and_then(|text| text.trim().strip_prefix(BASE64)) {
        Some(encoded) => {
            let decoded = BASE64_STANDARD.decode(encoded).map(Zeroizing::new);
            make(hash, &decoded.map_err(|_| "what follows base64: is not base64, with padding")?)
        }
        None => make(hash, value.expose()),
    }
}

/// The keys that `value` is if it is read otherwise, each with the name of that reading.
pub(super) fn other_readings(
    hash: hmac::Algorithm,
    value: &SecretBytes,
) -> Vec<(&'static str, hmac::Key)> {
    let Some(text) = value.expose_str() else { return Vec::new() };
    let trimmed = text.trim();
    let encoded = trimmed.strip_prefix(BASE64).unwrap_or(trimmed);
    let digit = |i: usize| u8::from_str_radix(encoded.get(i..i + 2)?, 16).ok();
    let hex: Option<Vec<u8>> = (0..encoded.len()).step_by(2).map(digit).collect();
    let readings = [
        ("a text, white space around it included", Some(text.as_bytes().to_vec())),
        ("a text without the white space around it", Some(trimmed.as_bytes().to_vec())),
        ("a text without base64:", Some(encoded.as_bytes().to_vec())),
        ("base64", BASE64_STANDARD.decode(encoded).ok()),
        ("base64url", BASE64_URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()),
        ("hex", hex),
    ];
    let key = |(reading, bytes): (_, Option<Vec<u8>>)| {
        Some((reading, make(hash, &Zeroizing::new(bytes?)).ok()?))
    };
    readings.into_iter().filter_map(key).collect()
}

/// A key of these bytes. RFC 7518 section 3.2 wants as many as the hash has; receivers that give out
/// shorter ones exist, and it is they who choose.
pub(super) fn make(hash: hmac::Algorithm, bytes: &[u8]) -> Result<hmac::Key, &'static str> {
    if bytes.is_empty() {
        return Err("empty; expected a key");
    }
    Ok(hmac::Key::new(hash, bytes))
}
