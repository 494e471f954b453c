use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sealpost::cache::Lifetimes;
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::origin::Origin;
use sealpost::domain::reason::Reason;
use sealpost::domain::secret::{MAX_VALUE, SealedKind, SealedVersion, SecretBytes};
use sealpost::ports::endpoints::PutResult;
use sealpost::ports::keys::{MAX_WRAPPED, Unwrapped};
use sealpost::ports::queue::NewMessage;
use sealpost::vault::{NewSecret, Policy, Rollback, Vault, VaultError, WriteError};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, over_both};

over_both! {
    the_largest_value_opens_as_it_was_put_beside_the_one_before,
    a_sealed_value_opens_for_no_other_customer_name_version_or_origin,
    a_deleted_secret_s_version_is_not_given_again,
    what_was_moved_or_repointed_ends_its_jobs_with_a_reason_of_its_own,
    a_version_is_made_current_again_without_being_opened,
    a_value_of_one_byte_more_than_the_limit_is_refused_with_the_limit,
    a_worker_sees_a_rotation_within_its_soft_lifetime_or_at_once_when_it_is_refused,
}

fn origins() -> BTreeSet<Origin> {
    ["https://a.example".parse().unwrap()].into()
}

fn ids(customer: &str, secret: &str) -> (CustomerId, SecretId) {
    (customer.parse().unwrap(), secret.parse().unwrap())
}

async fn put(backend: &Backend, value: Vec<u8>) {
    let (customer, secret) = ids("acme", "signing");
    let overlap = Some(std::time::Duration::from_secs(60));
    let (value, origins) = (SecretBytes::new(value), origins());
    backend.app.vault.put(NewSecret { customer, secret, value, origins, overlap }).await.unwrap();
}

async fn the_largest_value_opens_as_it_was_put_beside_the_one_before(backend: Backend) {
    let values = [vec![1; MAX_VALUE], (0..=255).cycle().take(MAX_VALUE).collect::<Vec<u8>>()];
    for value in values.clone() {
        put(&backend, value).await;
    }
    let (customer, secret) = ids("acme", "signing");
    let open = backend.app.vault.open(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}"));
    let origins = ["https://a.example".parse().unwrap()];
    let opened = open.values_for(&origins, backend.app.clock.now()).unwrap();
    let opened: Vec<&[u8]> = opened.iter().map(SecretBytes::expose).collect();
    assert!(opened == [&values[1][..], &values[0][..]]);
}

/// Stores a sealed version as it is, as whoever can write the store could.
async fn store(backend: &Backend, (customer, secret): (CustomerId, SecretId), it: SealedVersion) {
    let secrets = &backend.app.secrets;
    let record = secrets.record(&customer, &secret).await.unwrap();
    let put = secrets.change(&customer, &secret, record.make_current(it, None)).await.unwrap();
    assert!(matches!(put, PutResult::Put(_)));
}

async fn a_sealed_value_opens_for_no_other_customer_name_version_or_origin(backend: Backend) {
    put(&backend, b"value".to_vec()).await;
    let (customer, secret) = ids("acme", "signing");
    let sealed = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap().current;
    let elsewhere = ["https://evil.example".parse().unwrap()].into();
    let copies = [
        (ids("evil", "signing"), sealed.clone()),
        (ids("acme", "other"), sealed.clone()),
        (ids("acme", "signing"), SealedVersion { version: 2, ..sealed.clone() }),
        (ids("acme", "third"), SealedVersion { origins: elsewhere, ..sealed }),
    ];
    for ((customer, secret), copy) in copies {
        store(&backend, (customer.clone(), secret.clone()), copy).await;
        let refused = backend.app.vault.open(&customer, &secret).await.err().unwrap();
        assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
    }
}

/// The reason of the dead letter that a job to endpoint `e` of `customer` ends as.
async fn reason(backend: &Backend, customer: &str, url: &str) -> Reason {
    let auth = serde_json::json!([{"scheme": "bearer", "secret": "signing"}]);
    let endpoint = serde_json::json!({"customerId": customer, "endpointId": "e", "url": url,
                                      "auth": auth});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    let app = &backend.app;
    // The list of dead letters is in the order of their times.
    backend.clock.advance(Duration::from_secs(1));
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    let job = format!(r#"{{"customerId":"{customer}","endpointId":"e","data":1}}"#);
    let message = NewMessage { body: job.into(), ..NewMessage::default() };
    app.queue.send(vec![message]).await.unwrap();
    let messages = app.queue.receive(10, Duration::ZERO).await.unwrap();
    assert_eq!(messages.len(), 1);
    app.pipeline().unwrap().deliver(&messages[0], &CancellationToken::new()).await;
    let of =
        DeadLetterFilter { customer_id: Some(customer.parse().unwrap()), ..Default::default() };
    let letters = app.deliveries.list_dead_letters(&of, None, 9).await.unwrap();
    assert_eq!(letters.last().unwrap().attempts, 0, "nothing was sent");
    letters.last().unwrap().reason
}

async fn what_was_moved_or_repointed_ends_its_jobs_with_a_reason_of_its_own(backend: Backend) {
    put(&backend, b"value".to_vec()).await;
    let (customer, secret) = ids("acme", "signing");
    let sealed = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap().current;
    let home = "https://a.example/in";
    assert_eq!(reason(&backend, "acme", "https://b.example/in").await, Reason::OriginNotAllowed);
    assert_eq!(reason(&backend, "nobody", home).await, Reason::UnknownSecret);
    store(&backend, ids("evil", "signing"), sealed.clone()).await;
    assert_eq!(reason(&backend, "evil", home).await, Reason::SecretNotDecrypted);
    let wide = ["https://b.example".parse().unwrap()].into();
    let wide = SealedVersion { origins: wide, ..sealed.clone() };
    store(&backend, ids("wide", "signing"), wide).await;
    assert_eq!(reason(&backend, "wide", "https://b.example/").await, Reason::SecretNotDecrypted);
    let (kind, ciphertext) = SealedKind::split(&sealed.sealed).unwrap();
    assert_eq!(kind, SealedKind::Envelope);
    let unbound = SealedVersion::unbound(ciphertext, sealed.created_at);
    store(&backend, ids("free", "signing"), unbound).await;
    assert_eq!(reason(&backend, "free", home).await, Reason::UnboundSecret);
    // Its own row, served as a version that it is not. (Nothing of it is in the cache.)
    let (customer, secret) = ids("late", "signing");
    let value = SecretBytes::new(b"value".to_vec());
    let new = NewSecret { customer, secret, value, origins: origins(), overlap: None };
    backend.app.vault.put(new).await.unwrap();
    let (customer, secret) = ids("late", "signing");
    let sealed = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap().current;
    store(&backend, (customer, secret), SealedVersion { version: 2, ..sealed }).await;
    assert_eq!(reason(&backend, "late", home).await, Reason::SecretNotDecrypted);
}

async fn a_version_is_made_current_again_without_being_opened(backend: Backend) {
    for value in ["one", "two", "three"] {
        let (customer, secret) = ids("acme", "signing");
        let value = SecretBytes::new(value.into());
        let new = NewSecret { customer, secret, value, origins: origins(), overlap: None };
        backend.app.vault.put(new).await.unwrap();
    }
    let vault = &backend.app.vault;
    let back = async |to, overlap, expected| {
        let (customer, secret) = ids("acme", "signing");
        vault.roll_back(Rollback { customer, secret, to, overlap }, expected).await
    };
    let (customer, secret) = ids("acme", "signing");
    let values = async || {
        let open = vault.open(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}"));
        let origins = ["https://a.example".parse().unwrap()];
        let values = open.values_for(&origins, backend.app.clock.now()).unwrap();
        values.iter().map(|value| value.expose_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let sealed = backend.app.secrets.history(&customer, &secret).await.unwrap();
    assert_eq!(back(1, None, Some(2)).await.unwrap(), PutResult::Conflict(3));
    assert_eq!(back(1, None, Some(3)).await.unwrap(), PutResult::Put(1));
    assert_eq!(values().await, ["one"]);
    let stored = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!(Some(&stored.current), sealed.last(), "sealed as it was");
    let overlap = Some(Duration::from_secs(60));
    assert_eq!(back(2, overlap, None).await.unwrap(), PutResult::Put(2));
    assert_eq!(values().await, ["two", "one"]);
    assert!(matches!(back(2, None, None).await, Err(WriteError::AlreadyCurrent(2))));
    assert!(matches!(back(4, None, None).await, Err(WriteError::UnknownVersion { .. })));
    put(&backend, b"four".to_vec()).await;
    assert_eq!(values().await, ["four", "two"]);
    let now = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!(now.current.version, 4, "no number is given twice");
    // The previous one may have leaked: it is purged, and its overlap ends at once.
    assert!(matches!(vault.purge(&customer, &secret, &[4]).await, Err(WriteError::IsCurrent(4))));
    assert_eq!(vault.purge(&customer, &secret, &[2, 1]).await.unwrap(), 2);
    assert_eq!(values().await, ["four"]);
    let past = backend.app.secrets.history(&customer, &secret).await.unwrap();
    assert_eq!(past.iter().map(|v| v.version).collect::<Vec<_>>(), [3]);
}

async fn a_worker_sees_a_rotation_within_its_soft_lifetime_or_at_once_when_it_is_refused(
    backend: Backend,
) {
    let (customer, secret) = ids("acme", "signing");
    let vault = |soft| {
        let hard = Duration::from_secs(3600);
        let (app, lifetimes) = (&backend.app, Lifetimes { soft, hard, capacity: 10 });
        let (secrets, keys) = (Arc::clone(&app.secrets), Arc::clone(&app.keys));
        let (clock, chance) = (Arc::clone(&app.clock), Arc::clone(&app.chance));
        Vault::new(secrets, keys, clock, chance, Policy::default(), lifetimes)
    };
    let (patient, eager) = (vault(Duration::from_secs(3600)), vault(Duration::ZERO));
    put(&backend, b"one".to_vec()).await;
    let version = async |vault: &Vault| {
        vault.open(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}")).version()
    };
    assert_eq!((version(&patient).await, version(&eager).await), (1, 1));
    put(&backend, b"two".to_vec()).await;
    assert_eq!(version(&patient).await, 1, "nothing tells it");
    patient.reread(&customer, &secret).await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(version(&patient).await, 2, "it was refused");
    let seen = async {
        while version(&eager).await != 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap();
}

async fn a_value_of_one_byte_more_than_the_limit_is_refused_with_the_limit(backend: Backend) {
    for (value, limit) in [(vec![], "empty"), (vec![1; MAX_VALUE + 1], "65536")] {
        let (customer, secret) = ids("acme", "signing");
        let value = SecretBytes::new(value);
        let new = NewSecret { customer, secret, value, origins: origins(), overlap: None };
        let refused = backend.app.vault.put(new).await.unwrap_err();
        assert!(matches!(refused, WriteError::Value(_)) && refused.to_string().contains(limit));
    }
    let keys = &backend.app.keys;
    let context = [("customerId", "acme".to_owned())];
    let value = |length| SecretBytes::new(vec![7; length]);
    let wrapped = keys.wrap(&value(MAX_WRAPPED), &context).await.unwrap();
    assert!(matches!(keys.unwrap(&wrapped, &context).await.unwrap(), Unwrapped::Opened(_)));
    assert!(keys.wrap(&value(MAX_WRAPPED + 1), &context).await.is_err());
}

async fn a_deleted_secret_s_version_is_not_given_again(backend: Backend) {
    put(&backend, b"one".to_vec()).await;
    let (customer, secret) = ids("acme", "signing");
    assert!(backend.app.secrets.delete(&customer, &secret, None).await.unwrap());
    assert!(!backend.app.secrets.delete(&customer, &secret, None).await.unwrap());
    assert!(backend.app.secrets.get(&customer, &secret).await.unwrap().is_none());
    assert!(backend.app.secrets.list(None).await.unwrap().is_empty());
    put(&backend, b"two".to_vec()).await;
    let stored = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!((stored.current.version, stored.previous), (2, None));
}
