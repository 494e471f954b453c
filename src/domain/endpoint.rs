//! Where and how a customer is called: the configuration of one endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::body::Body;
use crate::domain::connection::{
    CONNECT_TIMEOUT, Connection, HttpVersion, TlsSettings, TlsVersion,
};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::event_type::EventTypePattern;
use crate::domain::eventbridge::{self, RuleTarget};
use crate::domain::field::FieldError;
use crate::domain::header::{self, InvalidHeader};
pub use crate::domain::health::Health;
use crate::domain::health::HealthSettings;
use crate::domain::ids::{CustomerId, EndpointId, SecretId};
use crate::domain::limits::Limits;
use crate::domain::parameter::Parameter;
use crate::domain::profile::Profile;
use crate::domain::retry_policy::{RetryPolicy, RetrySettings};
use crate::domain::target::UrlTemplate;
use crate::domain::verification::VerificationSettings;

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
    /// Whether deliveries are made.
    #[serde(default = "enabled", skip_serializing_if = "is_enabled")]
    pub enabled: bool,
    /// The types of events that it wants of jobs that name no endpoint; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_types: Option<Vec<EventTypePattern>>,
    /// The URL, with `*` for each path parameter of the job.
    pub url: UrlTemplate,
    /// The HTTP method.
    #[serde(default)]
    pub method: Method,
    /// Whose ways it is called in, where nothing else is said here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub profile: Profile,
    /// The EventBridge rule and API destination that it stands for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub eventbridge: RuleTarget,
    /// What fills the wildcards of the URL, if not the job's path parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_parameters: Vec<Parameter>,
    /// Headers sent on every call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Parameter>,
    /// Query parameters sent on every call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, Parameter>,
    /// What makes the body; the job's as it came without it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub body: Body,
    /// Members that are put into the body, a JSON object or a form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub body_parameters: BTreeMap<String, Parameter>,
    /// How the body is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The handshake by which it has to agree to be called, before anything is delivered. Not written
    /// where none is asked for, so that older workers, too, read the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationSettings>,
    /// How calls are authenticated and signed, applied in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<AuthStep>,
    /// Whether a call that is refused with 401 is made once more with the previous value of a secret,
    /// while it overlaps with the current one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub previous_secret_on_401: bool,
    /// When failures are tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retry: RetrySettings,
    /// How much may be asked of it. Not written where none are named, so that older workers, too,
    /// read the endpoint.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// When it is disabled, and what follows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub health_policy: HealthSettings,
    /// The time one call may take in all: name resolution, connection, TLS, request and response.
    /// The profile's without one.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The part of it that the name's lookup, the connection and the TLS handshake may take together.
    #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// What its TLS must be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: TlsSettings,
    /// The version of HTTP that is spoken.
    #[serde(default, skip_serializing_if = "is_default")]
    pub http_version: HttpVersion,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn enabled() -> bool {
    true
}

fn is_enabled(enabled: &bool) -> bool {
    *enabled
}

/// Largest configuration of an endpoint, in bytes of its JSON. A row of a table of Amazon DynamoDB takes
/// 400 KB (Amazon DynamoDB Developer Guide, "Quotas in Amazon DynamoDB").
pub const MAX_ENDPOINT: usize = 256 * 1024;

/// How a body is compressed before it is signed and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// RFC 1952, said in `content-encoding`.
    Gzip,
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
        if json.len() > MAX_ENDPOINT {
            let problem = format!("{} bytes: an endpoint has at most {MAX_ENDPOINT}", json.len());
            return Err(FieldError::new("", problem));
        }
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

    /// The time that one call may take.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(self.profile.timeout())
    }

    /// What calls ask of their connections.
    pub fn connection(&self) -> Connection {
        let usual = CONNECT_TIMEOUT.min(self.timeout());
        Connection {
            connect_timeout: self.connect_timeout.unwrap_or(usual),
            min_tls: self.tls.min_version,
            http: self.http_version,
        }
    }

    /// When failures are tried again.
    ///
    /// # Errors
    /// With the path of the setting that is out of its range.
    pub fn retry_policy(&self) -> Result<RetryPolicy, FieldError> {
        self.retry.policy(self.profile.retry()).map_err(|e| e.under("retry"))
    }

    /// What the profile puts beside a dead letter.
    pub fn dead_letter_attributes(&self, letter: &DeadLetter) -> BTreeMap<String, String> {
        match self.profile {
            Profile::Sealpost => BTreeMap::new(),
            Profile::EventBridge => eventbridge::attributes(letter, &self.eventbridge),
        }
    }

    /// What makes the body; its input transformer names the rule that the endpoint stands for, if it
    /// names no other.
    pub fn body_of_rule(&self) -> Body {
        let mut body = self.body.clone();
        if let Some(transformer) = &mut body.input_transformer {
            let (arn, name) = (&self.eventbridge.rule_arn, self.eventbridge.rule_name());
            transformer.rule_arn = transformer.rule_arn.take().or_else(|| arn.clone());
            transformer.rule_name = transformer.rule_name.take().or(name.map(str::to_owned));
        }
        body
    }

    /// The secrets in the URL and in parameters: all but those of auth steps.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretId> {
        let named =
            self.headers.values().chain(self.query.values()).chain(self.body_parameters.values());
        self.url.secrets().chain(named.filter_map(Parameter::secret))
    }

    /// Whether a job of this type that names no endpoint goes here.
    pub fn wants(&self, event_type: Option<&str>) -> bool {
        let filter = self.event_types.as_ref();
        filter.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(event_type)))
    }

    fn check(&self) -> Result<(), FieldError> {
        if self.event_types.as_ref().is_some_and(Vec::is_empty) {
            let problem = "expected at least one pattern; leave it out for all types";
            return Err(FieldError::new("eventTypes", problem));
        }
        for (name, value) in &self.headers {
            self.check_header(name, value)
                .map_err(|e| FieldError::new(format!("headers.{name}"), e.to_string()))?;
        }
        self.check_path_parameters()?;
        if let Some(twice) = duplicate_header(self.headers.keys()) {
            return Err(FieldError::new(
                format!("headers.{twice}"),
                "named twice in different case",
            ));
        }
        if self.compression.is_some() && self.headers.keys().any(|n| is(n, "content-encoding")) {
            let problem = "compression sets this header: leave one of them out";
            return Err(FieldError::new("headers.content-encoding", problem));
        }
        if self.timeout().is_zero() || self.timeout() > LONGEST_TIMEOUT {
            return Err(FieldError::new("timeout", "expected more than 0 and at most 15m"));
        }
        self.check_connection()?;
        if self.auth.len() > MAX_AUTH_STEPS {
            return Err(FieldError::new("auth", format!("more than {MAX_AUTH_STEPS} steps")));
        }
        self.limits.check().map_err(|e| e.under("limits"))?;
        self.health_policy.check().map_err(|e| e.under("healthPolicy"))?;
        self.retry_policy().map(drop)
    }

    fn check_header(&self, name: &str, value: &Parameter) -> Result<(), InvalidHeader> {
        match value {
            Parameter::Plain(text) => {
                header::check_plain(name, text)?;
            }
            Parameter::Secret { prefix, .. } => {
                header::check_not_reserved(&header::check_name(name)?)?;
                header::check_value(prefix)?;
            }
            Parameter::Event(_) => {
                header::check_plain(name, "")?;
            }
        }
        if !self.profile.lets_be_set(&name.to_ascii_lowercase()) {
            return Err(InvalidHeader::Reserved("the profile sets it"));
        }
        Ok(())
    }

    fn check_connection(&self) -> Result<(), FieldError> {
        if self.connect_timeout.is_some_and(|part| part.is_zero() || part > self.timeout()) {
            let problem =
                format!("expected more than 0 and at most the timeout, {:?}", self.timeout());
            return Err(FieldError::new("connectTimeout", problem));
        }
        if self.http_version == HttpVersion::V2 && self.profile.closes_connections() {
            let problem = "the profile speaks HTTP/1.1: leave this out, or use another profile";
            return Err(FieldError::new("httpVersion", problem));
        }
        if self.url.origin().is_encrypted() {
            return Ok(());
        }
        match self.http_version {
            HttpVersion::V1_1 => {}
            HttpVersion::V2 => {
                let problem =
                    "HTTP/2 is spoken over TLS only: expected \"1.1\", or a URL with https";
                return Err(FieldError::new("httpVersion", problem));
            }
        }
        match self.tls.min_version {
            TlsVersion::V1_2 => Ok(()),
            TlsVersion::V1_3 => {
                let problem = "the URL has no TLS: leave this out, or use a URL with https";
                Err(FieldError::new("tls.minVersion", problem))
            }
        }
    }

    fn check_path_parameters(&self) -> Result<(), FieldError> {
        let (wanted, given) = (self.url.wildcards(), self.path_parameters.len());
        if given != 0 && given != wanted {
            let problem = format!("{given} for the {wanted} wildcard(s) of the URL");
            return Err(FieldError::new("pathParameters", problem));
        }
        let secret = self.path_parameters.iter().position(|value| value.secret().is_some());
        match secret {
            Some(index) => {
                let problem = "a secret in the path is named in the URL itself, as {secret:ID}";
                Err(FieldError::new(format!("pathParameters[{index}]"), problem))
            }
            None => Ok(()),
        }
    }
}

fn is(name: &str, lower: &str) -> bool {
    name.eq_ignore_ascii_case(lower)
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
        assert_eq!(endpoint.timeout(), Duration::from_secs(15));
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        let path_of = |extra: &str| parse(extra).unwrap_err().path;
        assert_eq!(path_of(r#""timeout":"1h""#), "timeout");
        assert_eq!(path_of(r#""timeout":"5s","connectTimeout":"6s""#), "connectTimeout");
        assert_eq!(path_of(r#""connectTimeout":"0s""#), "connectTimeout");
        assert_eq!(path_of(r#""tls":{"minVersion":"1.1"}"#), "tls.minVersion");
        assert_eq!(path_of(r#""method":"CONNECT""#), "method");
        assert_eq!(path_of(r#""method":"post""#), "method");
        assert_eq!(path_of(r#""headers":{"x":"a\r\nb"}"#), "headers.x");
        assert_eq!(path_of(r#""headers":{"Authorization":"Bearer x"}"#), "headers.Authorization");
        assert_eq!(path_of(r#""headers":{"X-A":"1","x-a":"2"}"#), "headers.x-a");
        assert_eq!(path_of(r#""retry":{"maxAttempts":0}"#), "retry.maxAttempts");
        assert_eq!(path_of(r#""retry":{"retryOn":["oops"]}"#), "retry.retryOn[0]");
        assert_eq!(path_of(r#""retires":{}"#), "retires");
        assert_eq!(path_of(r#""eventTypes":[]"#), "eventTypes");
        assert_eq!(path_of(r#""eventTypes":["a","*.b"]"#), "eventTypes[1]");
    }

    #[test]
    fn what_a_connection_cannot_be_is_refused_with_its_path() {
        let cases = [
            (r#""connectTimeout":"0s""#, "connectTimeout", "more than 0"),
            (r#""connectTimeout":"16s""#, "connectTimeout", "at most the timeout, 15s"),
            (r#""timeout":"2s","connectTimeout":"3s""#, "connectTimeout", "2s"),
            (r#""connectTimeout":5"#, "connectTimeout", "a duration"),
            (r#""tls":{"minVersion":"1.1"}"#, "tls.minVersion", "`1.2` or `1.3`"),
            (r#""tls":{"maxVersion":"1.3"}"#, "tls.maxVersion", "unknown field"),
            (r#""httpVersion":"3""#, "httpVersion", "`1.1` or `2`"),
            (r#""httpVersion":2"#, "httpVersion", "expected"),
            (r#""profile":"eventbridge","httpVersion":"2""#, "httpVersion", "another profile"),
            (r#""url":"http://a.example/","httpVersion":"2""#, "httpVersion", "over TLS only"),
            (r#""url":"http://a.example/","tls":{"minVersion":"1.3"}"#, "tls.minVersion", "no TLS"),
        ];
        for (fields, path, expected) in cases {
            let mut whole = serde_json::json!({"customerId": "c", "endpointId": "e",
                                               "url": "https://a.example/"});
            let fields: Map<String, Value> =
                serde_json::from_str(&format!("{{{fields}}}")).unwrap();
            whole.as_object_mut().unwrap().extend(fields);
            let error = Endpoint::from_json(&whole.to_string()).unwrap_err();
            assert!(error.path == path && error.problem.contains(expected), "{path}: {error}");
        }
    }

    #[test]
    fn a_connection_may_take_ten_seconds_or_the_whole_of_a_shorter_timeout() {
        let within = |extra: &str| parse(extra).unwrap().connection().connect_timeout.as_secs();
        assert_eq!(within(""), 10);
        assert_eq!(within(r#""timeout":"15m""#), 10);
        assert_eq!(within(r#""timeout":"3s""#), 3);
        assert_eq!(within(r#""timeout":"15m","connectTimeout":"15m""#), 900);
        assert_eq!(Connection::default(), parse("").unwrap().connection());
    }

    #[test]
    fn an_endpoint_that_no_table_takes_is_refused() {
        let header = |length: usize| format!(r#""headers":{{"x-long":"{}"}}"#, "x".repeat(length));
        assert!(parse(&header(8_000)).is_ok());
        let error = parse(&header(MAX_ENDPOINT)).unwrap_err();
        assert!(error.problem.contains("at most 262144"), "{error}");
    }

    #[test]
    fn an_endpoint_reads_back_as_it_was_written() {
        for written in [
            r#""auth":[{"scheme":"basic","username":"u","secret":"s"}]"#,
            r#""connectTimeout":"2s","tls":{"minVersion":"1.3"},"httpVersion":"2""#,
        ] {
            let endpoint = parse(written).unwrap();
            let json = serde_json::to_string(&endpoint).unwrap();
            assert_eq!(Endpoint::from_json(&json).unwrap(), endpoint);
        }
        let plain = serde_json::to_string(&parse("").unwrap()).unwrap();
        assert!(!plain.contains("tls") && !plain.contains("httpVersion"), "{plain}");
    }
}
