//! Admitted → built: method, URL, headers and body are as they will be sent, but for credentials.

use super::Halt;
use super::admit::Admitted;
use super::resolve::Resolved;
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::origin::Origin;
use crate::domain::reason::Reason;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;
use crate::domain::target::{MASK, secret_segments};
use crate::egress::guard::Guard;

pub const USER_AGENT: &str = concat!("sealpost/", env!("CARGO_PKG_VERSION"));

/// A job with its request.
pub struct Built<'d> {
    /// The job, endpoint and secrets.
    pub resolved: Resolved<'d>,
    /// The request without credentials.
    pub request: OutboundRequest,
}

/// Builds the request.
pub fn build<'d>(Admitted(resolved): Admitted<'d>, guard: &Guard) -> Result<Built<'d>, Halt> {
    let refuse = |e: FieldError| Halt::DeadLetter(Reason::InvalidRequest, e.to_string());
    let mut request = request(&resolved).map_err(refuse)?;
    // The final URL, once more: a parameter may have changed what it means.
    let checked =
        guard.check_parsed(&request.url).map_err(|e| FieldError::new("url", e.to_string()));
    checked.map_err(refuse)?;
    // The secrets were opened for the endpoint's origin, and go nowhere else.
    if Origin::of(&request.url).as_ref() != Some(resolved.known.endpoint.url.origin()) {
        return Err(refuse(FieldError::new("url", "its origin is not the endpoint's")));
    }
    request.secret_path = secret_path(&resolved)?;
    if request.url.path().matches(MASK).count() != request.secret_path.len() {
        let problem = "its path does not hold each secret once";
        return Err(refuse(FieldError::new("url", problem)));
    }
    if request.full_url().as_str().parse::<http::Uri>().is_err() {
        return Err(refuse(FieldError::new("url", "cannot be sent in a request")));
    }
    Ok(Built { resolved, request })
}

fn request(resolved: &Resolved<'_>) -> Result<OutboundRequest, FieldError> {
    let (job, endpoint) = (&resolved.decoded.job, &resolved.known.endpoint);
    let mut url = endpoint.url.fill(&job.path_parameters)?;
    if !endpoint.query.is_empty() || !job.query.is_empty() {
        let mut pairs = url.query_pairs_mut();
        pairs.extend_pairs(&endpoint.query);
        for (name, value) in &job.query {
            if endpoint.query.contains_key(name) {
                return Err(FieldError::new(
                    format!("query.{name}"),
                    "the endpoint sets this parameter itself",
                ));
            }
            pairs.append_pair(name, value);
        }
    }
    let mut request = OutboundRequest::new(endpoint.method, url, job.payload.bytes.clone().into());
    request.connection = endpoint.connection();
    let mut set =
        |name: &str, value: &str| request.set_header(name, HeaderValue::Plain(value.to_owned()));
    let id = resolved.decoded.state.job_id.as_str();
    set("user-agent", USER_AGENT);
    set("webhook-id", id);
    set("idempotency-key", id);
    if let Some(content_type) = &job.payload.content_type {
        set("content-type", content_type);
    }
    if let Some(traceparent) = &job.traceparent {
        set("traceparent", traceparent);
    }
    for (name, value) in &endpoint.headers {
        set(&name.to_ascii_lowercase(), value.trim_matches([' ', '\t']));
    }
    for (name, value) in &job.headers {
        if endpoint.headers.keys().any(|own| own.eq_ignore_ascii_case(name)) {
            return Err(FieldError::new(
                format!("headers.{name}"),
                "the endpoint sets this header itself",
            ));
        }
        set(name, value);
    }
    Ok(request)
}

/// The secrets of the URL's path, as they stand in it.
pub fn secret_path(resolved: &Resolved<'_>) -> Result<Vec<SecretBytes>, Halt> {
    let of = |id: &SecretId| {
        let current = resolved.secrets.get(id).and_then(|values| values.first());
        let segments = current.ok_or("no value in use").and_then(secret_segments);
        segments.map_err(|problem| {
            Halt::DeadLetter(Reason::AuthFailed, format!("url: secret {id}: {problem}"))
        })
    };
    resolved.known.endpoint.url.secrets().map(of).collect()
}
