//! Checks a captured request as its receiver would, and says what is wrong with it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use url::Url;

use super::{AuthError, Call};
use crate::domain::endpoint::Method;
use crate::domain::request::OutboundRequest;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: Url,
    /// The headers in order, as they came: a name may come twice, in any case.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Captured {
    /// The values of a header, without surrounding white space; the name in any case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim_matches([' ', '\t']))
    }

    /// The value of a header that must be there once.
    ///
    /// # Errors
    /// If it is not there, or twice.
    pub fn one(&self, name: &str) -> Result<&str, Finding> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => {
                Err(Finding::new(Code::HeaderMissing, format!("there is no header {name}")))
            }
            (Some(_), Some(_)) => Err(Finding::new(
                Code::Malformed,
                format!("the header {name} is there more than once"),
            )),
        }
    }
}

/// A request to be checked, and what it is checked against.
pub struct Check<'a> {
    /// The request.
    pub captured: &'a Captured,
    /// The secrets, and the time when it arrived. The ids in it are placeholders: those that count
    /// stand in the request.
    pub call: Call<'a>,
    /// How far its time may be from the time of its arrival, either way.
    pub tolerance: Duration,
}

/// What kind of fault was found: a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A header that the scheme needs is not there.
    HeaderMissing,
    /// What a header says cannot be read.
    Malformed,
    /// The time is too far from the time of arrival.
    OutsideTolerance,
    /// The signature is not one of this request under this secret.
    Mismatch,
    /// The signature fits if the secret is decoded in another way.
    KeyDecoding,
    /// The signature fits another spelling of the same body: it was changed after it was signed.
    BodyChanged,
    /// The secret cannot be used with this scheme.
    Secret,
    /// Nothing in a request shows whether this scheme was used rightly.
    NotVisible,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of fault.
    pub code: Code,
    /// What, where, and what to do. Holds no part of a secret.
    pub message: String,
}

impl Finding {
    /// A fault.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub fn is_equal(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// Checks by applying a step to the same request, and comparing what it sets: for steps that compute
/// the same every time.
pub fn by_applying(
    check: &Check<'_>,
    apply: impl FnOnce(&mut OutboundRequest, &Call<'_>) -> Result<(), AuthError>,
) -> Vec<Finding> {
    let captured = check.captured;
    let mut expected =
        OutboundRequest::new(captured.method, captured.url.clone(), captured.body.clone());
    expected.url.set_query(None);
    if let Err(error) = apply(&mut expected, &check.call) {
        return vec![Finding::new(Code::Secret, error.to_string())];
    }
    let mut findings = Vec::new();
    for header in &expected.headers {
        match captured.one(&header.name) {
            Ok(value) if is_equal(value.as_bytes(), header.value.expose()) => {}
            Ok(_) => {
                let problem = format!("the header {} is another than expected", header.name);
                findings.push(Finding::new(Code::Mismatch, problem));
            }
            Err(finding) => findings.push(finding),
        }
    }
    for (name, value) in &expected.secret_query {
        let mut sent = captured.url.query_pairs().filter(|(n, _)| n == name);
        match (sent.next(), sent.next()) {
            (Some((_, sent)), None) if is_equal(sent.as_bytes(), value.expose()) => {}
            (Some(_), None) => {
                let problem = format!("the query parameter {name} is another than expected");
                findings.push(Finding::new(Code::Mismatch, problem));
            }
            (Some(_), Some(_)) => {
                // Receivers do not agree on which of them counts.
                let problem = format!("the query parameter {name} is there more than once");
                findings.push(Finding::new(Code::Malformed, problem));
            }
            (None, _) => {
                let problem = format!("there is no query parameter {name}");
                findings.push(Finding::new(Code::HeaderMissing, problem));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_parameter_that_is_there_twice_proves_nothing() {
        let found = |query: &str| {
            let captured = Captured {
                method: Method::Post,
                url: format!("https://a.example/?{query}").parse().unwrap(),
                headers: Vec::new(),
                body: Bytes::new(),
            };
            let secrets = [(
                "s".parse().unwrap(),
                vec![crate::domain::secret::SecretBytes::new(b"k".to_vec())],
            )]
            .into();
            let call = Call {
                customer_id: &"c".parse().unwrap(),
                endpoint_id: &"e".parse().unwrap(),
                job_id: &"j".parse().unwrap(),
                job_type: None,
                now: crate::domain::timestamp::Timestamp::from_millis(0),
                nonce: &String::new,
                secrets: &secrets,
                grant: None,
            };
            let step = serde_json::json!({"in": "query", "name": "key", "secret": "s"});
            let scheme = crate::auth::scheme("api_key").unwrap();
            let step = scheme.compile(step.as_object().unwrap()).unwrap();
            step.verify(&Check { captured: &captured, call, tolerance: Duration::ZERO }).len()
        };
        assert_eq!(
            (found("a=1&key=k"), found("key=k&key=x"), found("key=x"), found("")),
            (0, 1, 1, 1)
        );
    }
}
