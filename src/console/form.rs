//! What forms and queries say.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::Uri;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded::{Serializer, parse};

use super::session::Session;
use crate::api::input::{Body, MAX_BODY, check_type};
use crate::api::problem::{Answer, Code, Problem};

/// The name of the field with the anti-forgery token.
pub const CSRF: &str = "csrf";

/// The fields of a form, or of a query. Fields that were left empty are not there.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(bytes: &[u8]) -> Self {
        let pairs = parse(bytes).map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// A field, as it was entered; empty if it was left empty.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// A field that is a time, with its zone.
    pub fn full(&self, name: &str) -> String {
        full_time(name, self.get(name))
    }

    /// Sets a field; an empty value takes it away.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        self.0.retain(|(found, _)| found != name);
        if !value.is_empty() {
            self.0.push((name.to_owned(), value));
        }
    }

    /// Only these fields, as a query without its `?`.
    pub fn query(&self, names: &[&str]) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in &self.0 {
            if names.contains(&name.as_str()) {
                query.append_pair(name, &full_time(name, value));
            }
        }
        query.finish()
    }

    /// Only these fields, read as what the API takes in its queries.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn read_as<T: DeserializeOwned>(&self, names: &[&str]) -> Answer<T> {
        let uri = format!("/?{}", self.query(names)).parse::<Uri>();
        let uri = uri.map_err(|e| Problem::new(Code::InvalidRequest, e.to_string()))?;
        let read = axum::extract::Query::<T>::try_from_uri(&uri);
        read.map(|query| query.0).map_err(|e| Problem::new(Code::InvalidRequest, e.body_text()))
    }
}

/// The browser's field for a time has neither seconds nor a zone; both forms are in UTC.
fn full_time(name: &str, value: &str) -> String {
    let is_short = matches!(name, "since" | "until") && value.len() == "2026-11-23T10:00".len();
    if is_short { format!("{value}:00Z") } else { value.to_owned() }
}

/// A body for a function of the API.
pub fn body(value: &Value) -> Body {
    Body(value.to_string().into())
}

/// The query of a page.
pub struct Asked(pub Fields);

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(Fields::read(parts.uri.query().unwrap_or("").as_bytes())))
    }
}

/// A form that was sent from one of the session's own pages: there is no other way to its fields.
pub struct Form(pub Fields);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, state).await?;
        let fields = fields(Request::from_parts(parts, body)).await?;
        if session.sent(fields.get(CSRF)) {
            return Ok(Self(fields));
        }
        let detail = "the form is not of this session: load the page again, and send it again";
        Err(Problem::new(Code::Forbidden, detail))
    }
}

/// A form that is sent before there is a session.
pub struct Entrance(pub Fields);

impl<S: Send + Sync> FromRequest<S> for Entrance {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        fields(request).await.map(Self)
    }
}

async fn fields(request: Request) -> Answer<Fields> {
    check_type(request.headers(), &["application/x-www-form-urlencoded"])?;
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(collected) => Ok(Fields::read(&collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::new(Code::TooLarge, format!("more than {MAX_BODY} bytes")))
        }
        Err(_) => Err(Problem::new(Code::InvalidRequest, "the form did not come to its end")),
    }
}
