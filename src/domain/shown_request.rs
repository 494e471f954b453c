//! A request as people may see it: its secret parts are masked.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::request::{HeaderValue, OutboundRequest};
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
        Self::new(request, url.to_string(), |_| MASK.to_owned())
    }

    /// With every secret part as it is sent.
    pub fn revealed(request: &OutboundRequest) -> Self {
        Self::new(request, request.full_url().to_string(), |secret| {
            String::from_utf8_lossy(secret).into_owned()
        })
    }

    fn new(request: &OutboundRequest, url: String, secret: impl Fn(&[u8]) -> String) -> Self {
        let value = |value: &HeaderValue| match value {
            HeaderValue::Plain(text) => text.clone(),
            HeaderValue::Secret(bytes) => secret(bytes.expose()),
        };
        Self {
            method: request.method.as_str().to_owned(),
            url,
            headers: request.headers.iter().map(|h| (h.name.clone(), value(&h.value))).collect(),
            body: match std::str::from_utf8(&request.body) {
                Ok(text) => ShownBody::Text(text.to_owned()),
                Err(_) => ShownBody::Base64(BASE64_STANDARD.encode(&request.body)),
            },
        }
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
