use std::time::Duration;

use sealpost::domain::endpoint::{Endpoint, Health};
use sealpost::domain::secret::SealedVersion;
use sealpost::ports::endpoints::PutResult;
use sealpost::ports::health::RecordedHealth;

use crate::backend::{Backend, over_both};

over_both! {
    an_endpoint_is_written_only_over_the_version_that_was_read,
    a_late_410_does_not_disable_an_endpoint_that_was_put_again,
    what_was_learnt_of_a_customer_s_endpoints_is_listed_with_its_version,
    of_two_administrators_who_put_the_same_secret_version_one_is_refused,
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
    assert!(backend.app.endpoints.delete(&customer, &id).await.unwrap());
    assert!(!backend.app.endpoints.delete(&customer, &id).await.unwrap());
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
        health: health.clone(),
    };
    let recorded = [record("a", 3, &gone), record("b", 1, &paused)];
    for RecordedHealth { endpoint_id, version, health: known } in &recorded {
        assert!(health.set(&customer, endpoint_id, *version, known).await.unwrap());
    }
    assert!(health.set(&other, &"x".parse().unwrap(), 1, &gone).await.unwrap());
    assert_eq!(health.list(&customer).await.unwrap(), recorded);
}

async fn of_two_administrators_who_put_the_same_secret_version_one_is_refused(backend: Backend) {
    let (customer, id) = ("c".parse().unwrap(), "s".parse().unwrap());
    let now = backend.app.clock.now();
    let version = |version| SealedVersion {
        version,
        sealed: vec![1],
        origins: [].into(),
        created_at: now,
        facts: None,
    };
    let secrets = &backend.app.secrets;
    let (a, b) = tokio::join!(
        secrets.put(&customer, &id, version(1), None),
        secrets.put(&customer, &id, version(1), None)
    );
    let results = [a.unwrap(), b.unwrap()];
    assert!(results.contains(&PutResult::Put(1)) && results.contains(&PutResult::Conflict(1)));
    let until = now.plus(Duration::from_secs(60));
    secrets.put(&customer, &id, version(2), Some(until)).await.unwrap();
    let stored = secrets.get(&customer, &id).await.unwrap().unwrap();
    assert_eq!(stored.in_use(now).map(|v| v.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(stored.in_use(until).map(|v| v.version).collect::<Vec<_>>(), [2]);
    assert_eq!(secrets.last_version(&customer, &id).await.unwrap(), 2);
}
