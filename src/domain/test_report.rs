//! What a test call met: each step in order, what went wrong at it and what to do about it, the request
//! as it was sent, masked, and the response.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use humantime_serde::re::humantime::format_duration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::certificate::ShownCertificate;
use crate::domain::decide::{Consequence, Disposition};
use crate::domain::outcome::Phase;
use crate::domain::retry_policy::RetryPolicy;
use crate::domain::shown_request::ShownRequest;
use crate::domain::timestamp::Timestamp;

/// One step of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// The endpoint's configuration is there and can be used.
    Endpoint,
    /// Its secrets are there, open, and may go where they are sent.
    Secrets,
    /// The request can be made of the event.
    Request,
    /// The auth steps can be applied: tokens are there, and signatures made.
    Auth,
    /// The name has addresses.
    Dns,
    /// All of them may be called.
    Guard,
    /// A connection was made.
    Connect,
    /// It is encrypted, and the server is who it has to be.
    Tls,
    /// The server answered that it took the event; in a handshake, that it answered.
    Response,
    /// It agreed to be called: a step of handshakes alone.
    Handshake,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// It is as it should be.
    Passed,
    /// It is not, and the call came no further.
    Failed,
    /// It was not come to, or is not needed here.
    Skipped,
}

/// A step with what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Which.
    pub step: StepName,
    /// What it came to.
    pub result: StepResult,
    /// What was met, in words.
    pub says: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

/// An encrypted connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownTls {
    /// The version, as in `TLS 1.3`; absent if the handshake failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The cipher suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// What the server chose to speak (ALPN).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The certificates that the server showed, its own first.
    pub chain: Vec<ShownCertificate>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownResponse {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case. What repeats a part of a secret is withheld.
    pub headers: BTreeMap<String, String>,
    /// The beginning of its body; withheld if it repeats a part of a secret.
    pub body: String,
}

/// The answer to a test call. Holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestReport {
    /// When it was over.
    pub finished_at: Timestamp,
    /// Every step, in order.
    pub steps: Vec<Step>,
    /// The addresses of the name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// What is known of the encryption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ShownTls>,
    /// The request, with its secrets masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<ShownRequest>,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ShownResponse>,
    /// What would follow if this were a delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
}

impl StepName {
    /// Every step of a test, in order.
    pub const ALL: [Self; 9] = [
        Self::Endpoint,
        Self::Secrets,
        Self::Request,
        Self::Auth,
        Self::Dns,
        Self::Guard,
        Self::Connect,
        Self::Tls,
        Self::Response,
    ];

    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Secrets => "secrets",
            Self::Request => "request",
            Self::Auth => "auth",
            Self::Dns => "dns",
            Self::Guard => "guard",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Response => "response",
            Self::Handshake => "handshake",
        }
    }

    /// The step at which a call ends that comes no further than this phase.
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Dns => Self::Dns,
            Phase::Blocked => Self::Guard,
            Phase::Connect | Phase::ConnectTimeout => Self::Connect,
            Phase::Tls | Phase::TlsTimeout => Self::Tls,
            Phase::BeforeWrite | Phase::AfterWrite | Phase::ResponseTimeout | Phase::Response => {
                Self::Response
            }
        }
    }
}

impl TestReport {
    /// A step was passed.
    pub fn pass(&mut self, step: StepName, says: impl Into<String>, ms: Option<u64>) {
        let (result, says) = (StepResult::Passed, says.into());
        self.set(Step { step, result, says, advice: None, ms });
    }

    /// A step is not needed here.
    pub fn skip(&mut self, step: StepName, says: impl Into<String>) {
        let (result, says) = (StepResult::Skipped, says.into());
        self.set(Step { step, result, says, advice: None, ms: None });
    }

    /// The call came no further than this step.
    pub fn fail(&mut self, step: StepName, says: impl Into<String>, advice: Option<&str>) {
        let (result, says) = (StepResult::Failed, says.into());
        self.set(Step { step, result, says, advice: advice.map(str::to_owned), ms: None });
    }

    /// Writes a step down, in place of what was written of it before.
    fn set(&mut self, step: Step) {
        self.steps.retain(|known| known.step != step.step);
        self.steps.push(step);
    }

    /// The same, over: what was not come to is said so.
    #[must_use]
    pub fn finished(mut self, now: Timestamp) -> Self {
        for step in StepName::ALL {
            if !self.steps.iter().any(|known| known.step == step) {
                self.skip(step, "not come to");
            }
        }
        self.steps.sort_by_key(|step| step.step);
        self.finished_at = now;
        self
    }

    /// Whether every step was passed that is needed.
    pub fn has_passed(&self) -> bool {
        self.steps.iter().all(|step| step.result != StepResult::Failed)
    }

    /// The step at which it failed, if it did.
    pub fn failure(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.result == StepResult::Failed)
    }

    /// For machines: the request as previews have it.
    pub fn to_json(&self) -> Value {
        let mut shown = json!(self);
        if let Some(request) = &self.request {
            shown["request"] = request.to_json();
        }
        shown
    }
}

/// What to do about a call that came no further than this.
pub fn advice_on_phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Dns => "correct the name in the endpoint's url, or its DNS records",
        Phase::Blocked => "put a url whose name has public addresses only, or ask the operator",
        Phase::Connect | Phase::ConnectTimeout => {
            "see that the server listens there, and that its firewall lets this caller in"
        }
        Phase::Tls => {
            "see the certificates: they have to be in date, for this name, with every link up to an \
             authority that is trusted; a server that asks for a certificate needs an mtls step"
        }
        Phase::TlsTimeout => "see that the server speaks TLS at this port",
        Phase::BeforeWrite => "try again; if it stays so, see why the server closes the connection",
        Phase::AfterWrite => "see the server's log: it closed the connection without an answer",
        Phase::ResponseTimeout => "answer sooner and work later, or raise the endpoint's timeout",
        Phase::Response => "see that the server speaks HTTP at this port",
    }
}

/// What to do about a status that does not say that the event was taken.
pub fn advice_on_status(status: u16) -> &'static str {
    match status {
        300..=399 => "redirects are not followed: put the url that it leads to",
        401 | 403 | 407 => {
            "compare the credential with what the server has, and put the secret again; see that the \
             auth steps are those that it asks for"
        }
        404 => "correct the path of the endpoint's url",
        405 => "correct the endpoint's method, or the path of its url",
        410 => "the receiver says that it is gone for good: put its new url",
        413 => "the server takes no body of this size",
        415 => "correct the content type: the endpoint's body.contentType or body.as",
        429 => "the server has had too many calls: wait, or set limits.rate",
        _ => "see the server's log, and the response below",
    }
}

/// What would follow if this were the first attempt of a delivery, in words.
pub fn follows(disposition: Disposition, consequence: Consequence, policy: &RetryPolicy) -> String {
    let delivery = match disposition {
        Disposition::Done => "a delivery would be done".to_owned(),
        Disposition::RetryAt(_) => format!(
            "a delivery would be tried again, up to {} attempts in {}",
            policy.max_attempts,
            format_duration(policy.max_age)
        ),
        Disposition::DeadLetter(reason) => {
            format!("a delivery would be given up at once, as {reason}")
        }
    };
    match consequence {
        Consequence::None => delivery,
        Consequence::Pause(wait) => {
            let wait = format_duration(Duration::from_secs(wait.as_secs().max(1)));
            format!("{delivery}, and the endpoint paused for {wait}")
        }
        Consequence::Disable => format!("{delivery}, and the endpoint disabled"),
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// For people. What came from outside is stripped of what could steer a terminal.
impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for Step { step, result, says, advice, ms } in &self.steps {
            let mark = match result {
                StepResult::Passed => "ok  ",
                StepResult::Failed => "FAIL",
                StepResult::Skipped => "-   ",
            };
            text += &format!("{mark} {step:<9} {says}");
            text += &ms.map(|ms| format!(" ({ms} ms)")).unwrap_or_default();
            text += &advice.as_ref().map(|advice| format!("\n     {advice}")).unwrap_or_default();
            text.push('\n');
        }
        for certificate in self.tls.iter().flat_map(|tls| &tls.chain) {
            text += &format!("\n{certificate}");
        }
        if let Some(request) = &self.request {
            text += &format!("\n> {}\n", request.to_string().replace('\n', "\n> "));
        }
        if let Some(ShownResponse { status, headers, body }) = &self.response {
            text += &format!("\n< {status}\n");
            for (name, value) in headers {
                text += &format!("< {name}: {value}\n");
            }
            text += &format!("<\n< {}\n", body.replace('\n', "\n< "));
        }
        if let Some(follows) = &self.follows {
            text += &format!("\n{follows}");
        }
        let is_harmless = |c: char| c == '\n' || !c.is_control();
        let harmless: String =
            text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect();
        f.write_str(harmless.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_come_to_is_said_and_the_first_failure_is_the_verdict() {
        let mut report = TestReport::default();
        report.pass(StepName::Endpoint, "version 1", None);
        report.fail(StepName::Secrets, "there is none", Some("put it"));
        let report = report.finished(Timestamp::from_millis(1));
        assert!(!report.has_passed());
        assert_eq!(report.failure().unwrap().step, StepName::Secrets);
        let names: Vec<StepName> = report.steps.iter().map(|step| step.step).collect();
        assert_eq!(names, StepName::ALL);
        assert_eq!(report.steps[8].result, StepResult::Skipped);
        assert!(report.to_string().contains("FAIL secrets   there is none\n     put it"));
    }

    #[test]
    fn a_report_cannot_steer_a_terminal() {
        let response = ShownResponse {
            status: 200,
            headers: [("x".to_owned(), "\u{1b}[2J".to_owned())].into(),
            body: "\u{9b}31mred\r\nnext".to_owned(),
        };
        let report = TestReport { response: Some(response), ..TestReport::default() };
        let shown = report.to_string();
        assert!(!shown.contains(['\u{1b}', '\u{9b}', '\r']), "{shown:?}");
        assert!(shown.contains("next"));
    }

    #[test]
    fn a_report_reads_back_as_it_was_kept() {
        let mut report = TestReport::default();
        report.pass(StepName::Dns, "a.example has 192.0.2.1", Some(3));
        report.addresses = vec!["192.0.2.1".to_owned()];
        let report = report.finished(Timestamp::from_millis(1));
        let kept = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<TestReport>(&kept).unwrap(), report);
    }
}
