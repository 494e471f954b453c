//! Looks for secrets where none may be.

#![allow(dead_code, reason = "each suite uses its part")]

use base64::prelude::{
    BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine as _,
};
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::Public;

/// Shorter ones would be found where they are not.
const SHORTEST: usize = 8;

/// A secret in every form that it could leak in.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    let text = String::from_utf8_lossy(secret);
    let json = serde_json::to_string(&text).unwrap();
    let list: String = secret.iter().map(|b| format!("{b}, ")).collect();
    let list = list.trim_end_matches(", ").to_owned();
    let forms = [
        hex.to_uppercase(),
        hex,
        BASE64_STANDARD_NO_PAD.encode(secret),
        BASE64_URL_SAFE_NO_PAD.encode(secret),
        url::form_urlencoded::byte_serialize(secret).collect(),
        json.trim_matches('"').to_owned(),
        // As bytes are printed for debugging.
        list,
    ];
    std::iter::once(secret.to_vec()).chain(forms.map(String::into_bytes)).collect()
}

/// The public half of a key pair, in PEM.
fn public_half(secret: &str) -> String {
    let value = SecretBytes::new(secret.as_bytes().to_vec());
    Public::of(&value).map(|public| public.pem()).unwrap_or_default()
}

/// The lines of a secret, without the frames of PEM. Certificates and public keys in it are public.
fn lines(secret: &str) -> impl Iterator<Item = &str> {
    let mut is_public = false;
    secret.lines().filter(move |line| {
        let is_frame = line.starts_with("-----");
        if is_frame {
            is_public = line.contains("BEGIN CERTIFICATE") || line.contains("BEGIN PUBLIC");
        }
        !is_frame && !is_public
    })
}

/// The parts of a secret that are secrets: what its prefix or its frame leave, and what its base64 says.
fn parts(secret: &str) -> Vec<Vec<u8>> {
    let bare = |line: &str| {
        let line = line.strip_prefix("base64:").or(line.strip_prefix("hex:")).unwrap_or(line);
        line.strip_prefix("whsec_").or(line.strip_prefix("whsk_")).unwrap_or(line).to_owned()
    };
    let public = public_half(secret);
    // A private key holds its public half, which may fall on the same lines.
    let lines = lines(secret).filter(|line| !public.contains(line));
    let lines: Vec<String> = lines.map(bare).collect();
    let decoded = lines.iter().filter_map(|line| BASE64_STANDARD.decode(line).ok());
    let decoded: Vec<Vec<u8>> = decoded.collect();
    let is_public = lines.is_empty();
    let whole = (!is_public).then(|| secret.as_bytes().to_vec());
    let parts = whole.into_iter().chain(lines.into_iter().map(String::into_bytes)).chain(decoded);
    parts.filter(|part| part.len() >= SHORTEST).collect()
}

/// Bytes as text, one character each: the search in texts is a fast one.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Fails if `bytes` hold any of the secrets, or a part of one, in any form.
pub fn assert_silent<S: AsRef<str>>(place: &str, bytes: &[u8], secrets: &[S]) {
    let text = characters(bytes);
    let parts = secrets.iter().flat_map(|secret| parts(secret.as_ref()));
    for form in parts.flat_map(|part| forms(&part)) {
        let form = characters(&form);
        if let Some(at) = text.find(&form) {
            let before = text[..at].chars().rev().take(200).collect::<String>();
            let before: String = before.chars().rev().collect();
            panic!("{place} holds a secret as {form:?}, after {before}");
        }
    }
}

/// Whether anything is looked for.
pub fn is_looked_for(secret: &str) -> bool {
    !parts(secret).is_empty()
}
