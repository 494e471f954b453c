//! Keeps secrets out of records: an endpoint may send back what it was sent.

use std::collections::HashSet;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
use url::form_urlencoded::byte_serialize;

use super::resolve::OpenSecrets;
use crate::domain::request::{HeaderValue, OutboundRequest};

/// So many bytes of a secret in a row, in any form, are too many. A shorter secret counts whole.
const WINDOW: usize = 8;
const WITHHELD: &str = "[withheld: it repeats a secret]";

/// What must not be repeated: every secret of an endpoint, and every credential in a request, as it is or
/// in hex, base64, base64url, URL encoding or JSON.
pub struct Withheld(Vec<Vec<u8>>);

impl Withheld {
    /// Of these secrets, and of what was made of them for a request.
    pub fn of(secrets: &OpenSecrets, request: &OutboundRequest) -> Self {
        let in_headers = request.headers.iter().filter_map(|header| match &header.value {
            HeaderValue::Secret(value) => Some(value.expose()),
            HeaderValue::Plain(_) => None,
        });
        let in_url = request.secret_path.iter().chain(request.secret_query.iter().map(|(_, v)| v));
        let values = secrets.values().flatten().chain(in_url).map(|value| value.expose());
        Self(values.chain(in_headers).flat_map(forms).collect())
    }

    /// The same, and what was made for another request.
    #[must_use]
    pub fn and(mut self, request: &OutboundRequest) -> Self {
        self.0.extend(Self::of(&OpenSecrets::new(), request).0);
        self
    }

    /// `said`, unless it repeats a part of one of them.
    pub fn checked(&self, said: String) -> String {
        let repeats = self.0.iter().any(|form| contains_part(said.as_bytes(), form));
        if repeats { WITHHELD.to_owned() } else { said }
    }
}

/// `said`, unless it repeats a part of a secret or of a credential in the request.
pub fn withhold_secrets(said: String, secrets: &OpenSecrets, request: &OutboundRequest) -> String {
    if said.is_empty() {
        return said;
    }
    Withheld::of(secrets, request).checked(said)
}

fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let url: String = byte_serialize(secret).collect();
    let percent: String = secret.iter().map(|byte| format!("%{byte:02X}")).collect();
    let text = String::from_utf8_lossy(secret);
    let json = serde_json::to_string(&text).unwrap_or_default();
    let mut forms = vec![
        secret.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        url.into_bytes(),
        percent.to_lowercase().into_bytes(),
        percent.into_bytes(),
        json.trim_matches('"').as_bytes().to_vec(),
    ];
    // Base64 depends on where in its group of three a byte stands. The first and the last
    // characters also hold bits of the neighbours.
    for shift in 0..3 {
        let padded = [&vec![0; shift], secret].concat();
        for encoded in [BASE64_STANDARD.encode(&padded), BASE64_URL_SAFE.encode(&padded)] {
            let core = encoded.trim_end_matches('=');
            let (first, last) = ([0, 2, 3][shift], core.len() - usize::from(padded.len() % 3 != 0));
            forms.push(core.as_bytes().get(first..last).unwrap_or_default().to_vec());
        }
    }
    forms
}

fn contains_part(text: &[u8], form: &[u8]) -> bool {
    let length = form.len().min(WINDOW);
    if length == 0 {
        return false;
    }
    let parts: HashSet<&[u8]> = form.windows(length).collect();
    text.windows(length).any(|window| parts.contains(window))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::Method;
    use crate::domain::secret::SecretBytes;

    fn withheld(said: &str) -> bool {
        let secret = SecretBytes::new(b"canary/+\"secret".to_vec());
        let secrets = OpenSecrets::from([("s".parse().unwrap(), vec![secret])]);
        let url = "https://a.example/".parse().unwrap();
        let request = OutboundRequest::new(Method::Post, url, Vec::new().into());
        withhold_secrets(said.to_owned(), &secrets, &request) == WITHHELD
    }

    #[test]
    fn a_response_that_repeats_a_secret_in_any_form_is_not_kept() {
        let secret = b"canary/+\"secret";
        let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        let said = [
            "canary/+\"secret".to_owned(),
            format!("xx{hex}"),
            hex.to_uppercase(),
            "canary%2F%2B%22secret".to_owned(),
            "canary/+\\\"secret".to_owned(),
            "cut short: canary/+".to_owned(),
            BASE64_STANDARD.encode([b"u:", &secret[..]].concat()),
            BASE64_STANDARD.encode([b"u:x", &secret[..], b"yz"].concat()),
            BASE64_URL_SAFE.encode([b"user", &secret[..]].concat()),
        ];
        for said in said {
            assert!(withheld(&said), "{said}");
        }
        assert!(!withheld("an ordinary message about a canary"));
    }
}
