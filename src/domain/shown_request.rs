//! A request as people may see it: its secret parts are masked.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;
use crate::domain::target::MASK;

/// A request to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownRequest {
    method: String,
    url: String,
    /// In the order in which they are sent.
    headers: Vec<(String, String)>,
    body: ShownBody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ShownBody {
    Text(String),
    /// Not UTF-8.
    Base64(String),
}

impl ShownRequest {
    /// With every secret part masked.
    pub fn masked(request: &OutboundRequest) -> Self {
        let mut url = request.url.clone();
        for (name, _) in &request.secret_query {
            url.query_pairs_mut().append_pair(name, MASK);
        }
        let mut body = plain_body(request).to_vec();
        for value in &request.secret_body {
            for spelled in spellings(value) {
                body = replaced(&body, spelled.as_bytes(), MASK.as_bytes());
            }
        }
        Self::new(request, url.to_string(), &body, |_| MASK.to_owned())
    }

    /// With every secret part masked, and of the body only its size: what is kept of a call must not be
    /// what was told in it.
    pub fn without_body(request: &OutboundRequest) -> Self {
        let mut url = request.url.clone();
        for (name, _) in &request.secret_query {
            url.query_pairs_mut().append_pair(name, MASK);
        }
        let size = format!("[{} bytes]", plain_body(request).len());
        Self::new(request, url.to_string(), size.as_bytes(), |_| MASK.to_owned())
    }

    /// With every secret part as it is sent.
    pub fn revealed(request: &OutboundRequest) -> Self {
        Self::new(request, request.full_url().to_string(), plain_body(request), |secret| {
            String::from_utf8_lossy(secret).into_owned()
        })
    }

    fn new(
        request: &OutboundRequest,
        url: String,
        body: &[u8],
        secret: impl Fn(&[u8]) -> String,
    ) -> Self {
        let value = |value: &HeaderValue| match value {
            HeaderValue::Plain(text) => text.clone(),
            HeaderValue::Secret(bytes) => secret(bytes.expose()),
        };
        Self {
            method: request.method.as_str().to_owned(),
            url,
            headers: request
                .headers
                .iter()
                .map(|h| (h.name.clone().into_owned(), value(&h.value)))
                .collect(),
            body: match std::str::from_utf8(body) {
                Ok(text) => ShownBody::Text(text.to_owned()),
                Err(_) => ShownBody::Base64(BASE64_STANDARD.encode(body)),
            },
        }
    }

    /// The same with a body of at most about `longest` bytes.
    #[must_use]
    pub fn shortened(mut self, longest: usize) -> Self {
        let (ShownBody::Text(body) | ShownBody::Base64(body)) = &mut self.body;
        if body.len() > longest {
            body.truncate(body.floor_char_boundary(longest));
            body.push_str("[cut short]");
        }
        self
    }

    /// For machines: `method`, `url`, `headers` by name, `body` or `bodyBase64`.
    pub fn to_json(&self) -> Value {
        let headers: Map<String, Value> =
            self.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let (key, body) = match &self.body {
            ShownBody::Text(text) => ("body", text),
            ShownBody::Base64(encoded) => ("bodyBase64", encoded),
        };
        json!({"method": self.method, "url": self.url, "headers": headers, key: body})
    }
}

/// The body as people read it: before it was compressed.
fn plain_body(request: &OutboundRequest) -> &[u8] {
    request.plain_body.as_ref().unwrap_or(&request.body)
}

/// How a secret, given in JSON, may stand in a body: in JSON, or in a form.
fn spellings(json: &SecretBytes) -> Vec<Zeroizing<String>> {
    let quoted = json.expose_str().unwrap_or_default();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut spellings = vec![Zeroizing::new(inner.unwrap_or(quoted).to_owned())];
    if let Ok(text) = serde_json::from_str::<String>(quoted).map(Zeroizing::new) {
        spellings.push(Zeroizing::new(byte_serialize(text.as_bytes()).collect()));
        spellings.push(text);
    }
    spellings.retain(|spelled| !spelled.is_empty());
    spellings
}

fn replaced(body: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.windows(what.len()).position(|window| window == what) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(with);
        rest = &rest[at + what.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

impl fmt::Display for ShownRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.url)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        match &self.body {
            ShownBody::Text(text) => write!(f, "\n{text}"),
            ShownBody::Base64(encoded) => write!(f, "\n(not text; in base64: {encoded})"),
        }
    }
}
