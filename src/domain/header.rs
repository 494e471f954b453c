//! Which headers a customer or a job may set, and with which values.
//!
//! A value that could end its line and begin another would let a payload write its own headers
//! (RFC 9110 section 5.5); a name that frames the message, routes it or proves its origin belongs
//! to the worker alone.

/// Longest header name, in bytes.
pub const MAX_NAME: usize = 256;
/// Longest header value, in bytes: common servers refuse header sections over 8 KiB.
pub const MAX_VALUE: usize = 8 * 1024;

/// Why a header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Not a token of RFC 9110 section 5.6.2.
    #[error("not a header name: expected ASCII letters, digits and any of !#$%&'*+-.^_`|~")]
    Name,
    /// A byte outside visible ASCII, space and tab, or too long a value.
    #[error(
        "not a header value: expected at most 8192 visible ASCII characters, spaces or tabs, no line breaks; encode anything else"
    )]
    Value,
    /// A name that only the worker sets.
    #[error("this header is reserved: {0}")]
    Reserved(&'static str),
}

/// Checks a header name and returns it in lower case. Says nothing about reserved names.
pub fn check_name(name: &str) -> Result<String, InvalidHeader> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token) {
        return Err(InvalidHeader::Name);
    }
    Ok(name.to_ascii_lowercase())
}

/// Checks a header value and returns it without surrounding white space (RFC 9110 section 5.5).
pub fn check_value(value: &str) -> Result<&str, InvalidHeader> {
    let is_sendable = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
    if value.len() > MAX_VALUE || !value.bytes().all(is_sendable) {
        return Err(InvalidHeader::Value);
    }
    Ok(value.trim_matches([' ', '\t']))
}

/// Checks a header that an endpoint's configuration or a job sets in plain text.
/// Returns the name in lower case and the trimmed value.
pub fn check_plain<'v>(name: &str, value: &'v str) -> Result<(String, &'v str), InvalidHeader> {
    let name = check_name(name)?;
    if name == "authorization" {
        return Err(InvalidHeader::Reserved(
            "credentials belong in a secret: add an auth step (basic, bearer, api_key) instead",
        ));
    }
    check_not_reserved(&name)?;
    Ok((name, check_value(value)?))
}

/// Refuses the names that only the worker sets. `name` is in lower case.
pub fn check_not_reserved(name: &str) -> Result<(), InvalidHeader> {
    let reason = match name {
        "host" => "it is taken from the URL",
        "content-length" | "transfer-encoding" | "trailer" | "expect" => "it frames the message",
        "connection" | "keep-alive" | "proxy-connection" | "te" | "upgrade" | "http2-settings" => {
            "it concerns one connection only (RFC 9110 section 7.6.1)"
        }
        "proxy-authorization" | "proxy-authenticate" | "proxy-authentication-info" => {
            "it is for proxies"
        }
        "accept-encoding" => "compressed responses are not asked for",
        "forwarded" | "via" | "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto"
        | "x-forwarded-port" | "x-real-ip" => "it would claim a route that was not taken",
        "metadata" | "metadata-flavor" | "x-google-metadata-request" => {
            "it opens cloud metadata services"
        }
        "webhook-id" | "webhook-timestamp" | "webhook-signature" | "idempotency-key" => {
            "the worker sets it on every call"
        }
        "svix-id" | "svix-timestamp" | "svix-signature" | "signature" | "signature-input"
        | "content-digest" | "repr-digest" | "digest" => "only a signing scheme sets it",
        _ if name.starts_with("x-aws-ec2-metadata-") => "it opens cloud metadata services",
        _ => return Ok(()),
    };
    Err(InvalidHeader::Reserved(reason))
}
