//! What the API says when it does not do what it was asked: problem documents (RFC 9457) with stable
//! codes.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use crate::domain::field::FieldError;
use crate::domain::job::Undecodable;
use crate::domain::reason::Reason;
use crate::ports;
use crate::registration::RegistrationError;
use crate::telemetry::metrics::label::Dependency;
use crate::vault::{TenantKeyError, WriteError};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong. The code is part of the contract and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Its name among all the kinds of problems in the world.
            pub fn urn(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:sealpost:problem:", $code),)* }
            }

            /// The status that it comes with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it means, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The request cannot be read: its JSON, its path, its query or a header.
    InvalidRequest = "invalid_request", BAD_REQUEST, "the request cannot be read";
    /// No key, or none that is good.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "no key, or one that is unknown, revoked or expired";
    /// The key is not for that.
    Forbidden = "forbidden", FORBIDDEN, "the key may not do that";
    /// There is no such thing.
    NotFound = "not_found", NOT_FOUND, "there is no such thing";
    /// The path does not have this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "the path does not have this method";
    /// The request did not come to its end in time.
    Timeout = "timeout", REQUEST_TIMEOUT, "the request took too long";
    /// It is there already, or in a state in which that cannot be done.
    Conflict = "conflict", CONFLICT, "the state of the thing does not permit it";
    /// Another job has this id.
    IdempotencyConflict = "idempotency_conflict", CONFLICT, "another job of this id was sent in the last 24 hours";
    /// The same job is being taken at this moment.
    InProgress = "in_progress", CONFLICT, "the same job is being taken: try again";
    /// Somebody else has changed it.
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "it is at another version now";
    /// The body is larger than the limit.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "the body is too large";
    /// The body is of another type than was expected.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "the body is of another type than was expected";
    /// A field has a value that cannot be used.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "a field has a value that cannot be used";
    /// Too many requests with this key, or with bad keys from this address.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "too many requests with this key, or with bad ones from this address: see retry-after";
    /// A bug.
    Internal = "internal", INTERNAL_SERVER_ERROR, "sealpost is at fault";
    /// A store, the queue or the key service cannot be reached.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "something that sealpost needs cannot be reached: try again";
}

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `urn:sealpost:problem:` and the code.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What the code means.
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// The stable code.
    code: &'static str,
    /// What is wrong here, and what to do.
    detail: Box<str>,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// The request's id, which is in the log too.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Box<str>>,
    #[serde(skip)]
    what: Code,
    #[serde(skip)]
    retry_after: Option<u32>,
    /// What of ours failed, and what has to be mended.
    #[serde(skip)]
    fault: Option<(Dependency, Option<ports::Alarm>)>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Its path, as in `retry.maxAttempts`.
    path: String,
    /// What is wrong and what was expected.
    problem: String,
}

impl Problem {
    /// A problem of this kind, with what is wrong here.
    pub fn new(what: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: what.urn(),
            title: what.title(),
            status: what.status().as_u16(),
            code: what.code(),
            detail: detail.into().into(),
            errors: Vec::new(),
            request_id: None,
            what,
            retry_after: None,
            fault: None,
        }
    }

    /// A problem with one field.
    pub fn field(what: Code, error: &FieldError) -> Self {
        let (path, problem) = (error.path.clone(), error.problem.clone());
        Self { errors: vec![FieldProblem { path, problem }], ..Self::new(what, error.to_string()) }
    }

    /// There is no such thing.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"))
    }

    /// Another version is current than was expected; 0: there is none.
    pub fn other_version(now: u64) -> Self {
        let detail = match now {
            0 => "there is none now: read it again".to_owned(),
            now => format!("it is at version {now} now: read it again"),
        };
        Self::new(Code::PreconditionFailed, detail)
    }

    /// The same, to be tried again after so many seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds.max(1)), ..self }
    }

    /// The same, with the id of the request.
    #[must_use]
    pub fn of_request(self, id: &str) -> Self {
        Self { request_id: Some(id.into()), ..self }
    }

    /// What of ours failed, if anything did, and what has to be mended.
    pub fn fault(&self) -> Option<(Dependency, Option<ports::Alarm>)> {
        self.fault
    }

    /// What it is.
    pub fn what(&self) -> Code {
        self.what
    }

    /// What is wrong here.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The fields that are wrong: the path of each, and what is wrong with it.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.errors.iter().map(|field| (field.path.as_str(), field.problem.as_str()))
    }

    /// After how many seconds it may be tried again.
    pub fn wait(&self) -> Option<u32> {
        self.retry_after
    }

    /// What stands for a response of the framework.
    pub fn of_status(status: StatusCode) -> Self {
        let codes = [Code::NotFound, Code::MethodNotAllowed, Code::TooLarge, Code::InvalidRequest];
        let known = codes.into_iter().find(|code| code.status() == status);
        let code = known.unwrap_or(if status.is_client_error() {
            Code::InvalidRequest
        } else {
            Code::Internal
        });
        Self::new(code, code.title())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.what.status(), Json(&self)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.what == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // The edge of the server writes the document again, with the request's id.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::field(Code::ValidationFailed, &error)
    }
}

impl From<ports::Error> for Problem {
    /// What failed is for the log: the caller can do nothing about it, and need not know our names.
    fn from(error: ports::Error) -> Self {
        warn!(event = "fault", operation = error.operation, what = "api", "{error}");
        let fault = Some((Dependency::of(error.operation), error.alarm));
        let problem = Self::new(Code::Unavailable, Code::Unavailable.title()).retry_after(1);
        Self { fault, ..problem }
    }
}

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Refused(field) => field.into(),
            RegistrationError::Ours(error) => error.into(),
            RegistrationError::Secret(error) => error.into(),
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Ours(error) => error.into(),
            WriteError::Value(problem) => FieldError::new("value", problem).into(),
            WriteError::Unknown { secret, .. } => Self::not_found(format!("secret {secret}")),
            WriteError::UnknownVersion { secret, version, .. } => {
                Self::not_found(format!("version {version} of secret {secret}"))
            }
            WriteError::AlreadyCurrent(version) => {
                let detail = format!("version {version} is the current one already");
                Self::new(Code::Conflict, detail)
            }
            WriteError::IsCurrent(version) => {
                Self::new(Code::Conflict, format!("version {version} is the current one"))
            }
            WriteError::Conflict(now) => Self::other_version(now),
            WriteError::ReferenceNotAllowed { .. } | WriteError::NoReferences => {
                Self::new(Code::Conflict, error.to_string())
            }
            WriteError::Reserved(_) => FieldError::new("secretId", error.to_string()).into(),
            WriteError::TenantKey(TenantKeyError::Ours(error)) => error.into(),
            WriteError::TenantKey(problem) => Self::new(Code::Conflict, problem.to_string()),
        }
    }
}

impl From<Undecodable> for Problem {
    fn from(undecodable: Undecodable) -> Self {
        let code = if undecodable.reason == Reason::MalformedJob {
            Code::InvalidRequest
        } else if undecodable.reason == Reason::OversizedJob {
            Code::TooLarge
        } else {
            Code::ValidationFailed
        };
        Self::field(code, &undecodable.error)
    }
}

/// What a handler returns.
pub type Answer<T> = Result<T, Problem>;
