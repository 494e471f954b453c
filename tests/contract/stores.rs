use std::time::Duration;

use sealpost::domain::authorization::Authorization;
use sealpost::domain::endpoint::{Endpoint, Health};
use sealpost::domain::health::{Failing, HealthRecord};
use sealpost::domain::secret::SealedVersion;
use sealpost::domain::secret_record::{SecretChange, SecretRecord};
use sealpost::domain::timestamp::Timestamp;
use sealpost::domain::verification::Verified;
use sealpost::ports::endpoints::PutResult;
use sealpost::ports::health::RecordedHealth;

use crate::backend::{Backend, over_both};

over_both! {
    an_endpoint_is_written_only_over_the_version_that_was_read,
    a_late_410_does_not_disable_an_endpoint_that_was_put_again,
    what_was_learnt_of_a_customer_s_endpoints_is_listed_with_its_version,
    a_change_of_health_is_made_only_over_the_record_that_was_seen,
    a_handshake_outlives_the_version_that_passed_it_and_an_authorization_does_not,
    a_time_of_failures_outlives_a_pause_and_ends_with_its_version,
    of_two_administrators_who_put_the_same_secret_version_one_is_refused,
    versions_that_leave_use_are_kept_until_they_are_forgotten,
    a_change_is_made_only_over_the_record_that_was_seen,
    what_somebody_else_has_just_written_is_not_removed,
}

fn endpoint(url: &str) -> Endpoint {
    Endpoint::from_json(&format!(r#"{{"customerId":"c","endpointId":"e","url":"{url}"}}"#)).unwrap()
}

async fn put(backend: &Backend, expected: Option<u64>) -> PutResult {
    let now = backend.app.clock.now();
    backend.app.endpoints.put(endpoint("https://a.example/"), expected, now).await.unwrap()
}

async fn an_endpoint_is_written_only_over_the_version_that_was_read(backend: Backend) {
    assert_eq!(put(&backend, Some(0)).await, PutResult::Put(1));
    assert_eq!(put(&backend, Some(0)).await, PutResult::Conflict(1));
    assert_eq!(put(&backend, Some(1)).await, PutResult::Put(2));
    assert_eq!(put(&backend, None).await, PutResult::Put(3));
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    assert!(backend.app.endpoints.delete(&customer, &id, None).await.unwrap());
    assert!(!backend.app.endpoints.delete(&customer, &id, None).await.unwrap());
    assert!(backend.app.endpoints.get(&customer, &id).await.unwrap().is_none());
    assert_eq!(put(&backend, Some(0)).await, PutResult::Put(4), "a version is never given twice");
}

async fn a_late_410_does_not_disable_an_endpoint_that_was_put_again(backend: Backend) {
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let gone = Health::Disabled { why: "gone".to_owned() };
    let health = &backend.app.health;
    assert_eq!(health.get(&customer, &id, 1).await.unwrap(), Health::Active);
    assert!(health.set(&customer, &id, 1, &gone).await.unwrap());
    assert_eq!(health.get(&customer, &id, 1).await.unwrap(), gone);
    assert_eq!(health.get(&customer, &id, 2).await.unwrap(), Health::Active);
    let paused = Health::Paused { until: backend.app.clock.now() };
    assert!(!health.set(&customer, &id, 1, &paused).await.unwrap(), "disabled stays disabled");
    assert!(health.set(&customer, &id, 2, &paused).await.unwrap());
    assert!(!health.set(&customer, &id, 1, &gone).await.unwrap());
    assert_eq!(health.get(&customer, &id, 2).await.unwrap(), paused);
}

async fn what_was_learnt_of_a_customer_s_endpoints_is_listed_with_its_version(backend: Backend) {
    let health = &backend.app.health;
    let (customer, other) = ("c".parse().unwrap(), "d".parse().unwrap());
    assert!(health.list(&customer).await.unwrap().is_empty());
    let gone = Health::Disabled { why: "gone".to_owned() };
    let paused = Health::Paused { until: backend.app.clock.now() };
    let record = |id: &str, version, health: &Health| RecordedHealth {
        endpoint_id: id.parse().unwrap(),
        version,
        record: HealthRecord { health: health.clone(), revision: 1, ..HealthRecord::default() },
    };
    let recorded = [record("a", 3, &gone), record("b", 1, &paused)];
    for RecordedHealth { endpoint_id, version, record } in &recorded {
        assert!(health.set(&customer, endpoint_id, *version, &record.health).await.unwrap());
    }
    assert!(health.set(&other, &"x".parse().unwrap(), 1, &gone).await.unwrap());
    assert_eq!(health.list(&customer).await.unwrap(), recorded);
}

fn failing(backend: &Backend, notes: u32) -> Option<Failing> {
    let now = backend.app.clock.now();
    Some(Failing { since: now, noted_at: now, notes })
}

async fn a_change_of_health_is_made_only_over_the_record_that_was_seen(backend: Backend) {
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let health = &backend.app.health;
    let read = async |version| health.read(&customer, &id, version).await.unwrap();
    let change = async |version, seen: &HealthRecord, next: &HealthRecord| {
        health.change(&customer, &id, version, seen, next).await.unwrap()
    };
    let first = read(1).await;
    assert_eq!(first, HealthRecord::default());
    let noted = first.failing(failing(&backend, 1));
    let well = first.well();
    let (a, b) = tokio::join!(change(1, &first, &noted), change(1, &first, &well));
    assert!(a != b, "one of two wins");
    let seen = read(1).await;
    let gone = seen.disabled("gone".to_owned(), failing(&backend, 2).unwrap());
    assert!(change(1, &seen, &gone).await);
    assert!(!change(1, &seen, &seen.well()).await, "it was seen before it was disabled");
    let disabled = read(1).await;
    assert_eq!((&disabled.health, disabled.failing), (&gone.health, gone.failing));
    assert!(health.list(&customer).await.unwrap()[0].record.health.is_disabled());
    assert!(change(1, &disabled, &disabled.well()).await, "whoever saw it enables it");
    let well = read(1).await;
    assert_eq!((well.health, well.failing), (Health::Active, None));
    let paused = Health::Paused { until: backend.app.clock.now() };
    assert!(health.set(&customer, &id, 1, &paused).await.unwrap(), "it is disabled no more");
}

async fn a_time_of_failures_outlives_a_pause_and_ends_with_its_version(backend: Backend) {
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let health = &backend.app.health;
    let first = HealthRecord::default();
    let noted = first.failing(failing(&backend, 1));
    assert!(health.change(&customer, &id, 1, &first, &noted).await.unwrap());
    let paused = Health::Paused { until: backend.app.clock.now() };
    assert!(health.set(&customer, &id, 1, &paused).await.unwrap());
    let seen = health.read(&customer, &id, 1).await.unwrap();
    assert_eq!((seen.health, seen.failing), (paused.clone(), noted.failing));
    // What was read before the pause may not undo it.
    let stale = HealthRecord { revision: 1, ..noted.clone() };
    assert!(!health.change(&customer, &id, 1, &stale, &stale.well()).await.unwrap());

    let next = health.read(&customer, &id, 2).await.unwrap();
    assert_eq!((&next.health, next.failing), (&Health::Active, None));
    assert!(health.change(&customer, &id, 2, &next, &next.well()).await.unwrap());
    let late = health.read(&customer, &id, 1).await.unwrap();
    let failing = late.failing(failing(&backend, 3));
    assert!(!health.change(&customer, &id, 1, &late, &failing).await.unwrap());
    // Another version's failures are no more its own when it is only paused, either.
    assert!(health.set(&customer, &id, 3, &paused).await.unwrap());
    assert_eq!(health.read(&customer, &id, 3).await.unwrap().failing, None);
}

fn version(version: u64) -> SealedVersion {
    let created_at = Timestamp::from_millis(0);
    SealedVersion { version, sealed: vec![1], origins: [].into(), created_at, facts: None }
}

async fn record(backend: &Backend) -> SecretRecord {
    backend.app.secrets.record(&"c".parse().unwrap(), &"s".parse().unwrap()).await.unwrap()
}

async fn change(backend: &Backend, change: SecretChange) -> PutResult {
    let (customer, id) = ("c".parse().unwrap(), "s".parse().unwrap());
    backend.app.secrets.change(&customer, &id, change).await.unwrap()
}

/// Makes a version current over what there is now.
async fn put_version(backend: &Backend, number: u64, until: Option<Timestamp>) -> PutResult {
    change(backend, record(backend).await.make_current(version(number), until)).await
}

async fn past(backend: &Backend) -> Vec<u64> {
    let (customer, id) = ("c".parse().unwrap(), "s".parse().unwrap());
    let past = backend.app.secrets.history(&customer, &id).await.unwrap();
    past.iter().map(|version| version.version).collect()
}

async fn of_two_administrators_who_put_the_same_secret_version_one_is_refused(backend: Backend) {
    let (customer, id) = ("c".parse().unwrap(), "s".parse().unwrap());
    let now = backend.app.clock.now();
    let first = SecretRecord::default().make_current(version(1), None);
    let (a, b) = tokio::join!(change(&backend, first.clone()), change(&backend, first));
    assert!([a, b].contains(&PutResult::Put(1)) && [a, b].contains(&PutResult::Conflict(1)));
    let until = now.plus(Duration::from_secs(60));
    put_version(&backend, 2, Some(until)).await;
    let stored = backend.app.secrets.get(&customer, &id).await.unwrap().unwrap();
    assert_eq!(stored.in_use(now).map(|v| v.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(stored.in_use(until).map(|v| v.version).collect::<Vec<_>>(), [2]);
    assert_eq!(record(&backend).await.last_version, 2);
}

async fn versions_that_leave_use_are_kept_until_they_are_forgotten(backend: Backend) {
    let (customer, id) = ("c".parse().unwrap(), "s".parse().unwrap());
    let until = Some(backend.app.clock.now().plus(Duration::from_secs(60)));
    for number in 1..=11 {
        let until = until.filter(|_| number != 11);
        assert_eq!(put_version(&backend, number, until).await, PutResult::Put(number));
    }
    assert_eq!(past(&backend).await, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let secrets = &backend.app.secrets;
    assert_eq!(secrets.history(&customer, &"s.1".parse().unwrap()).await.unwrap().len(), 0);
    assert_eq!(secrets.forget(&customer, &id, &[1, 2, 77]).await.unwrap(), 2);
    assert_eq!(past(&backend).await, [10, 9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(secrets.list(Some(&customer)).await.unwrap().len(), 1, "history is not listed");
    assert!(secrets.delete(&customer, &id, None).await.unwrap());
    assert!(past(&backend).await.is_empty());
    assert_eq!(record(&backend).await, SecretRecord { last_version: 11, secret: None });
}

async fn a_change_is_made_only_over_the_record_that_was_seen(backend: Backend) {
    let (customer, id) = ("c".parse().unwrap(), "s".parse().unwrap());
    put_version(&backend, 1, None).await;
    put_version(&backend, 2, None).await;
    let seen = record(&backend).await;
    // Version 1 is made current again: no new number is given, and still nothing is as it was seen.
    assert_eq!(put_version(&backend, 1, None).await, PutResult::Put(1));
    let late = seen.clone().make_current(version(3), None);
    assert_eq!(change(&backend, late).await, PutResult::Conflict(1));
    assert_eq!(past(&backend).await, [2, 1], "a refused change leaves no history");
    let late = record(&backend).await.make_current(version(3), None);
    assert!(backend.app.secrets.delete(&customer, &id, None).await.unwrap());
    assert_eq!(change(&backend, late.clone()).await, PutResult::Conflict(0));
    let late = SecretRecord::default().make_current(version(1), None);
    assert_eq!(change(&backend, late).await, PutResult::Conflict(0), "a number is not given twice");
    assert_eq!(put_version(&backend, 3, None).await, PutResult::Put(3));
}

async fn what_somebody_else_has_just_written_is_not_removed(backend: Backend) {
    let customer = "c".parse().unwrap();
    let (endpoint, secret) = ("e".parse().unwrap(), "s".parse().unwrap());
    let (endpoints, secrets) = (&backend.app.endpoints, &backend.app.secrets);
    for expected in [0, 1] {
        put(&backend, None).await;
        put_version(&backend, expected + 1, None).await;
        assert!(!endpoints.delete(&customer, &endpoint, Some(expected)).await.unwrap());
        assert!(!secrets.delete(&customer, &secret, Some(expected)).await.unwrap());
    }
    assert!(endpoints.get(&customer, &endpoint).await.unwrap().is_some());
    assert!(secrets.get(&customer, &secret).await.unwrap().is_some());
    assert_eq!(past(&backend).await, [1], "not even its history");
    assert!(endpoints.delete(&customer, &endpoint, Some(2)).await.unwrap());
    assert!(secrets.delete(&customer, &secret, Some(2)).await.unwrap());
    assert!(endpoints.get(&customer, &endpoint).await.unwrap().is_none());
    assert!(secrets.get(&customer, &secret).await.unwrap().is_none());
    assert!(past(&backend).await.is_empty());
}

async fn a_handshake_outlives_the_version_that_passed_it_and_an_authorization_does_not(
    backend: Backend,
) {
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let (health, now) = (&backend.app.health, backend.app.clock.now());
    let read = async |version| health.read(&customer, &id, version).await.unwrap();
    let verified = Some(Verified { of: "a url".to_owned(), at: now });
    let authorization = Some(Authorization::Authorized { at: now });
    let next = HealthRecord {
        verified: verified.clone(),
        authorization: authorization.clone(),
        ..HealthRecord::default()
    };
    assert!(health.change(&customer, &id, 1, &read(1).await, &next).await.unwrap());
    assert_eq!(
        (read(1).await.verified, read(1).await.authorization),
        (verified.clone(), authorization.clone())
    );
    assert_eq!((read(2).await.verified, read(2).await.authorization), (verified.clone(), None));
    // Neither a pause, of this or of a later version, nor a failure takes it away.
    let until = now.plus(Duration::from_secs(60));
    for version in [1, 2] {
        assert!(health.set(&customer, &id, version, &Health::Paused { until }).await.unwrap());
        assert_eq!(read(version).await.verified, verified);
    }
    assert_eq!(health.list(&customer).await.unwrap()[0].record.verified, verified);
    assert_eq!(read(2).await.authorization, None);
    let seen = read(2).await;
    let none = HealthRecord { verified: None, ..seen.clone() };
    assert!(health.change(&customer, &id, 2, &seen, &none).await.unwrap());
    assert_eq!((read(2).await.verified, read(3).await.verified), (None, None));
}
