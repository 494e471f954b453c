use std::sync::Arc;
use std::time::Duration;

use sealpost::cache::Lifetimes;
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::reason::Reason;
use sealpost::domain::secret::{MAX_VALUE, SealedKind, SecretBytes};
use sealpost::ports::queue::NewMessage;
use sealpost::vault::{NewSecret, Policy, Sealing, TenantKeyError, Vault, WriteError};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, over_both};

over_both! {
    values_of_any_size_sealed_to_any_generation_open_in_a_worker_that_never_saw_them,
    a_shredded_key_ends_its_jobs_with_a_reason_of_its_own_and_other_customers_do_not_notice,
    of_two_administrators_who_make_a_key_one_is_refused,
    a_value_of_one_byte_more_than_the_limit_is_refused_and_no_key_is_made_for_it,
}

fn id(customer: &str) -> CustomerId {
    customer.parse().unwrap()
}

/// A process on the same storage that seals to tenant keys, with an empty cache.
fn vault(backend: &Backend) -> Vault {
    let app = &backend.app;
    let hour = Duration::from_secs(3600);
    let lifetimes = Lifetimes { soft: hour, hard: hour, capacity: 100 };
    let (secrets, keys) = (Arc::clone(&app.secrets), Arc::clone(&app.keys));
    let (clock, chance) = (Arc::clone(&app.clock), Arc::clone(&app.chance));
    let policy = Policy { sealing: Sealing::TenantKey, accept_unbound: false };
    Vault::new(secrets, keys, clock, chance, policy, lifetimes)
}

fn new(customer: &str, secret: &str, value: Vec<u8>) -> NewSecret {
    NewSecret {
        customer: id(customer),
        secret: secret.parse().unwrap(),
        value: SecretBytes::new(value),
        origins: ["https://a.example".parse().unwrap()].into(),
        overlap: Some(Duration::from_secs(60)),
    }
}

async fn values(backend: &Backend, vault: &Vault, secret: &str) -> Vec<Vec<u8>> {
    let open = vault.open(&id("acme"), &secret.parse().unwrap()).await;
    let open = open.unwrap_or_else(|e| panic!("{e}"));
    let origins = ["https://a.example".parse().unwrap()];
    let values = open.values_for(&origins, backend.app.clock.now()).unwrap();
    values.iter().map(|value| value.expose().to_vec()).collect()
}

async fn values_of_any_size_sealed_to_any_generation_open_in_a_worker_that_never_saw_them(
    backend: Backend,
) {
    let writer = vault(&backend);
    writer.create_tenant_key(&id("acme")).await.unwrap();
    let sizes = [1, 4096, MAX_VALUE - 1, MAX_VALUE];
    for (at, size) in sizes.into_iter().enumerate() {
        let value = vec![u8::try_from(at).unwrap(); size];
        writer.put(new("acme", &format!("of-{size}"), value)).await.unwrap();
        writer.rotate_tenant_key(&id("acme")).await.unwrap();
    }
    // The two largest fit one item beside each other.
    for byte in [8, 9] {
        writer.put(new("acme", "both", vec![byte; MAX_VALUE])).await.unwrap();
    }
    let worker = vault(&backend);
    for (at, size) in sizes.into_iter().enumerate() {
        let expected = vec![u8::try_from(at).unwrap(); size];
        assert!(values(&backend, &worker, &format!("of-{size}")).await == [expected], "{size}");
    }
    let both = values(&backend, &worker, "both").await;
    assert!(both == [vec![9; MAX_VALUE], vec![8; MAX_VALUE]]);
    let secret: SecretId = "both".parse().unwrap();
    let stored = backend.app.secrets.get(&id("acme"), &secret).await.unwrap().unwrap();
    assert_eq!(SealedKind::split(&stored.current.sealed).unwrap().0, SealedKind::TenantKey);
    assert_eq!(stored.current.sealed[1..5], [0, 0, 0, 5], "sealed to the current generation");
}

/// The reason of the dead letter that a job to endpoint `e` of `customer` ends as.
async fn reason(backend: &Backend, customer: &str) -> Reason {
    let auth = serde_json::json!([{"scheme": "bearer", "secret": "s"}]);
    let endpoint = serde_json::json!({"customerId": customer, "endpointId": "e",
                                      "url": "https://elsewhere.example/", "auth": auth});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    let app = &backend.app;
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    let job = format!(r#"{{"customerId":"{customer}","endpointId":"e","data":1}}"#);
    let message = NewMessage { body: job.into(), ..NewMessage::default() };
    app.queue.send(vec![message]).await.unwrap();
    let messages = app.queue.receive(10, Duration::ZERO).await.unwrap();
    assert_eq!(messages.len(), 1);
    app.pipeline().unwrap().deliver(&messages[0], &CancellationToken::new()).await;
    let of = DeadLetterFilter { customer_id: Some(id(customer)), ..Default::default() };
    let letters = app.deliveries.list_dead_letters(&of, None, 9).await.unwrap();
    letters.last().unwrap().reason
}

async fn a_shredded_key_ends_its_jobs_with_a_reason_of_its_own_and_other_customers_do_not_notice(
    backend: Backend,
) {
    let writer = vault(&backend);
    for customer in ["acme", "globex"] {
        for _ in 0..3 {
            writer.put(new(customer, "s", b"value".to_vec())).await.unwrap();
        }
        writer.rotate_tenant_key(&id(customer)).await.unwrap();
    }
    let missing = writer.shred_tenant_key(&id("nobody")).await.unwrap_err();
    assert!(matches!(missing, TenantKeyError::Missing(_)), "{missing}");
    let shredded = writer.shred_tenant_key(&id("acme")).await.unwrap();
    let listed = writer.tenant_keys(None).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0], shredded);
    assert!(listed[1].public.is_some() && listed[1].customer == id("globex"));
    let refused = writer.put(new("acme", "s", b"value".to_vec())).await.unwrap_err();
    let TenantKeyError::Shredded { at, .. } = (match refused {
        WriteError::TenantKey(refused) => refused,
        other => panic!("{other}"),
    }) else {
        panic!("refused for another reason");
    };
    assert_eq!(at, shredded.at);
    assert_eq!(reason(&backend, "acme").await, Reason::TenantKeyShredded);
    // It opens, and may not go there.
    assert_eq!(reason(&backend, "globex").await, Reason::OriginNotAllowed);
    let key = SecretId::tenant_key();
    assert!(backend.app.secrets.history(&id("acme"), &key).await.unwrap().is_empty());
}

async fn of_two_administrators_who_make_a_key_one_is_refused(backend: Backend) {
    let (one, two) = (vault(&backend), vault(&backend));
    let customer = id("acme");
    let (a, b) = tokio::join!(one.create_tenant_key(&customer), two.create_tenant_key(&customer));
    assert_ne!(a.is_ok(), b.is_ok());
    let refused = a.err().or(b.err()).unwrap();
    let expected = matches!(
        refused,
        TenantKeyError::Conflict(_) | TenantKeyError::AlreadyThere { generation: 1, .. }
    );
    assert!(expected, "{refused}");
}

async fn a_value_of_one_byte_more_than_the_limit_is_refused_and_no_key_is_made_for_it(
    backend: Backend,
) {
    let refused = vault(&backend).put(new("acme", "s", vec![1; MAX_VALUE + 1])).await.unwrap_err();
    assert!(refused.to_string().contains("65536"), "{refused}");
    assert!(backend.app.secrets.list(None).await.unwrap().is_empty(), "no key was made for it");
}
