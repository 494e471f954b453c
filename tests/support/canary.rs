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
        url::form_urlencoded::byte_serialize(secret).collect(),
        json.trim_matches('"').to_owned(),
        // As bytes are printed for debugging.
        list,
    ];
    let whole = std::iter::once(secret.to_vec()).chain(forms.map(String::into_bytes));
    whole.chain(in_base64(secret).map(String::into_bytes)).collect()
}

/// What stands in base64 of a text that holds the secret: as in `Basic`, it may begin anywhere in a
/// group of three bytes. Characters that it shares with its neighbours are left out.
fn in_base64(secret: &[u8]) -> impl Iterator<Item = String> {
    [(0, 0), (1, 2), (2, 3)].into_iter().flat_map(move |(before, first)| {
        let bytes = [&vec![0; before], secret].concat();
        let whole = bytes.len() * 8 / 6;
        let encoded =
            [BASE64_STANDARD_NO_PAD.encode(&bytes), BASE64_URL_SAFE_NO_PAD.encode(&bytes)];
        encoded.map(|text| text[first..whole].to_owned())
    })
}

/// The bytes of the public halves of all private keys in a text.
fn public_halves(secret: &str) -> Vec<Vec<u8>> {
    let blocks = secret.split("-----BEGIN ").skip(1).map(|rest| format!("-----BEGIN {rest}"));
    let pem = |block: String| Public::of(&SecretBytes::new(block.into_bytes())).map(|p| p.pem());
    let encoded = blocks.filter_map(pem).map(|pem| lines(&pem.replace("PUBLIC", "")).collect());
    encoded.map(|text: String| BASE64_STANDARD.decode(text).unwrap()).collect()
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
/// `public` are public halves of keys, which private ones hold: they fill lines of their own.
fn parts(secret: &str, public: &[String]) -> Vec<Vec<u8>> {
    let bare = |line: &str| {
        let line = line.strip_prefix("base64:").or(line.strip_prefix("hex:")).unwrap_or(line);
        line.strip_prefix("whsec_").or(line.strip_prefix("whsk_")).unwrap_or(line).to_owned()
    };
    let is_public = |line: &&str| {
        let bytes = BASE64_STANDARD.decode(line).map(|bytes| characters(&bytes));
        bytes.is_ok_and(|bytes| public.iter().any(|half| half.contains(&bytes)))
    };
    let lines: Vec<String> = lines(secret).filter(|line| !is_public(line)).map(bare).collect();
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
    // A damaged key may hold the public half of a good one.
    let halves = secrets.iter().flat_map(|secret| public_halves(secret.as_ref()));
    let public: Vec<String> = halves.map(|half| characters(&half)).collect();
    let parts = secrets.iter().flat_map(|secret| parts(secret.as_ref(), &public));
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
    !parts(secret, &[]).is_empty()
}

#[test]
fn a_secret_is_found_in_every_form_and_wherever_it_stands_in_base64() {
    let secret = "canary/+\"secret";
    let held = |text: &str| {
        std::panic::catch_unwind(|| assert_silent("a text", text.as_bytes(), &[secret])).is_err()
    };
    for before in ["", "u:", "us:", "use:", "user:"] {
        let text = format!("{before}{secret}yz");
        for encoded in [BASE64_STANDARD.encode(&text), BASE64_URL_SAFE_NO_PAD.encode(&text)] {
            assert!(held(&format!("Basic {encoded}")), "{before}");
        }
    }
    assert!(held("it said canary/+\"secret") && held("canary%2F%2B%22secret"));
    assert!(!held("an ordinary canary"));
}
