//! The call that is made: method, URL, headers and body, with secret parts kept apart so that they
//! can be masked wherever the call is shown.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use crate::domain::client_identity::ClientIdentity;
use crate::domain::connection::Connection;
use crate::domain::endpoint::Method;
use crate::domain::secret::SecretBytes;
use crate::domain::target;

/// An HTTP request as it leaves, before it is put on a connection.
#[derive(Clone)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// The URL without secret query parameters, and with [`target::MASK`] for each secret of its path.
    pub url: Url,
    /// The secrets of the path, in order, as they stand in it.
    pub secret_path: Vec<SecretBytes>,
    /// Query parameters whose values are secret, appended when the request is sent.
    pub secret_query: Vec<(String, SecretBytes)>,
    /// Headers in order; names in lower case, each at most once.
    pub headers: Vec<Header>,
    /// The body. What is signed is what is sent.
    pub body: Bytes,
    /// The body before it was compressed, if it is.
    pub plain_body: Option<Bytes>,
    /// Values in the body that are secret, in JSON.
    pub secret_body: Vec<SecretBytes>,
    /// What is asked of the connection.
    pub connection: Connection,
    /// Whether the connection serves no other call.
    pub closes: bool,
    /// The certificate that is shown to the server; connections with one serve no other identity.
    pub identity: Option<Arc<ClientIdentity>>,
}

/// Names that most calls have: none of these is copied for each.
const USUAL: [&str; 6] = [
    "user-agent",
    "webhook-id",
    "idempotency-key",
    "content-type",
    "webhook-timestamp",
    "webhook-signature",
];

/// One header.
#[derive(Clone)]
pub struct Header {
    /// In lower case.
    pub name: Cow<'static, str>,
    /// What is sent.
    pub value: HeaderValue,
}

/// A header's value.
#[derive(Clone)]
pub enum HeaderValue {
    /// May be shown.
    Plain(String),
    /// Is, or holds, a credential.
    Secret(SecretBytes),
}

impl HeaderValue {
    /// The bytes that are sent.
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Secret(bytes) => bytes.expose(),
        }
    }
}

impl OutboundRequest {
    /// A request without headers, credentials and identity, over a connection of the usual kind.
    pub fn new(method: Method, url: Url, body: Bytes) -> Self {
        Self {
            method,
            url,
            secret_path: Vec::new(),
            secret_query: Vec::new(),
            headers: Vec::with_capacity(USUAL.len() + 4),
            body,
            plain_body: None,
            secret_body: Vec::new(),
            connection: Connection::default(),
            closes: false,
            identity: None,
        }
    }

    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.iter().find(|header| header.name == name).map(|header| &header.value)
    }

    /// Sets a header, in place of one of the same name. `name` is in lower case.
    pub fn set_header(&mut self, name: &str, value: HeaderValue) {
        match self.headers.iter_mut().find(|header| header.name == name) {
            Some(header) => header.value = value,
            None => {
                let usual = USUAL.iter().find(|usual| **usual == name);
                let name = usual.map_or_else(|| name.to_owned().into(), |usual| (*usual).into());
                self.headers.push(Header { name, value });
            }
        }
    }

    /// The URL that is sent, with its secret parts.
    pub fn full_url(&self) -> Cow<'_, Url> {
        if self.secret_path.is_empty() && self.secret_query.is_empty() {
            return Cow::Borrowed(&self.url);
        }
        let mut url = self.url.clone();
        if !self.secret_path.is_empty() {
            url.set_path(&target::unmask(url.path(), &self.secret_path));
        }
        if !self.secret_query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &self.secret_query {
                pairs.append_pair(name, &String::from_utf8_lossy(value.expose()));
            }
        }
        Cow::Owned(url)
    }
}
