use std::collections::BTreeSet;

use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::origin::Origin;
use sealpost::domain::secret::{MAX_VALUE, SealedVersion, SecretBytes};
use sealpost::vault::{NewSecret, VaultError};

use crate::backend::{Backend, over_both};

over_both! {
    the_largest_value_opens_as_it_was_put_beside_the_one_before,
    a_sealed_value_opens_for_no_other_customer_name_version_or_origin,
    a_deleted_secret_s_version_is_not_given_again,
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
        backend.app.secrets.put(&customer, &secret, copy, None).await.unwrap();
        let refused = backend.app.vault.open(&customer, &secret).await.err().unwrap();
        assert!(matches!(*refused, VaultError::NotDecrypted { .. }), "{refused}");
    }
}

async fn a_deleted_secret_s_version_is_not_given_again(backend: Backend) {
    put(&backend, b"one".to_vec()).await;
    let (customer, secret) = ids("acme", "signing");
    assert!(backend.app.secrets.delete(&customer, &secret).await.unwrap());
    assert!(!backend.app.secrets.delete(&customer, &secret).await.unwrap());
    assert!(backend.app.secrets.get(&customer, &secret).await.unwrap().is_none());
    assert!(backend.app.secrets.list(None).await.unwrap().is_empty());
    put(&backend, b"two".to_vec()).await;
    let stored = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!((stored.current.version, stored.previous), (2, None));
}
