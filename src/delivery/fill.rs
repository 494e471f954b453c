//! The last of a request before its auth steps: the secrets that the endpoint itself names, in the
//! path, the headers, the query and the body; then compression. It is done anew for every call,
//! because a secret may have changed since the request was built.

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzEncoder;

use super::Halt;
use super::parameters::{EventData, Named, Source};
use super::resolve::Resolved;
use crate::domain::body::{essence, is_json};
use crate::domain::endpoint::Compression;
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::reason::Reason;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::secret::SecretBytes;
use crate::domain::target::secret_segments;
use crate::transform::{BodyKind, Json, merge};
use url::form_urlencoded;

/// The secrets of the URL's path, as they stand in it.
pub fn secret_path(resolved: &Resolved<'_>) -> Result<Vec<SecretBytes>, Halt> {
    let of = |id: &SecretId| {
        let current = resolved.secrets.get(id).and_then(|values| values.first());
        let segments = current.ok_or("no value in use").and_then(secret_segments);
        segments
            .map_err(|problem| refuse(FieldError::new("url", format!("secret {id}: {problem}"))))
    };
    resolved.known.endpoint.url.secrets().map(of).collect()
}

/// Fills the head of a request: all but the body.
pub fn fill_head(request: &mut OutboundRequest, resolved: &Resolved<'_>) -> Result<(), Halt> {
    let parameters = &resolved.known.parameters;
    let secret = |named: &Named| {
        let value = named.secret(&resolved.secrets).map_err(refuse)?;
        named.check_text(&value).map_err(refuse)?;
        Ok::<_, Halt>(value)
    };
    for named in parameters.headers.iter().filter(|named| is_secret(named)) {
        request.set_header(&named.name, HeaderValue::Secret(secret(named)?));
    }
    for named in parameters.query.iter().filter(|named| is_secret(named)) {
        request.secret_query.push((named.name.clone(), secret(named)?));
    }
    Ok(())
}

/// Fills a request that carries the message.
pub fn fill(request: &mut OutboundRequest, resolved: &Resolved<'_>) -> Result<(), Halt> {
    fill_head(request, resolved)?;
    if !resolved.known.parameters.body.is_empty() {
        put_into_body(request, resolved)?;
    }
    match resolved.known.endpoint.compression {
        Some(Compression::Gzip) if !request.body.is_empty() => compress(request),
        Some(Compression::Gzip) | None => Ok(()),
    }
}

fn put_into_body(request: &mut OutboundRequest, resolved: &Resolved<'_>) -> Result<(), Halt> {
    let event = EventData::of(&resolved.decoded.job.payload);
    let mut members = Vec::new();
    for named in &resolved.known.parameters.body {
        let value = named.json(&event, &resolved.secrets).map_err(|e| match &named.source {
            Source::Secret(..) => refuse(e),
            Source::Plain(_) | Source::Event(..) => untransformed(e),
        })?;
        members.push((named.name.as_str(), value.clone()));
        if is_secret(named) {
            request.secret_body.push(value);
        }
    }
    let values: Vec<(&str, &[u8])> = members.iter().map(|(n, v)| (*n, v.expose())).collect();
    let kind = body_kind(request)?;
    if !resolved.known.endpoint.profile.endpoint_wins() {
        let has = |name: &&str| holds(kind, &request.body, name);
        if let Some(name) = values.iter().map(|(name, _)| *name).find(has) {
            let path = format!("bodyParameters.{name}");
            return Err(untransformed(FieldError::new(path, "the body has it already")));
        }
    }
    let merged = merge(kind, &request.body, &values);
    let merged = merged.map_err(|e| untransformed(FieldError::new(e.path, e.problem)))?;
    request.body = merged.into();
    Ok(())
}

/// What the body is, by its content type.
fn body_kind(request: &OutboundRequest) -> Result<BodyKind, Halt> {
    let content_type = request.header("content-type").map(HeaderValue::expose).unwrap_or_default();
    let content_type = String::from_utf8_lossy(content_type);
    if is_json(&content_type) {
        return Ok(BodyKind::Json);
    }
    if essence(&content_type) == "application/x-www-form-urlencoded" {
        return Ok(BodyKind::Form);
    }
    let problem = format!("the body is {content_type:?}: expected JSON or a form");
    Err(untransformed(FieldError::new("bodyParameters", problem)))
}

/// Whether a body has a member or field of this name.
fn holds(kind: BodyKind, body: &[u8], name: &str) -> bool {
    match kind {
        BodyKind::Json => std::str::from_utf8(body)
            .ok()
            .and_then(|text| Json::parse(text).ok())
            .is_some_and(|json| json.get(name).is_some()),
        BodyKind::Form => form_urlencoded::parse(body).any(|(own, _)| own == name),
    }
}

fn compress(request: &mut OutboundRequest) -> Result<(), Halt> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(&request.body).and_then(|()| encoder.finish());
    let failed = |e: std::io::Error| Halt::Ours(crate::ports::Error::new("delivery.compress", e));
    let compressed = Bytes::from(written.map_err(failed)?);
    request.plain_body = Some(std::mem::replace(&mut request.body, compressed));
    request.set_header("content-encoding", HeaderValue::Plain("gzip".to_owned()));
    Ok(())
}

fn is_secret(named: &Named) -> bool {
    match &named.source {
        Source::Secret(..) => true,
        Source::Plain(_) | Source::Event(..) => false,
    }
}

fn refuse(error: FieldError) -> Halt {
    Halt::DeadLetter(Reason::AuthFailed, error.to_string())
}

/// The body or a parameter cannot be made of the job.
pub fn untransformed(error: FieldError) -> Halt {
    Halt::DeadLetter(Reason::TransformFailed, error.to_string())
}
