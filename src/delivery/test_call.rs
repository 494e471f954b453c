//! Answers a test call: one call is made as a delivery's would be, and what is met on the way is told.
//!
//! It learns nothing of the endpoint and takes none of what deliveries share: no fence, no permit, no
//! pooled connection. Nor does it wait: an endpoint that is paused, left alone or disabled is called all
//! the same, for that is when somebody wants to test it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::admit::Admitted;
use super::attempt::outcome;
use super::build::Built;
use super::decode::{Decoded, Message, NotDecoded, decode, too_new};
use super::grants::Learning;
use super::handshake::judge;
use super::preview::looked_at;
use super::resolve::Resolved;
use super::sign::{self, Signed, lacks_challenge};
use super::test_telling::{
    advice_on, is_refused, reached, shown_response, standing_of, step_of, tell_answer, tell_route,
    tell_steps,
};
use super::withhold::Withheld;
use super::{Halt, Pipeline};
use crate::domain::authorization::Verdict;
use crate::domain::decide::{Standing, consequence, decide};
use crate::domain::outcome::AttemptOutcome;
use crate::domain::reason::Reason;
use crate::domain::request::OutboundRequest;
use crate::domain::shown_request::ShownRequest;
use crate::domain::test_call::{LONGEST, MAX_DATA, TestCall, TestKind, TestRecord};
use crate::domain::test_report::{
    StepName, TestReport, advice_on_phase, advice_on_status, follows,
};
use crate::domain::verification::Judgement;
use crate::egress::client::{Keep, Reply};
use crate::egress::notes::Route;
use crate::ports::queue::Received;
use crate::ports::{Error, Result};

/// What is kept of the response's body: enough to see what it was.
const KEEP: Keep = Keep { bytes: 4096, time: Duration::from_secs(2) };

/// The call came no further. Why, stands in the report.
struct Stopped;

/// A call that was made: its request, what came back, and its way.
struct Called {
    request: OutboundRequest,
    reply: Result<Reply>,
    route: Route,
}

impl Pipeline {
    /// Makes the call and keeps its report where the asker looks. What nobody waits for any more is
    /// only removed.
    pub(super) async fn answer_test_call(
        &self,
        message: &Received,
        call: TestCall,
        stop: &CancellationToken,
    ) -> Result<()> {
        // Removed first: a worker that dies in the middle leaves a test without an answer, and nobody
        // makes its call twice.
        self.queue.acknowledge(&message.handle).await?;
        if self.clock.now() >= call.begins_before() {
            return Ok(());
        }
        let report = Some(self.test_call(call.kind, &message.body, stop).await);
        let record = TestRecord { call, report };
        self.tally.tested(&record);
        self.test_calls.put(&record).await
    }

    /// Makes the call of a test's job, or the handshake of its endpoint.
    pub async fn test_call(
        &self,
        kind: TestKind,
        job: &[u8],
        stop: &CancellationToken,
    ) -> TestReport {
        let mut report = TestReport::default();
        let now = self.clock.now();
        let message = looked_at("msg_test", job, now);
        match decode(&message, &self.circumstances(1, now)) {
            Ok(Message::Delivery(decoded)) => {
                // What stopped it stands in the report.
                let _ = match kind {
                    TestKind::Test => self.call_for(&decoded, &mut report, stop).await,
                    TestKind::Handshake => self.shake_hands(&decoded, &mut report, stop).await,
                };
            }
            Ok(Message::Parent(_)) => {
                report.fail(StepName::Request, "the test names no endpoint", None);
            }
            Err(NotDecoded::Undecodable(wrong)) => {
                report.fail(StepName::Request, wrong.error.to_string(), advice_on(wrong.reason));
            }
            Err(NotDecoded::Newer(what, version)) => {
                report.fail(StepName::Request, too_new(what, version).to_string(), None);
            }
        }
        report.finished(self.clock.now())
    }

    async fn call_for(
        &self,
        decoded: &Decoded<'_>,
        report: &mut TestReport,
        stop: &CancellationToken,
    ) -> std::result::Result<(), Stopped> {
        let resolved = self.resolve_for_test(decoded, report).await?;
        let known = Arc::clone(&resolved.known);
        if !known.record.is_verified(&known.endpoint) {
            let why =
                "its handshake was not passed for this url, and until then it is sent nothing";
            let halt = Halt::DeadLetter(Reason::EndpointUnverified, why.to_owned());
            return Err(self.stopped(report, StepName::Endpoint, halt));
        }
        let built = self
            .build(Admitted(resolved))
            .map_err(|halt| self.stopped(report, StepName::Request, halt))?;
        let request = &built.request;
        report.pass(StepName::Request, format!("{} {}", request.method, request.url), None);
        let called = async {
            let signed = self.sign_for_test(built, report).await?;
            let called = self.make_test_calls(&signed, stop).await?;
            Ok::<_, Halt>((signed, called))
        };
        let (signed, called) = match called.await {
            Ok(called) => called,
            Err(Halt::DeadLetter(reason @ Reason::EndpointDeauthorized, why)) => {
                self.keep_verdict(&known, &Verdict::Refused(why.clone())).await;
                let halt = Halt::DeadLetter(reason, why);
                return Err(self.stopped(report, StepName::Auth, halt));
            }
            Err(halt) => return Err(self.stopped(report, StepName::Auth, halt)),
        };
        let outcome = self.tell_call(&signed, called, report);
        let verdict = outcome.as_ref().map_or(Verdict::Nothing, Verdict::of);
        self.keep_verdict(&known, &verdict).await;
        Ok(())
    }

    /// Makes the handshake that an endpoint asks for.
    async fn shake_hands(
        &self,
        decoded: &Decoded<'_>,
        report: &mut TestReport,
        stop: &CancellationToken,
    ) -> std::result::Result<(), Stopped> {
        report.skip(StepName::Handshake, "not come to");
        let resolved = self.resolve_for_test(decoded, report).await?;
        let (built, asking) = self
            .build_handshake(resolved)
            .map_err(|halt| self.stopped(report, StepName::Request, halt))?;
        let Built { resolved, request } = built;
        report.pass(StepName::Request, format!("{} {}", request.method, request.url), None);
        let signed = async {
            let grants = self.grants(&resolved, Learning::Told).await?;
            self.sign_handshake(&resolved, &request, &grants)
        };
        let signed = signed.await.map_err(|halt| self.stopped(report, StepName::Auth, halt))?;
        tell_steps(&resolved, report);
        let called = self.call_once(&resolved, signed, stop).await;
        let answer = called.reply.as_ref().ok().and_then(|reply| reply.result.as_ref().ok());
        let judgement = answer.map(|answer| judge(&asking, &resolved, answer));
        let withheld = Withheld::of(&resolved.secrets, &called.request);
        let _ = self.tell_reply(&resolved, called, &withheld, report);
        report.follows = None;
        let verdict = match judgement {
            None => Verdict::Nothing,
            Some(Judgement::Passed(says)) => {
                tell_answer(report);
                report.pass(StepName::Handshake, withheld.checked(says), None);
                Verdict::Agreed
            }
            Some(Judgement::Failed(why, advice)) => {
                tell_answer(report);
                let why = withheld.checked(why);
                report.fail(StepName::Handshake, why.clone(), Some(advice));
                Verdict::Disagreed(why)
            }
        };
        self.keep_verdict(&resolved.known, &verdict).await;
        Ok(())
    }

    async fn resolve_for_test<'d>(
        &self,
        decoded: &'d Decoded<'d>,
        report: &mut TestReport,
    ) -> std::result::Result<Resolved<'d>, Stopped> {
        // Past the cache: somebody may have put it a moment ago.
        let resolved = self.resolve(decoded, self.clock.now(), Some(Instant::now())).await;
        let resolved = resolved.map_err(|halt| {
            let step = step_of(&halt);
            if step == StepName::Secrets {
                report.pass(StepName::Endpoint, "it is there", None);
            }
            self.stopped(report, step, halt)
        })?;
        report.pass(StepName::Endpoint, standing_of(&resolved, self.clock.now()), None);
        match resolved.secrets.len() {
            0 => report.skip(StepName::Secrets, "it names none"),
            1 => report.pass(StepName::Secrets, "its secret opens, and may go there", None),
            n => report.pass(StepName::Secrets, format!("all {n} open, and may go there"), None),
        }
        Ok(resolved)
    }

    async fn sign_for_test<'d>(
        &self,
        built: Built<'d>,
        report: &mut TestReport,
    ) -> std::result::Result<Box<Signed<'d>>, Halt> {
        let grants = self.grants(&built.resolved, Learning::Told).await?;
        let signed = sign::sign(built, grants, &*self.chance, self.clock.now())?;
        tell_steps(&signed.resolved, report);
        Ok(signed)
    }

    /// Makes the call; and once more, at once, if it was refused and what was granted can be renewed: a
    /// challenge answered, a token fetched anew.
    async fn make_test_calls(
        &self,
        signed: &Signed<'_>,
        stop: &CancellationToken,
    ) -> std::result::Result<Called, Halt> {
        let resolved = &signed.resolved;
        let first = self.call_once(resolved, signed.request.clone(), stop).await;
        let Ok(Reply { result: Ok(answer), .. }) = &first.reply else { return Ok(first) };
        if signed.opens && (200..=299).contains(&answer.status) {
            let why = "the server asked for no authentication, and the endpoint has a step that answers \
                       its challenge";
            return Err(Halt::DeadLetter(Reason::AuthFailed, why.to_owned()));
        }
        if !is_refused(answer) {
            return Ok(first);
        }
        let (granted, challenges) = (&signed.grants, &answer.challenges);
        let renewed = self.renewed_grants(resolved, granted, challenges, Learning::Told).await?;
        let Some(grants) = renewed.filter(|grants| !lacks_challenge(resolved, grants)) else {
            return Ok(first);
        };
        let request = self.sign_again(resolved, &grants)?;
        Ok(self.call_once(resolved, request, stop).await)
    }

    async fn call_once(
        &self,
        resolved: &Resolved<'_>,
        request: OutboundRequest,
        stop: &CancellationToken,
    ) -> Called {
        let deadline = Instant::now() + resolved.known.endpoint.timeout().min(LONGEST);
        let (reply, route) = self.client.send_noting(&request, KEEP, deadline, stop).await;
        Called { request, reply, route }
    }

    fn tell_call(
        &self,
        signed: &Signed<'_>,
        called: Called,
        report: &mut TestReport,
    ) -> Option<AttemptOutcome> {
        let secrets = &signed.resolved.secrets;
        // A call before may have shown another token.
        let withheld = Withheld::of(secrets, &called.request).and(&signed.request);
        self.tell_reply(&signed.resolved, called, &withheld, report)
    }

    /// Writes a call down; its outcome, unless it failed on our side.
    fn tell_reply(
        &self,
        resolved: &Resolved<'_>,
        called: Called,
        withheld: &Withheld,
        report: &mut TestReport,
    ) -> Option<AttemptOutcome> {
        let Called { request, reply, route } = called;
        report.request = Some(ShownRequest::masked(&request).shortened(MAX_DATA));
        tell_route(&request, &route, withheld, report);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let _ = self.stopped(report, reached(&route), Halt::Ours(error));
                return None;
            }
        };
        if let Ok(answer) = &reply.result {
            report.response = Some(shown_response(answer, withheld));
        }
        let (policy, now) = (&resolved.known.retry, self.clock.now());
        let (outcome, said) = outcome(reply, now, policy.max_delay);
        match &outcome {
            AttemptOutcome::Answered { status, .. } if outcome.is_success() => {
                report.pass(StepName::Response, format!("status {status}"), None);
            }
            AttemptOutcome::Answered { status, .. } => {
                let advice = Some(advice_on_status(*status));
                report.fail(StepName::Response, format!("status {status}"), advice);
            }
            AttemptOutcome::Failed { phase } => {
                let said = withheld.checked(said);
                report.fail(StepName::of(*phase), said, Some(advice_on_phase(*phase)));
            }
        }
        let standing = Standing { attempt: 1, accepted_at: now, expires_at: None };
        let disposition = decide(&outcome, standing, policy, now, 0.5);
        report.follows = Some(follows(disposition, consequence(&outcome, policy), policy));
        Some(outcome)
    }

    /// Writes down why the call came no further.
    fn stopped(&self, report: &mut TestReport, step: StepName, halt: Halt) -> Stopped {
        match halt {
            Halt::DeadLetter(reason, why) => report.fail(step, why, advice_on(reason)),
            Halt::Park(_, why) | Halt::Limited(_, why) => report.fail(step, why.words(), None),
            // What is wrong with us is for the log.
            Halt::Ours(error) => {
                self.tally.fault(&Error::again(&error), "test_call");
                let says = "something that sealpost needs cannot be reached";
                report.fail(step, says, Some("try again; the operator's log says what it is"));
            }
            Halt::Finish(_) | Halt::Leftover | Halt::Lost => unreachable!("a test claims nothing"),
        }
        Stopped
    }
}
