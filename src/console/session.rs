//! Sessions: a key or a token, exchanged for a cookie.
//!
//! A session is a record like a key, made with one and ending with it ([`crate::access`]). The cookie has
//! its text, which is good for these pages alone. Forms carry a second text that is made of the first, so
//! that another site, which can have a browser send the cookie but not read it, cannot fill one in.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use super::Console;
use crate::api::caller::Caller;
use crate::api::problem::{Answer, Code, Problem};
use crate::domain::access::{Action, Grant};
use crate::domain::dead_letter::job_sha256;
use crate::domain::timestamp::Timestamp;

/// How long an operator stays signed in.
pub const OPERATOR_LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// The same for a customer, whose token usually ends before.
pub const CUSTOMER_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Whose pages are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// The operator's console.
    Operator,
    /// The page of one customer.
    Customer,
}

impl Realm {
    /// What its paths begin with.
    pub fn base(self) -> &'static str {
        match self {
            Self::Operator => "/console",
            Self::Customer => "/customer",
        }
    }

    /// Where somebody without a session is sent.
    pub fn entrance(self) -> &'static str {
        match self {
            Self::Operator => "/console/login",
            Self::Customer => "/customer/enter",
        }
    }

    fn cookie_name(self) -> &'static str {
        match self {
            Self::Operator => "sealpost-console",
            Self::Customer => "sealpost-customer",
        }
    }
}

/// A session that was recognised.
#[derive(Clone)]
pub struct Session {
    /// Whose key or token it was begun with.
    pub caller: Caller,
    /// Its name in the store.
    pub id: String,
    /// What every form has to carry.
    pub csrf: String,
    /// Whose pages are meant.
    pub realm: Realm,
    /// When the request came.
    pub now: Timestamp,
}

impl Session {
    /// The session of a request, if it has a good one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn of(console: &Console, realm: Realm, headers: &HeaderMap) -> Answer<Option<Self>> {
        let Some(text) = cookie(headers, &name(realm, headers)) else { return Ok(None) };
        let (caller, record) = match console.api.keys.resume(&console.api.app, text).await {
            Ok(resumed) => resumed,
            Err(problem) if problem.what() == Code::Unauthenticated => return Ok(None),
            Err(problem) => return Err(problem),
        };
        if !belongs(&caller, realm) {
            return Ok(None);
        }
        let csrf = csrf_of(text);
        let now = console.api.app.clock.now();
        Ok(Some(Self { caller, id: record.id.clone(), csrf, realm, now }))
    }

    /// Whether a form came from one of this session's own pages.
    pub fn sent(&self, csrf: &str) -> bool {
        verify_slices_are_equal(self.csrf.as_bytes(), csrf.as_bytes()).is_ok()
    }

    /// Whether it may do that to what belongs to no single customer.
    pub fn may_everywhere(&self, action: Action) -> bool {
        self.caller.check(action, None, None).is_ok()
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;

    /// Fails closed: a request that was not recognised at the edge has no session.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let session = parts.extensions.get::<Self>().cloned();
        session.ok_or_else(|| Problem::new(Code::Unauthenticated, "sign in first"))
    }
}

/// Whether a key or a token is for these pages.
pub fn belongs(caller: &Caller, realm: Realm) -> bool {
    match (&caller.0.grant, realm) {
        (Grant::Operator { .. }, Realm::Operator) | (Grant::Customer { .. }, Realm::Customer) => {
            true
        }
        (Grant::Operator { .. }, Realm::Customer) | (Grant::Customer { .. }, Realm::Operator) => {
            false
        }
    }
}

/// What forms carry for the session with this text.
fn csrf_of(text: &str) -> String {
    job_sha256(format!("sealpost-csrf {text}").as_bytes())
}

/// Whether the browser is on this machine, so that what it sends crosses no wire.
pub fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Over the wire the cookie is sent over TLS alone, and no other host may set it.
fn name(realm: Realm, headers: &HeaderMap) -> String {
    let prefix = if is_local(headers) { "" } else { "__Host-" };
    format!("{prefix}{}", realm.cookie_name())
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, text)| text.trim())
}

/// The header that gives a browser the session with this text; an empty one takes it away. `framed`: the
/// page may stand in another site's frame, where a browser keeps cookies apart for each such site.
pub fn set_cookie(
    realm: Realm,
    headers: &HeaderMap,
    text: &str,
    lifetime: Duration,
    framed: bool,
) -> Option<HeaderValue> {
    let (name, seconds) = (name(realm, headers), lifetime.as_secs());
    let how = match (is_local(headers), framed) {
        (true, _) => "SameSite=Lax",
        (false, false) => "SameSite=Lax; Secure",
        (false, true) => "SameSite=None; Secure; Partitioned",
    };
    format!("{name}={text}; Path=/; HttpOnly; Max-Age={seconds}; {how}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &'static str) -> HeaderMap {
        [(HOST, HeaderValue::from_static(host))].into_iter().collect()
    }

    fn set(host: &'static str, framed: bool) -> String {
        let set = set_cookie(Realm::Customer, &headers(host), "t", CUSTOMER_LIFETIME, framed);
        set.unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_cookie_crosses_the_wire_over_tls_alone_and_a_frame_only_where_it_may() {
        for local in ["localhost:8700", "127.0.0.1:8700", "[::1]:8700", "localhost"] {
            assert_eq!(
                set(local, true),
                "sealpost-customer=t; Path=/; HttpOnly; Max-Age=86400; SameSite=Lax"
            );
        }
        for other in ["hooks.example", "10.0.0.1:8700", "localhost.example:80", "[::2]:1", ""] {
            assert!(set(other, false).starts_with("__Host-sealpost-customer=t; Path=/; HttpOnly"));
            assert!(set(other, false).ends_with("SameSite=Lax; Secure"), "{other}");
            assert!(set(other, true).ends_with("SameSite=None; Secure; Partitioned"), "{other}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let sent = HeaderValue::from_static("a=1; sealpost-customer=x; xsealpost-customer=y");
        let headers: HeaderMap = [(COOKIE, sent)].into_iter().collect();
        assert_eq!(cookie(&headers, "sealpost-customer"), Some("x"));
        assert_eq!(cookie(&headers, "sealpost-console"), None);
    }
}
