//! `aws_sigv4`: AWS Signature Version 4, in the `Authorization` header ("AWS Signature Version 4 for
//! API requests", AWS IAM User Guide).
//!
//! The body is always signed. The keys are static ones in secrets, or those of a role.

pub mod canonical;
pub mod signature;
mod verify;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::hex::hex;
use super::need::{Grant, Need};
use super::scheme::header_text;
use super::verify::{Check, Finding};
use super::{AuthError, Call, Part, Scheme, Step, read_settings};
use crate::domain::aws_role::AwsRole;
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;
use canonical::{CanonicalRequest, PathRule, canonical_path, canonical_query, sorted};
use signature::{ALGORITHM, Scope, amz_date, string_to_sign};

const DATE: &str = "x-amz-date";
const PAYLOAD: &str = "x-amz-content-sha256";
const TOKEN: &str = "x-amz-security-token";

/// The scheme.
pub struct AwsSigV4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    region: String,
    service: String,
    access_key_id: Option<String>,
    /// The secret access key.
    secret: Option<SecretId>,
    session_token: Option<SecretId>,
    role: Option<String>,
}

/// The scheme with its settings.
struct Signer {
    region: String,
    service: String,
    keys: Keys,
}

/// Where the keys come from.
enum Keys {
    Static { access_key_id: String, secret: SecretId, session_token: Option<SecretId> },
    Role(AwsRole),
}

/// The keys of one call.
struct Credentials<'c> {
    access_key_id: &'c str,
    secret_access_key: &'c SecretBytes,
    session_token: Option<&'c SecretBytes>,
}

impl Scheme for AwsSigV4 {
    fn name(&self) -> &'static str {
        "aws_sigv4"
    }

    fn summary(&self) -> &'static str {
        "AWS Signature Version 4, with static keys or those of a role"
    }

    fn example(&self) -> &'static str {
        r#"{"scheme": "aws_sigv4", "region": "eu-west-1", "service": "execute-api", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret": "secret-access-key"}"#
    }

    fn compile(&self, settings: &Map<String, Value>) -> Result<Box<dyn Step>, FieldError> {
        let Settings { region, service, access_key_id, secret, session_token, role } =
            read_settings(settings)?;
        for (path, text) in [("region", &region), ("service", &service)] {
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                let problem = "expected letters, digits and '-', as in eu-west-1 or execute-api";
                return Err(FieldError::new(path, problem));
            }
        }
        let keys = match (role, access_key_id, secret, session_token) {
            (Some(role), None, None, None) => {
                let role = role.parse::<AwsRole>();
                Keys::Role(role.map_err(|e| FieldError::new("role", e.to_string()))?)
            }
            (None, Some(access_key_id), Some(secret), session_token) => {
                check_access_key_id(&access_key_id)?;
                Keys::Static { access_key_id, secret, session_token }
            }
            (Some(_), ..) => {
                let problem = "a role brings its own keys: expected no access_key_id, no secret \
                               and no session_token beside it";
                return Err(FieldError::new("role", problem));
            }
            (None, ..) => {
                let problem = "expected access_key_id and secret, or role";
                return Err(FieldError::new("", problem));
            }
        };
        Ok(Box::new(Signer { region, service, keys }))
    }
}

fn check_access_key_id(text: &str) -> Result<(), FieldError> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if (1..=128).contains(&text.len()) && text.bytes().all(is_word) {
        return Ok(());
    }
    let problem = "expected 1 to 128 letters and digits, as in AKIAIOSFODNN7EXAMPLE";
    Err(FieldError::new("access_key_id", problem))
}

/// Whether a value has the form of an id: a secret access key is longer ("IAM identifiers", AWS IAM User
/// Guide).
fn is_access_key_id(value: &SecretBytes) -> bool {
    let bytes = value.expose();
    let is_known = bytes.starts_with(b"AKIA") || bytes.starts_with(b"ASIA");
    let is_word = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    is_known && bytes.len() == 20 && bytes.iter().all(is_word)
}

impl Step for Signer {
    fn secrets(&self) -> Vec<&SecretId> {
        match &self.keys {
            Keys::Static { secret, session_token, .. } => {
                std::iter::once(secret).chain(session_token).collect()
            }
            Keys::Role(_) => Vec::new(),
        }
    }

    fn sets(&self) -> Vec<Part> {
        // The token also where there is none: nobody else may bring one.
        ["authorization", DATE, PAYLOAD, TOKEN].map(|name| Part::Header(name.to_owned())).to_vec()
    }

    fn need(&self) -> Option<Need<'_>> {
        match &self.keys {
            Keys::Static { .. } => None,
            Keys::Role(role) => Some(Need::AwsCredentials(role)),
        }
    }

    fn rewrites_url(&self) -> bool {
        true
    }

    fn covers_url(&self) -> bool {
        true
    }

    fn check_secret(&self, secret: &SecretId, value: &SecretBytes) -> Result<(), AuthError> {
        let is_secret_key = matches!(&self.keys, Keys::Static { secret: key, .. } if key == secret);
        if is_secret_key && is_access_key_id(value) {
            let problem = "found an access key id; expected the secret access key that belongs to \
                           access_key_id";
            return Err(AuthError::of_secret(secret, problem));
        }
        header_text(secret, value).map(drop)
    }

    fn apply(&self, request: &mut OutboundRequest, call: &Call<'_>) -> Result<(), AuthError> {
        let credentials = self.credentials(call)?;
        let date = amz_date(call.now);
        let payload_hash = payload_hash(&request.body);
        plus_to_percent(&mut request.url);
        request.set_header(DATE, HeaderValue::Plain(date.clone()));
        request.set_header(PAYLOAD, HeaderValue::Plain(payload_hash.clone()));
        if let Some(token) = credentials.session_token {
            request.set_header(TOKEN, HeaderValue::Secret(token.clone()));
        }
        let url = request.full_url();
        let host = host(&url);
        let headers = request.headers.iter().map(|h| (&*h.name, h.value.expose()));
        let signed = headers.filter(|(name, _)| is_signed(name)).chain([("host", host.as_bytes())]);
        let canonical = CanonicalRequest {
            method: request.method.as_str(),
            path: canonical_path(url.path(), PathRule::of(&self.service)),
            query: canonical_query(url.query().unwrap_or_default()),
            headers: sorted(signed),
            payload_hash: &payload_hash,
        };
        let day = date.split('T').next().unwrap_or_default();
        let scope = Scope { day, region: &self.region, service: &self.service };
        let key = signature::signing_key(credentials.secret_access_key, &scope);
        let signature = signature::signature(&key, &string_to_sign(&date, &scope, &canonical));
        let value = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            credentials.access_key_id,
            canonical.signed_headers(),
        );
        let value = HeaderValue::Secret(SecretBytes::new(value.into_bytes()));
        request.set_header("authorization", value);
        Ok(())
    }

    fn verify(&self, check: &Check<'_>) -> Vec<Finding> {
        verify::findings(self, check)
    }
}

impl Signer {
    fn credentials<'c>(&'c self, call: &Call<'c>) -> Result<Credentials<'c>, AuthError> {
        match &self.keys {
            Keys::Static { access_key_id, secret, session_token } => {
                call.header_text(secret)?;
                let token = session_token.as_ref();
                token.map(|token| call.header_text(token)).transpose()?;
                Ok(Credentials {
                    access_key_id,
                    secret_access_key: call.secret(secret)?,
                    session_token: token.map(|token| call.secret(token)).transpose()?,
                })
            }
            Keys::Role(role) => match call.grant {
                Some(Grant::AwsCredentials(granted)) => Ok(Credentials {
                    access_key_id: &granted.access_key_id,
                    secret_access_key: &granted.secret_access_key,
                    session_token: granted.session_token.as_ref(),
                }),
                Some(Grant::Challenge(_) | Grant::Token(_)) | None => {
                    Err(AuthError::new(format!("there are no credentials of the AWS role {role}")))
                }
            },
        }
    }
}

fn payload_hash(body: &[u8]) -> String {
    hex(digest(&SHA256, body).as_ref())
}

/// The `Host` header that is sent for a URL: with the port, unless it is the scheme's own.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Spells spaces in the query as `%20`: services differ in what they take a `+` for.
fn plus_to_percent(url: &mut Url) {
    if let Some(query) = url.query().filter(|query| query.contains('+')) {
        let spelled = query.replace('+', "%20");
        url.set_query(Some(&spelled));
    }
}

/// Whether a header is signed: all are but those that proxies and tracing change on the way, and the
/// signature itself.
fn is_signed(name: &str) -> bool {
    !matches!(
        name,
        "authorization"
            | "baggage"
            | "connection"
            | "expect"
            | "traceparent"
            | "tracestate"
            | "transfer-encoding"
            | "user-agent"
            | "x-amzn-trace-id"
    )
}
