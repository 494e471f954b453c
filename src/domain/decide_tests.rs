use super::*;
use crate::domain::outcome::Phase;
use crate::domain::retry_policy::StatusPattern;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn answered(status: u16) -> AttemptOutcome {
    AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false }
}

fn failed(phase: Phase) -> AttemptOutcome {
    AttemptOutcome::Failed { phase }
}

fn standing(attempt: u32) -> Standing {
    Standing { attempt, accepted_at: NOW, expires_at: None }
}

fn first(outcome: AttemptOutcome) -> Disposition {
    decide(&outcome, standing(1), &RetryPolicy::default(), NOW, 1.0)
}

#[test]
fn only_the_status_line_makes_a_delivery_done() {
    for status in [200, 201, 202, 204, 299] {
        assert_eq!(first(answered(status)), Disposition::Done);
    }
}

#[test]
fn every_other_status_but_410_is_tried_again_by_default() {
    let later = Disposition::RetryAt(NOW.plus(Duration::from_secs(5)));
    for status in
        [301, 302, 307, 400, 401, 403, 404, 408, 409, 413, 422, 425, 429, 500, 502, 503, 511, 599]
    {
        assert_eq!(first(answered(status)), later, "{status}");
    }
    assert_eq!(first(answered(410)), Disposition::DeadLetter(Reason::EndpointGone));
}

#[test]
fn statuses_that_are_no_statuses_are_not_success() {
    for status in [100, 101, 199, 600, 999] {
        assert_eq!(first(answered(status)), Disposition::DeadLetter(Reason::Rejected), "{status}");
    }
}

#[test]
fn a_policy_that_names_statuses_gives_up_on_the_others() {
    let policy = RetryPolicy {
        retry_on: vec![StatusPattern::Exactly(429), StatusPattern::Class(5)],
        ..RetryPolicy::default()
    };
    let given = |status| decide(&answered(status), standing(1), &policy, NOW, 0.0);
    assert_eq!(given(404), Disposition::DeadLetter(Reason::Rejected));
    assert_eq!(given(429), Disposition::RetryAt(NOW));
    assert_eq!(given(503), Disposition::RetryAt(NOW));
}

#[test]
fn an_ambiguous_failure_is_sent_again_only_if_the_policy_allows_it() {
    let careful = RetryPolicy { retry_ambiguous: false, ..RetryPolicy::default() };
    for phase in [Phase::AfterWrite, Phase::ResponseTimeout, Phase::Response] {
        let given = decide(&failed(phase), standing(1), &careful, NOW, 0.0);
        assert_eq!(given, Disposition::DeadLetter(Reason::Ambiguous));
        assert_eq!(
            decide(&failed(phase), standing(1), &RetryPolicy::default(), NOW, 0.0),
            Disposition::RetryAt(NOW)
        );
    }
    for phase in [
        Phase::Dns,
        Phase::Blocked,
        Phase::Connect,
        Phase::ConnectTimeout,
        Phase::Tls,
        Phase::TlsTimeout,
        Phase::BeforeWrite,
    ] {
        assert_eq!(
            decide(&failed(phase), standing(1), &careful, NOW, 0.0),
            Disposition::RetryAt(NOW)
        );
    }
}

#[test]
fn the_last_attempt_is_the_last() {
    let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
    let at = |n| decide(&answered(500), standing(n), &policy, NOW, 0.0);
    assert_eq!(at(2), Disposition::RetryAt(NOW));
    assert_eq!(at(3), Disposition::DeadLetter(Reason::AttemptsExhausted));
}

#[test]
fn no_retry_is_planned_past_the_age_or_the_expiry() {
    let policy = RetryPolicy { max_age: Duration::from_secs(4), ..RetryPolicy::default() };
    let given = decide(&answered(500), standing(1), &policy, NOW, 1.0);
    assert_eq!(given, Disposition::DeadLetter(Reason::TooOld));
    let expiring = Standing { expires_at: Some(NOW.plus(Duration::from_secs(5))), ..standing(1) };
    let given = decide(&answered(500), expiring, &RetryPolicy::default(), NOW, 1.0);
    assert_eq!(given, Disposition::DeadLetter(Reason::Expired));
}

#[test]
fn retry_after_delays_the_retry_and_pauses_the_endpoint() {
    let outcome =
        AttemptOutcome::Answered { status: 503, retry_after_ms: Some(60_000), never_again: false };
    let minute = Duration::from_secs(60);
    assert_eq!(first(outcome.clone()), Disposition::RetryAt(NOW.plus(minute)));
    assert_eq!(consequence(&outcome, &RetryPolicy::default()), Consequence::Pause(minute));
    let thanks =
        AttemptOutcome::Answered { status: 200, retry_after_ms: Some(60_000), never_again: false };
    assert_eq!(consequence(&thanks, &RetryPolicy::default()), Consequence::None);
    assert_eq!(consequence(&answered(410), &RetryPolicy::default()), Consequence::Disable);
}

proptest! {
    #[test]
    fn a_retry_is_never_in_the_past_nor_past_the_longest_wait(
        status in 300u16..600, attempt in 1u32..20, chance in 0.0f64..1.0, asked in proptest::option::of(0u64..10_000_000)
    ) {
        let policy = RetryPolicy::default();
        let outcome = AttemptOutcome::Answered { status, retry_after_ms: asked, never_again: false };
        match decide(&outcome, standing(attempt), &policy, NOW, chance) {
            Disposition::RetryAt(at) => {
                prop_assert!(at >= NOW && at.since(NOW) <= policy.max_delay);
                prop_assert!(attempt < policy.max_attempts);
            }
            Disposition::DeadLetter(reason) => prop_assert!(status == 410 || attempt >= policy.max_attempts, "{reason}"),
            Disposition::Done => prop_assert!(false),
        }
    }
}
