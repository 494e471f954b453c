//! HMAC keys: a text, or `base64:` and the key in base64.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine as _};
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

/// A key of these bytes. RFC 7518 section 3.2 wants as many as the hash has; receivers that give out
/// shorter ones exist, and it is they who choose.
pub(super) fn make(hash: hmac::Algorithm, bytes: &[u8]) -> Result<hmac::Key, &'static str> {
    if bytes.is_empty() {
        return Err("empty; expected a key");
    }
    Ok(hmac::Key::new(hash, bytes))
}
