//! A version that is sealed anew takes the place of the old one, and of nothing else.

use std::time::Duration;

use sealpost::domain::ids::{CustomerId, SecretId};
use sealpost::domain::secret::{SealedVersion, SecretBytes};
use sealpost::vault::{NewSecret, Rollback};

use crate::backend::{Backend, over_both};

over_both! {
    a_version_is_replaced_wherever_it_is_kept_and_its_standing_stays,
    what_somebody_else_has_changed_is_not_replaced,
}

fn ids() -> (CustomerId, SecretId) {
    ("c".parse().unwrap(), "s".parse().unwrap())
}

async fn put(backend: &Backend, value: &str, overlap: Option<Duration>) {
    let ((customer, secret), value) = (ids(), SecretBytes::new(value.into()));
    let origins = ["https://a.example".parse().unwrap()].into();
    let new = NewSecret { customer, secret, value, origins, overlap };
    backend.app.vault.put(new).await.unwrap();
}

/// The current, the previous and the past versions.
async fn kept(backend: &Backend) -> Vec<SealedVersion> {
    let (customer, secret) = ids();
    let stored = backend.app.secrets.get(&customer, &secret).await.unwrap().unwrap();
    let past = backend.app.secrets.history(&customer, &secret).await.unwrap();
    std::iter::once(stored.current).chain(stored.previous).chain(past).collect()
}

fn anew(version: &SealedVersion, byte: u8) -> SealedVersion {
    SealedVersion { sealed: vec![1, byte, version.version.to_be_bytes()[7]], ..version.clone() }
}

async fn replace(backend: &Backend, from: &SealedVersion, to: &SealedVersion) -> bool {
    let (customer, secret) = ids();
    backend.app.secrets.replace(&customer, &secret, from, to).await.unwrap()
}

async fn a_version_is_replaced_wherever_it_is_kept_and_its_standing_stays(backend: Backend) {
    let overlap = Some(Duration::from_secs(60));
    for value in ["one", "two", "three"] {
        put(&backend, value, overlap).await;
    }
    let before = kept(&backend).await;
    assert_eq!(before.iter().map(|v| v.version).collect::<Vec<_>>(), [3, 2, 1]);
    let after: Vec<SealedVersion> = before.iter().map(|version| anew(version, 7)).collect();
    for (from, to) in before.iter().zip(&after) {
        assert!(replace(&backend, from, to).await, "version {}", from.version);
    }
    assert_eq!(kept(&backend).await, after);
    // One that is current again stands in the history too.
    let (customer, secret) = ids();
    let rollback = Rollback { customer, secret, to: 1, overlap: None };
    backend.app.vault.roll_back(rollback, None).await.unwrap();
    let before = kept(&backend).await;
    let firsts = before.iter().filter(|version| version.version == 1).count();
    assert!(replace(&backend, &after[2], &anew(&after[2], 8)).await);
    let now = kept(&backend).await;
    assert_eq!(now.iter().filter(|version| **version == anew(&after[2], 8)).count(), firsts);
    assert_eq!(now.len(), before.len());
}

async fn what_somebody_else_has_changed_is_not_replaced(backend: Backend) {
    put(&backend, "one", None).await;
    let seen = kept(&backend).await.remove(0);
    let theirs = anew(&seen, 7);
    assert!(replace(&backend, &seen, &theirs).await);
    assert!(!replace(&backend, &seen, &anew(&seen, 8)).await);
    put(&backend, "two", None).await;
    let now = kept(&backend).await;
    assert_eq!(now[1], theirs);
    assert!(!replace(&backend, &anew(&now[0], 9), &seen).await);
    let (customer, secret) = ids();
    backend.app.secrets.delete(&customer, &secret, None).await.unwrap();
    assert!(!replace(&backend, &now[0], &theirs).await, "a deleted secret stays deleted");
    assert!(backend.app.secrets.get(&customer, &secret).await.unwrap().is_none());
}
