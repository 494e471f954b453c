//! What a test call's report says of each step that was come to.

use std::time::Duration;

use super::Halt;
use super::attempt::is_refusal;
use super::resolve::Resolved;
use super::withhold::Withheld;
use crate::domain::certificate::ShownCertificate;
use crate::domain::health::Health;
use crate::domain::outcome::AttemptOutcome;
use crate::domain::reason::Reason;
use crate::domain::request::OutboundRequest;
use crate::domain::test_report::{ShownResponse, ShownTls, StepName, TestReport};
use crate::domain::timestamp::Timestamp;
use crate::egress::client::Answer;
use crate::egress::notes::Route;

/// Most headers of a response that are shown, and the longest value.
const MOST_HEADERS: usize = 64;
const LONGEST_VALUE: usize = 512;

/// What to do about a reason, where nothing is there to be replayed.
pub fn advice_on(reason: Reason) -> Option<&'static str> {
    Some(reason.advice().trim_end_matches(", then replay"))
}

/// The step at which an endpoint cannot be resolved.
pub fn step_of(halt: &Halt) -> StepName {
    match halt {
        Halt::DeadLetter(Reason::UnknownEndpoint | Reason::InvalidEndpoint, _) => {
            StepName::Endpoint
        }
        Halt::DeadLetter(..)
        | Halt::Park(..)
        | Halt::Limited(..)
        | Halt::Finish(_)
        | Halt::Leftover
        | Halt::Lost
        | Halt::Ours(_) => StepName::Secrets,
    }
}

/// Whether the server refused the credential.
pub fn is_refused(answer: &Answer) -> bool {
    let (status, retry_after_ms, never_again) = (answer.status, None, false);
    is_refusal(&AttemptOutcome::Answered { status, retry_after_ms, never_again })
}

/// The version of an endpoint, and what keeps its deliveries from it.
pub fn standing_of(resolved: &Resolved<'_>, now: Timestamp) -> String {
    let known = &resolved.known;
    let held = match &known.record.health {
        _ if !known.endpoint.enabled => Some("is disabled by its configuration".to_owned()),
        Health::Active => None,
        Health::Paused { until } if *until <= now => None,
        Health::Paused { until } => Some(format!("is paused until {until}")),
        Health::Deauthorized { why, .. } => Some(format!("is deauthorized: {why}")),
        Health::Disabled { why } => Some(format!("is disabled: {why}")),
    };
    let held = held.map(|held| format!("; it {held}, and the test goes out all the same"));
    format!("version {}{}", known.version, held.unwrap_or_default())
}

/// Writes down which auth steps were applied.
pub fn tell_steps(resolved: &Resolved<'_>, report: &mut TestReport) {
    let steps = &resolved.known.endpoint.auth;
    let names: Vec<&str> = steps.iter().map(|step| step.scheme.as_str()).collect();
    match names[..] {
        [] => report.skip(StepName::Auth, "it has no auth step"),
        _ => report.pass(StepName::Auth, format!("applied: {}", names.join(", ")), None),
    }
}

/// That there was an answer is all that its step says in a handshake: what it means is the handshake's.
pub fn tell_answer(report: &mut TestReport) {
    let status = report.response.as_ref().map_or(0, |response| response.status);
    report.pass(StepName::Response, format!("status {status}"), None);
}

pub fn tell_route(
    request: &OutboundRequest,
    route: &Route,
    withheld: &Withheld,
    report: &mut TestReport,
) {
    let ms = |took: Duration| u64::try_from(took.as_millis()).ok();
    report.addresses = route.addresses.iter().map(ToString::to_string).collect();
    match request.url.host() {
        Some(url::Host::Domain(name)) if !report.addresses.is_empty() => {
            let has = format!("{name} has {}", report.addresses.join(", "));
            report.pass(StepName::Dns, has, ms(route.lookup));
        }
        Some(url::Host::Domain(_)) | None => {}
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => {
            report.skip(StepName::Dns, "the url names an address");
        }
    }
    if route.vetted == Some(Ok(())) {
        report.pass(StepName::Guard, "every address may be called", None);
    }
    if let Some(address) = route.connected {
        let proxied = if route.proxied { " through the operator's proxy" } else { "" };
        report.pass(StepName::Connect, format!("{address}{proxied}"), ms(route.connect));
    }
    if request.url.scheme() != "https" {
        report.skip(StepName::Tls, "the url has no TLS: all can be read on the way");
        return;
    }
    let mut tls = ShownTls {
        chain: route.certificates.iter().filter_map(|der| ShownCertificate::of(der)).collect(),
        ..ShownTls::default()
    };
    // Its owner writes what he likes into it.
    for certificate in &mut tls.chain {
        certificate.subject = withheld.checked(std::mem::take(&mut certificate.subject));
        certificate.issuer = withheld.checked(std::mem::take(&mut certificate.issuer));
    }
    if let Some(session) = &route.session {
        let end = tls.chain.iter().map(|certificate| certificate.not_after).min();
        let end = end.map(|end| format!("; its certificates are good until {end}"));
        let says = format!("{}, {}{}", session.version, session.cipher, end.unwrap_or_default());
        report.pass(StepName::Tls, says, ms(route.handshake));
        tls.version = Some(session.version.to_owned());
        (tls.cipher, tls.protocol) = (Some(session.cipher.clone()), session.protocol.clone());
    }
    if tls != ShownTls::default() {
        report.tls = Some(tls);
    }
}

/// The step that a call was at.
pub fn reached(route: &Route) -> StepName {
    match (route.addresses.is_empty(), route.connected) {
        (true, _) => StepName::Dns,
        (false, None) => StepName::Connect,
        (false, Some(_)) => StepName::Response,
    }
}

pub fn shown_response(answer: &Answer, withheld: &Withheld) -> ShownResponse {
    let text = |bytes: &[u8]| withheld.checked(String::from_utf8_lossy(bytes).into_owned());
    let shown = |name: &http::HeaderName| {
        let values = answer.headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
        let mut value = text(&values.collect::<Vec<_>>().join(&b", "[..]));
        value.truncate(value.floor_char_boundary(LONGEST_VALUE));
        (text(name.as_str().as_bytes()), value)
    };
    let headers = answer.headers.keys().take(MOST_HEADERS).map(shown).collect();
    ShownResponse { status: answer.status, headers, body: text(&answer.excerpt) }
}
