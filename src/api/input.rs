//! What handlers take of a request: checked, or a problem that names the field.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::{Answer, Code, Problem};
use crate::domain::field::FieldError;
use crate::domain::job::MAX_JOB;

/// Largest body of a request, one bulk of jobs excepted: the largest job.
pub const MAX_BODY: usize = MAX_JOB;

/// The names in the path.
pub struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(named)) => Ok(Self(named)),
            Err(rejection) => Err(Problem::field(
                Code::InvalidRequest,
                &FieldError::new("", rejection.body_text()),
            )),
        }
    }
}

/// The query.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let error = FieldError::new("query", rejection.body_text());
                Err(Problem::field(Code::InvalidRequest, &error))
            }
        }
    }
}

/// The whole body, which is JSON. It is read only after the caller was recognised, and interpreted
/// by the handler, after it has looked at what the caller may do.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_type(request.headers(), &["application/json"])?;
        match Limited::new(request.into_body(), MAX_BODY).collect().await {
            Ok(collected) => Ok(Self(collected.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Problem::new(Code::TooLarge, format!("more than {MAX_BODY} bytes")))
            }
            Err(_) => Err(Problem::new(Code::InvalidRequest, "the body did not come to its end")),
        }
    }
}

impl Body {
    /// The body as what it has to be. An empty one is an empty object.
    ///
    /// # Errors
    /// With the path of the field that is wrong.
    pub fn read<T: DeserializeOwned>(&self) -> Answer<T> {
        let bytes: &[u8] = if self.0.is_empty() { b"{}" } else { &self.0 };
        check_object(bytes)?;
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            let path = e.path().to_string();
            let path = if path == "." { String::new() } else { path };
            let error = e.into_inner();
            let code = if error.is_data() { Code::ValidationFailed } else { Code::InvalidRequest };
            Problem::field(code, &FieldError::new(path, error.to_string()))
        })?;
        let rest = reader.end().map_err(|e| FieldError::new("", e.to_string()));
        rest.map_err(|e| Problem::field(Code::InvalidRequest, &e))?;
        Ok(read)
    }
}

/// Whether a document is an object, if it is JSON: a list of its members in their order would be read
/// as one.
///
/// # Errors
/// If it is something else.
pub fn check_object(bytes: &[u8]) -> Answer<()> {
    let begin = bytes.trim_ascii_start().first();
    if begin == Some(&b'{') || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_err() {
        return Ok(());
    }
    Err(FieldError::new("", "expected a JSON object").into())
}

/// Whether the body is of one of these types; one that names none is taken for it.
///
/// # Errors
/// If it is of another.
pub fn check_type(headers: &HeaderMap, allowed: &[&str]) -> Answer<()> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or("").split(';').next().unwrap_or("").trim();
    let is_json = essence.ends_with("+json") && allowed.contains(&"application/json");
    if is_json || allowed.iter().any(|allowed| essence.eq_ignore_ascii_case(allowed)) {
        return Ok(());
    }
    let detail = format!("content-type: expected {}", allowed.join(" or "));
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

/// What the caller says of the version that it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Anything,
    /// There is none: `If-None-Match: *`.
    Nothing,
    /// There is one: `If-Match: *`.
    Something,
    /// This one: `If-Match: "3"`.
    Version(u64),
}

impl Expected {
    /// Reads `If-Match` and `If-None-Match`.
    ///
    /// # Errors
    /// If they say anything but a version.
    pub fn of(headers: &HeaderMap) -> Answer<Self> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let refused = |name: &str, problem: &str| {
            Problem::field(Code::InvalidRequest, &FieldError::new(name, problem))
        };
        match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
            (None, None) => Ok(Self::Anything),
            (None, Some("*")) => Ok(Self::Nothing),
            (Some("*"), None) => Ok(Self::Something),
            (Some(tag), None) => {
                let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
                let version = version.and_then(|version| version.parse().ok());
                version
                    .map(Self::Version)
                    .ok_or_else(|| refused("if-match", "expected the etag of one version, or *"))
            }
            (_, Some(_)) => Err(refused("if-none-match", "expected * alone, or if-match")),
        }
    }

    /// The version that has to be current for a write, where `now` is (0: none).
    ///
    /// # Errors
    /// If it is not.
    pub fn check(self, now: u64) -> Answer<()> {
        let holds = match self {
            Self::Anything => true,
            Self::Nothing => now == 0,
            Self::Something => now != 0,
            Self::Version(version) => now == version,
        };
        if holds { Ok(()) } else { Err(Problem::other_version(now)) }
    }

    /// What a store is told to expect; `now` reads the version that is current, where that is asked.
    pub async fn for_store(self, now: impl Future<Output = Answer<u64>>) -> Answer<Option<u64>> {
        match self {
            Self::Anything => Ok(None),
            Self::Nothing => Ok(Some(0)),
            Self::Version(version) => Ok(Some(version)),
            Self::Something => {
                let now = now.await?;
                self.check(now)?;
                Ok(Some(now))
            }
        }
    }
}

/// A duration as people write it: `30s`, `24h`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub struct Length(#[serde(with = "humantime_serde")] pub std::time::Duration);

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(headers: &[(HeaderName, &'static str)]) -> Answer<Expected> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), axum::http::HeaderValue::from_static(value)));
        Expected::of(&headers.collect())
    }

    #[test]
    fn a_precondition_is_a_version_or_that_there_is_one_or_none() {
        use header::{IF_MATCH, IF_NONE_MATCH};
        assert_eq!(expected(&[]).unwrap(), Expected::Anything);
        assert_eq!(expected(&[(IF_MATCH, "\"3\"")]).unwrap(), Expected::Version(3));
        assert_eq!(expected(&[(IF_MATCH, "*")]).unwrap(), Expected::Something);
        assert_eq!(expected(&[(IF_NONE_MATCH, "*")]).unwrap(), Expected::Nothing);
        for bad in ["3", "\"x\"", "W/\"3\"", "\"1\", \"2\"", ""] {
            assert!(expected(&[(IF_MATCH, bad)]).is_err(), "{bad}");
        }
        assert!(expected(&[(IF_NONE_MATCH, "\"3\"")]).is_err());
        assert!(expected(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")]).is_err());
    }

    #[test]
    fn a_precondition_holds_or_tells_the_version_that_is_current() {
        for (expected, now, holds) in [
            (Expected::Anything, 0, true),
            (Expected::Nothing, 0, true),
            (Expected::Nothing, 1, false),
            (Expected::Something, 0, false),
            (Expected::Something, 2, true),
            (Expected::Version(2), 2, true),
            (Expected::Version(2), 3, false),
        ] {
            assert_eq!(expected.check(now).is_ok(), holds, "{expected:?} {now}");
        }
    }
}
