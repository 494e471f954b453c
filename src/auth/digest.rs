//! `digest`: HTTP Digest access authentication (RFC 7616).
//!
//! The server's challenge is asked for by others; here it is chosen and answered.

pub mod challenge;
mod offer;
pub mod response;
mod verify;

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::need::{self, Grant, Need};
use super::verify::{Check, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::field::FieldError;
use crate::domain::header::check_value;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;
use offer::{Offer, best};
pub use offer::{has_challenge, is_stale};
use response::{Qop, Response};

/// The scheme.
pub struct Digest;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    username: String,
    /// The password.
    secret: SecretId,
    /// The only realm that is answered.
    realm: Option<String>,
    /// What the response must cover.
    qop: Option<Qop>,
    /// Whether a server that offers nothing better is answered with MD5.
    #[serde(default)]
    allow_md5: bool,
}

impl Scheme for Digest {
    fn name(&self) -> &'static str {
        "digest"
    }

    fn summary(&self) -> &'static str {
        "HTTP Digest authentication (RFC 7616)"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "digest", "username": "acme", "secret": "password"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let settings: Settings = read_settings(settings)?;
        if settings.username.is_empty() || settings.username.chars().any(char::is_control) {
            let problem = "expected a user name without control characters";
            return Err(FieldError::new("username", problem));
        }
        Ok(Box::new(settings))
    }
}

impl Step for Settings {
    fn secrets(&self) -> Vec<&SecretId> {
        vec![&self.secret]
    }

    fn sets(&self) -> Vec<Part> {
        vec![Part::Header("authorization".to_owned())]
    }

    fn need(&self) -> Option<Need<'_>> {
        Some(Need::Challenge)
    }

    fn covers_url(&self) -> bool {
        true
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        let has_control = |text: &str| text.chars().any(char::is_control);
        if value.expose_str().is_none_or(|text| text.is_empty() || has_control(text)) {
            let problem = "expected a password in UTF-8 without control characters";
            return Err(AuthError::of_secret(secret, problem));
        }
        Ok(())
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let password = call.secret(&self.secret)?;
        self.check_secret(&self.secret, password)?;
        let challenge = granted(call)?;
        let offer = best(&challenge.headers, self)?;
        let nc = format!("{:08x}", challenge.count);
        let (url, cnonce) = (request.full_url(), (call.nonce)());
        let uri = uri(&url);
        let response = Response {
            algorithm: offer.algorithm,
            username: &self.username,
            realm: &offer.realm,
            password: password.expose(),
            method: request.method.as_str(),
            uri,
            body: &request.body,
            nonce: &offer.nonce,
            nc: &nc,
            cnonce: &cnonce,
            qop: offer.qop,
        };
        let value = self.credentials(&offer, &response);
        if check_value(&value) != Ok(value.as_str()) {
            let problem = "the server's challenge or the URL holds what no header can carry, or \
                           the answer would be longer than 8192 bytes";
            return Err(AuthError::new(problem));
        }
        let value = HeaderValue::Secret(SecretBytes::new(value.as_bytes().to_vec()));
        request.set_header("authorization", value);
        Ok(())
    }

    fn verify(&self, check: &Check<'_>) -> Vec<Finding> {
        verify::findings(self, check)
    }
}

impl Settings {
    /// The value of `Authorization` (RFC 7616 section 3.4).
    fn credentials(&self, offer: &Offer, response: &Response<'_>) -> Zeroizing<String> {
        let user = if offer.userhash {
            format!("username=\"{}\"", *offer.algorithm.hash.of(&self.user_in(&offer.realm)))
        } else if self.username.is_ascii() {
            format!("username=\"{}\"", escaped(&self.username))
        } else {
            format!("username*=UTF-8''{}", encoded(&self.username))
        };
        let mut value = format!(
            "Digest {user}, realm=\"{}\", uri=\"{}\", algorithm={}, nonce=\"{}\", nc={}, \
             cnonce=\"{}\", qop={}, response=\"{}\"",
            escaped(&offer.realm),
            escaped(response.uri),
            offer.algorithm_name,
            escaped(&offer.nonce),
            response.nc,
            escaped(response.cnonce),
            response.qop.as_str(),
            *response.compute(),
        );
        if let Some(opaque) = &offer.opaque {
            value.push_str(&format!(", opaque=\"{}\"", escaped(opaque)));
        }
        if offer.userhash {
            value.push_str(", userhash=true");
        }
        Zeroizing::new(value)
    }

    /// What the hash of the user's name is made of (RFC 7616 section 3.4.4).
    fn user_in<'r>(&'r self, realm: &'r str) -> [&'r [u8]; 2] {
        [self.username.as_bytes(), realm.as_bytes()]
    }
}

fn granted<'c>(call: &Call<'c>) -> Result<&'c need::Challenge, AuthError> {
    match call.grant {
        Some(Grant::Challenge(challenge)) => Ok(challenge),
        Some(Grant::AwsCredentials(_) | Grant::Token(_)) | None => {
            Err(AuthError::new("there is no challenge of the server to answer"))
        }
    }
}

/// The path and query of a URL, as they stand in the request line.
fn uri(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}

/// A text as the inside of a quoted string.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A text in UTF-8 as the end of a parameter whose name ends in `*` (RFC 8187 section 3.2.1).
fn encoded(text: &str) -> String {
    let is_kept = |b: u8| b.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&b);
    let each = |b: u8| if is_kept(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(each).collect()
}
