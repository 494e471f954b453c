//! What templates are filled from: a request that is sent, or one that was captured.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use url::Url;
use url::form_urlencoded;

use super::algorithm::hex;
use super::template::{Piece, Template, Variable};
use crate::auth::verify::{Code, Finding};
use crate::domain::endpoint::Method;

/// Gives the value of a header by its name in lower case.
pub type Headers<'a> = dyn Fn(&str) -> Result<Vec<u8>, Finding> + 'a;

/// A message that is signed.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The job's id.
    pub id: &'a str,
    /// When the call is made, as it is written.
    pub ts: &'a str,
    /// A random text.
    pub nonce: &'a str,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: &'a Url,
    /// The body.
    pub body: &'a [u8],
    /// The headers.
    pub headers: &'a Headers<'a>,
    /// The names of the covered headers.
    pub covered: &'a [String],
}

impl Message<'_> {
    /// Hands the filled template to `sink`, piece by piece.
    ///
    /// # Errors
    /// If the message has no such part, or one that cannot be read. `{sig}` has no value here.
    pub fn fill(&self, template: &Template, sink: &mut dyn FnMut(&[u8])) -> Result<(), Finding> {
        for piece in &template.0 {
            match piece {
                Piece::Text(text) => sink(text.as_bytes()),
                Piece::Variable(variable) => sink(&self.value(variable)?),
            }
        }
        Ok(())
    }

    /// The filled template as text.
    ///
    /// # Errors
    /// As for [`Self::fill`].
    pub fn text(&self, template: &Template) -> Result<String, Finding> {
        let mut text = Vec::new();
        self.fill(template, &mut |bytes| text.extend_from_slice(bytes))?;
        String::from_utf8(text).map_err(|_| Finding::new(Code::Malformed, "not text"))
    }

    fn value(&self, variable: &Variable) -> Result<Cow<'_, [u8]>, Finding> {
        fn owned<'a>(text: String) -> Cow<'a, [u8]> {
            Cow::Owned(text.into_bytes())
        }
        let value = match variable {
            Variable::Id => Cow::Borrowed(self.id.as_bytes()),
            Variable::Ts => Cow::Borrowed(self.ts.as_bytes()),
            Variable::Nonce => Cow::Borrowed(self.nonce.as_bytes()),
            Variable::Body => Cow::Borrowed(self.body),
            Variable::BodySha256 => owned(self.body_sha256()),
            Variable::NonformSha256 if self.body.is_empty() || self.is_form() => {
                owned(String::new())
            }
            Variable::NonformSha256 => owned(self.body_sha256()),
            Variable::Form => owned(self.form()?),
            Variable::Url => Cow::Borrowed(self.url.as_str().as_bytes()),
            Variable::UrlWithPort => owned(with_port(self.url, self.url.port_or_known_default())),
            Variable::UrlWithoutPort => owned(with_port(self.url, None)),
            Variable::Host => Cow::Borrowed(self.url.host_str().unwrap_or_default().as_bytes()),
            Variable::Path => Cow::Borrowed(self.url.path().as_bytes()),
            Variable::Query => Cow::Borrowed(self.url.query().unwrap_or_default().as_bytes()),
            Variable::Method => owned(self.method.to_string()),
            Variable::Header(name) => Cow::Owned((self.headers)(name)?),
            Variable::Json(pointer) => {
                let document =
                    std::str::from_utf8(self.body).map_err(|e| malformed(e.to_string()))?;
                owned(pointer.text(document).map_err(malformed)?)
            }
            Variable::CoveredNames => owned(self.covered.join(" ")),
            Variable::CoveredValues => Cow::Owned(self.covered_values()?),
            Variable::Sig => return Err(malformed("there is no signature yet".to_owned())),
        };
        Ok(value)
    }

    fn body_sha256(&self) -> String {
        hex(digest(&SHA256, self.body).as_ref())
    }

    fn covered_values(&self) -> Result<Vec<u8>, Finding> {
        let values: Result<Vec<_>, _> =
            self.covered.iter().map(|name| (self.headers)(name)).collect();
        Ok(values?.join(&b'.'))
    }

    /// Whether the body is a form by its media type.
    fn is_form(&self) -> bool {
        let Ok(content_type) = (self.headers)("content-type") else { return false };
        let essence = content_type.split(|b| *b == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    }

    fn form(&self) -> Result<String, Finding> {
        if !self.is_form() {
            return Ok(String::new());
        }
        let mut pairs: Vec<_> = form_urlencoded::parse(self.body).collect();
        pairs.sort();
        pairs.dedup();
        let text: String = pairs.iter().flat_map(|(name, value)| [&**name, &**value]).collect();
        // What is not UTF-8 is read as this character: two forms would share a signature.
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(malformed("the form holds bytes that are not UTF-8".to_owned()));
        }
        Ok(text)
    }
}

fn malformed(problem: String) -> Finding {
    Finding::new(Code::Malformed, problem)
}

/// The URL's text with this port, or with none, whatever is the default.
fn with_port(url: &Url, port: Option<u16>) -> String {
    let (before, after) = (&url[..url::Position::AfterHost], &url[url::Position::BeforePath..]);
    match port {
        Some(port) => format!("{before}:{port}{after}"),
        None => format!("{before}{after}"),
    }
}
