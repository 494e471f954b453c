//! Recorded deliveries: found by customer, endpoint and time, and gone when their time is over.

use std::time::Duration;

use sealpost::domain::decide::Disposition;
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::delivery_record::{
    AttemptRow, DeliveryFilter, DeliveryRecord, DeliveryStatus, RecordedAttempt,
};
use sealpost::domain::endpoint::Method;
use sealpost::domain::outcome::{Attempt, AttemptOutcome};
use sealpost::domain::reason::Reason;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::shown_request::ShownRequest;
use sealpost::ports::records::MOST_LOOKED_AT;

use crate::backend::{Backend, over_both};

over_both! {
    a_delivery_is_kept_with_its_attempts_and_its_header_is_that_of_the_last,
    deliveries_are_found_newest_first_by_page_and_by_everything_that_is_said_of_them,
    a_place_in_the_list_stays_good_while_others_come_and_change,
    a_page_looks_at_so_many_and_no_more,
    what_was_kept_is_gone_when_its_time_is_over,
}

const KEPT: Duration = Duration::from_secs(3600);

fn recorded(
    backend: &Backend,
    (customer, endpoint, job): (&str, &str, &str),
    number: u32,
    status: u16,
    then: Disposition,
) -> RecordedAttempt {
    let now = backend.app.clock.now();
    let key = DeliveryKey {
        customer_id: customer.parse().unwrap(),
        endpoint_id: endpoint.parse().unwrap(),
        job_id: job.parse().unwrap(),
        round: 1,
        message_id: "m".to_owned(),
    };
    let outcome = AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false };
    let attempt = Attempt {
        number,
        at: now,
        duration_ms: 7,
        address: Some("192.0.2.1:443".into()),
        outcome,
        detail: "said".into(),
    };
    let header = DeliveryRecord::after(&key, Some(format!("type.{job}")), now, &attempt, then);
    let url = "https://a.example/".parse().unwrap();
    let request = OutboundRequest::new(Method::Post, url, b"told".to_vec().into());
    let attempt = AttemptRow::new(attempt, &ShownRequest::without_body(&request));
    RecordedAttempt { header, attempt, until: now.plus(KEPT) }
}

async fn a_delivery_is_kept_with_its_attempts_and_its_header_is_that_of_the_last(backend: Backend) {
    let (records, now) = (&backend.app.records, backend.app.clock.now());
    let who = ("c", "e", "j");
    let first = recorded(&backend, who, 1, 503, Disposition::RetryAt(now));
    let second = recorded(&backend, who, 2, 400, Disposition::DeadLetter(Reason::Rejected));
    records.put(std::slice::from_ref(&first)).await.unwrap();
    records.put(&[second.clone(), first.clone()]).await.unwrap();
    let id = &first.header.id;
    let (header, rows) = records.get(id, now).await.unwrap().unwrap();
    assert_eq!(
        (header.status, header.reason),
        (DeliveryStatus::DeadLetter, Some(Reason::Rejected))
    );
    assert_eq!(header, second.header);
    assert_eq!(rows, [first.attempt, second.attempt]);
    assert!(rows[0].request.contains("a.example") && !rows[0].request.contains("told"));
    assert!(header.dead_letter_id().starts_with("dl_"));
    assert_eq!(records.get("dv_0", now).await.unwrap(), None);
}

async fn deliveries_are_found_newest_first_by_page_and_by_everything_that_is_said_of_them(
    backend: Backend,
) {
    let (records, begun) = (&backend.app.records, backend.app.clock.now());
    let mut times = Vec::new();
    let given_up = Disposition::DeadLetter(Reason::Rejected);
    for (who, status, then) in [
        (("a", "e", "1"), 204, Disposition::Done),
        (("a", "f", "2"), 503, Disposition::RetryAt(begun)),
        (("b", "e", "3"), 204, Disposition::Done),
        (("a", "e", "4"), 400, given_up),
    ] {
        times.push(backend.app.clock.now());
        records.put(&[recorded(&backend, who, 1, status, then)]).await.unwrap();
        backend.clock.advance(Duration::from_secs(1));
    }
    let now = backend.app.clock.now();
    let of = || DeliveryFilter::of("a".parse().unwrap());
    let cases: [(DeliveryFilter, &[&str]); 14] = [
        (of(), &["4", "2", "1"]),
        (DeliveryFilter::of("nobody".parse().unwrap()), &[]),
        (DeliveryFilter { endpoint_id: Some("e".parse().unwrap()), ..of() }, &["4", "1"]),
        (DeliveryFilter { event_type: Some("type.2".into()), ..of() }, &["2"]),
        (DeliveryFilter { status: Some(DeliveryStatus::Retrying), ..of() }, &["2"]),
        (DeliveryFilter { reason: Some(Reason::Rejected), ..of() }, &["4"]),
        (DeliveryFilter { http_status: Some(204), ..of() }, &["1"]),
        (DeliveryFilter { status: Some(DeliveryStatus::Delivered), ..of() }, &["1"]),
        (
            DeliveryFilter {
                status: Some(DeliveryStatus::DeadLetter),
                endpoint_id: Some("f".parse().unwrap()),
                ..of()
            },
            &[],
        ),
        (DeliveryFilter { job_id: Some("2".parse().unwrap()), ..of() }, &["2"]),
        (DeliveryFilter { job_id: Some("3".parse().unwrap()), ..of() }, &[]),
        (
            DeliveryFilter {
                status: Some(DeliveryStatus::Delivered),
                reason: Some(Reason::Rejected),
                ..of()
            },
            &[],
        ),
        (DeliveryFilter { since: Some(times[1]), ..of() }, &["4", "2"]),
        (DeliveryFilter { until: Some(times[1]), ..of() }, &["1"]),
    ];
    for (filter, expected) in cases {
        let page = records.list(&filter, None, 9, now).await.unwrap();
        let jobs: Vec<&str> = page.records.iter().map(|r| r.job_id.as_str()).collect();
        assert_eq!((jobs, page.next), (expected.to_vec(), None), "{filter:?}");
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = records.list(&filter, after.as_deref(), 1, now).await.unwrap();
            paged.extend(page.records.into_iter().map(|r| r.job_id.as_str().to_owned()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, expected, "one by one: {filter:?}");
    }
}

async fn a_place_in_the_list_stays_good_while_others_come_and_change(backend: Backend) {
    let records = &backend.app.records;
    let put = async |job: &str, number, then| {
        records.put(&[recorded(&backend, ("c", "e", job), number, 503, then)]).await.unwrap();
        backend.clock.advance(Duration::from_secs(1));
    };
    let retry = Disposition::RetryAt(backend.app.clock.now());
    for job in ["1", "2", "3", "4"] {
        put(job, 1, retry).await;
    }
    let of = || DeliveryFilter::of("c".parse().unwrap());
    let retrying = DeliveryFilter { status: Some(DeliveryStatus::Retrying), ..of() };
    for (filter, newer) in [(of(), "5"), (retrying, "6")] {
        let now = backend.app.clock.now();
        let first = records.list(&filter, None, 2, now).await.unwrap();
        // Newer ones come, and the last of the page is another one now.
        put(newer, 1, retry).await;
        let last = first.records.last().unwrap().clone();
        let mut changed = recorded(&backend, ("c", "e", last.job_id.as_str()), 2, 204, retry);
        changed.header = DeliveryRecord { attempts: 2, status: DeliveryStatus::Delivered, ..last };
        records.put(std::slice::from_ref(&changed)).await.unwrap();
        let rest = records.list(&filter, first.next.as_deref(), 9, now).await.unwrap();
        let rest: Vec<&str> = rest.records.iter().map(|r| r.job_id.as_str()).collect();
        assert_eq!(rest, ["2", "1"], "none twice, and none left out");
    }
}

async fn a_page_looks_at_so_many_and_no_more(backend: Backend) {
    let records = &backend.app.records;
    let all: Vec<RecordedAttempt> = (0..MOST_LOOKED_AT + 5)
        .map(|n| recorded(&backend, ("c", "e", &n.to_string()), 1, 204, Disposition::Done))
        .collect();
    records.put(&all).await.unwrap();
    let now = backend.app.clock.now();
    let none =
        DeliveryFilter { http_status: Some(500), ..DeliveryFilter::of("c".parse().unwrap()) };
    let first = records.list(&none, None, 9, now).await.unwrap();
    assert!(first.records.is_empty() && first.next.is_some());
    let second = records.list(&none, first.next.as_deref(), 9, now).await.unwrap();
    assert_eq!((second.records.len(), second.next), (0, None));
}

async fn what_was_kept_is_gone_when_its_time_is_over(backend: Backend) {
    let records = &backend.app.records;
    let old = recorded(&backend, ("c", "e", "old"), 1, 204, Disposition::Done);
    records.put(std::slice::from_ref(&old)).await.unwrap();
    backend.clock.advance(KEPT / 2);
    let young = recorded(&backend, ("c", "e", "young"), 1, 204, Disposition::Done);
    records.put(&[young]).await.unwrap();
    backend.clock.advance(KEPT / 2);
    // Before anybody has removed it.
    let now = backend.app.clock.now();
    assert_eq!(records.get(&old.header.id, now).await.unwrap(), None);
    let page = records.list(&DeliveryFilter::of("c".parse().unwrap()), None, 9, now).await.unwrap();
    assert_eq!(page.records[0].job_id.as_str(), "young");
    assert_eq!(page.records.len(), 1);
    let forgotten = records.forget(now).await.unwrap();
    assert!(forgotten <= 1 && records.forget(now).await.unwrap() == 0);
}
