//! Where and how a customer is called: the configuration of one endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::limits::Limits;
use crate::domain::retry_policy::RetryPolicy;
use crate::domain::target::UrlTemplate;

/// Longest time one call may take.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Most auth steps on one endpoint.
pub const MAX_AUTH_STEPS: usize = 16;

/// An endpoint as a customer's administrator registers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// Whose endpoint it is.
    pub customer_id: CustomerId,
    /// Its name, unique for the customer.
    pub endpoint_id: EndpointId,
    /// The URL, with `*` for each path parameter of the job.
    pub url: UrlTemplate,
    /// The HTTP method.
    #[serde(default)]
    pub method: Method,
    /// Headers sent on every call. No credentials: those are auth steps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters sent on every call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// How calls are authenticated and signed, applied in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<AuthStep>,
    /// When failures are tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// How much may be asked of it. Not written where none are named, so that older workers, too,
    /// read the endpoint.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// The time one call may take in all: name resolution, connection, TLS, request and response.
    #[serde(default = "default_timeout", with = "humantime_serde")]
    pub timeout: Duration,
}

fn default_timeout() -> Duration {
    Duration::from_secs(15)
}

/// One auth step: a scheme's name and its plain settings, which name secrets but hold none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthStep {
    /// The scheme's name in the registry.
    pub scheme: String,
    /// The scheme's settings.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

impl Endpoint {
    /// Reads an endpoint from JSON and checks all that can be seen without other parts.
    ///
    /// # Errors
    /// With the path of the first field that is wrong.
    pub fn from_json(json: &str) -> Result<Self, FieldError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let endpoint: Self = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
            let path = e.path().to_string();
            let path = if path == "." { String::new() } else { path };
            FieldError::new(path, e.into_inner().to_string())
        })?;
        reader.end().map_err(|e| FieldError::new("", e.to_string()))?;
        endpoint.check()?;
        Ok(endpoint)
    }

    fn check(&self) -> Result<(), FieldError> {
        for (name, value) in &self.headers {
            header::check_plain(name, value)
                .map_err(|e| FieldError::new(format!("headers.{name}"), e.to_string()))?;
        }
        if let Some(twice) = duplicate_header(self.headers.keys()) {
            return Err(FieldError::new(
                format!("headers.{twice}"),
                "named twice in different case",
            ));
        }
        if self.timeout.is_zero() || self.timeout > LONGEST_TIMEOUT {
            return Err(FieldError::new("timeout", "expected more than 0 and at most 15m"));
        }
        if self.auth.len() > MAX_AUTH_STEPS {
            return Err(FieldError::new("auth", format!("more than {MAX_AUTH_STEPS} steps")));
        }
        self.limits.check().map_err(|e| e.under("limits"))?;
        self.retry.check().map_err(|e| e.under("retry"))
    }
}

/// The first name that differs from an earlier one in case only.
pub fn duplicate_header<'n>(names: impl Iterator<Item = &'n String>) -> Option<&'n str> {
    let mut seen = std::collections::HashSet::new();
    names.map(String::as_str).find(|name| !seen.insert(name.to_ascii_lowercase()))
}

/// The HTTP methods that a delivery may use (RFC 9110 section 9.3). CONNECT would open a tunnel and
/// TRACE would echo credentials back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
#[allow(missing_docs)]
pub enum Method {
    #[default]
    Post,
    Put,
    Patch,
    Delete,
    Get,
    Head,
    Options,
}

impl Method {
    const ALL: [Self; 7] =
        [Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Get, Self::Head, Self::Options];

    /// The method as it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}

impl From<Method> for &'static str {
    fn from(method: Method) -> Self {
        method.as_str()
    }
}

impl FromStr for Method {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let found = Self::ALL.into_iter().find(|method| method.as_str() == text);
        found.ok_or_else(|| {
            let expected = "expected POST, PUT, PATCH, DELETE, GET, HEAD or OPTIONS, in capitals";
            FieldError::new("", format!("{text:?} is not a method: {expected}"))
        })
    }
}

impl TryFrom<String> for Method {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        text.parse()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the worker has learnt of an endpoint, apart from its configuration. It belongs to one
/// version of the endpoint: putting the endpoint again starts afresh.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Health {
    /// Deliveries are made.
    #[default]
    Active,
    /// Deliveries wait until then, because the endpoint asked for it.
    Paused {
        /// When deliveries go on.
        until: crate::domain::timestamp::Timestamp,
    },
    /// Deliveries wait: whoever gives out access tokens for it refuses to. From `probe_at` on, one
    /// delivery after another asks again.
    Deauthorized {
        /// Why, in words.
        why: String,
        /// When it is asked again.
        probe_at: crate::domain::timestamp::Timestamp,
    },
    /// Deliveries are dead-lettered until the endpoint is put again.
    Disabled {
        /// Why, in words.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &str) -> Result<Endpoint, FieldError> {
        let extra = if extra.is_empty() { String::new() } else { format!(",{extra}") };
        Endpoint::from_json(&format!(
            r#"{{"customerId":"c","endpointId":"e","url":"https://a.example/"{extra}}}"#
        ))
    }

    #[test]
    fn an_endpoint_needs_no_more_than_ids_and_a_url() {
        let endpoint = parse("").unwrap();
        assert_eq!(endpoint.method, Method::Post);
        assert_eq!(endpoint.timeout, Duration::from_secs(15));
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let path_of = |extra: &str| parse(extra).unwrap_err().path;
        assert_eq!(path_of(r#""timeout":"1h""#), "timeout");
        assert_eq!(path_of(r#""method":"CONNECT""#), "method");
        assert_eq!(path_of(r#""method":"post""#), "method");
        assert_eq!(path_of(r#""headers":{"x":"a\r\nb"}"#), "headers.x");
        assert_eq!(path_of(r#""headers":{"Authorization":"Bearer x"}"#), "headers.Authorization");
        assert_eq!(path_of(r#""headers":{"X-A":"1","x-a":"2"}"#), "headers.x-a");
        assert_eq!(path_of(r#""retry":{"maxAttempts":0}"#), "retry.maxAttempts");
        assert_eq!(path_of(r#""retry":{"retryOn":["oops"]}"#), "retry.retryOn[0]");
        assert_eq!(path_of(r#""retires":{}"#), "retires");
    }

    #[test]
    fn an_endpoint_reads_back_as_it_was_written() {
        let endpoint = parse(r#""auth":[{"scheme":"basic","username":"u","secret":"s"}]"#).unwrap();
        let json = serde_json::to_string(&endpoint).unwrap();
        assert_eq!(Endpoint::from_json(&json).unwrap(), endpoint);
    }
}
