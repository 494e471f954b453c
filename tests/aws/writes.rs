//! Conditional writes whose answer is lost: the SDK repeats them, and they recognise themselves.

use std::time::Duration;

use sealpost::adapters::aws::dynamodb::{DynamoEndpoints, DynamoSecrets};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SealedVersion;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::endpoints::PutResult;
use sealpost::ports::{Endpoints, Secrets};

use crate::aws::Aws;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[tokio::test]
async fn an_endpoint_that_was_written_is_no_conflict_with_itself() {
    let aws = Aws::start().await;
    let Some(emulated) = &aws.emulated else { return println!("needs the emulator: skipped") };
    let prefix = aws.config.table_prefix.as_str();
    let endpoints = DynamoEndpoints::new(&aws.clients.dynamodb, prefix);
    let json = r#"{"customerId":"c","endpointId":"e","url":"https://a.example/"}"#;
    let put = |expected| endpoints.put(Endpoint::from_json(json).unwrap(), Some(expected), NOW);
    for version in [0, 1] {
        emulated.emulator.lose_answer("UpdateItem");
        assert_eq!(put(version).await.unwrap(), PutResult::Put(version + 1));
        assert_eq!(put(version).await.unwrap(), PutResult::Conflict(version + 1));
    }
}

#[tokio::test]
async fn a_secret_that_was_written_is_no_conflict_with_itself_and_keeps_the_one_before() {
    let aws = Aws::start().await;
    let Some(emulated) = &aws.emulated else { return println!("needs the emulator: skipped") };
    let secrets = DynamoSecrets::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str());
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let until = NOW.plus(Duration::from_secs(60));
    for version in [1, 2, 3] {
        let (sealed, origins) = (vec![1], [].into());
        let next = SealedVersion { version, sealed, origins, created_at: NOW, facts: None };
        emulated.emulator.lose_answer("UpdateItem");
        let put = secrets.put(&customer, &secret, next.clone(), Some(until)).await.unwrap();
        assert_eq!(put, PutResult::Put(version));
        let again = secrets.put(&customer, &secret, next, Some(until)).await.unwrap();
        assert_eq!(again, PutResult::Conflict(version));
    }
    let stored = secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!(stored.in_use(NOW).map(|v| v.version).collect::<Vec<_>>(), [3, 2]);
}

#[tokio::test]
async fn after_a_delete_the_next_version_has_none_before_it() {
    let aws = Aws::start().await;
    let secrets = DynamoSecrets::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str());
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let next = |version| {
        let (sealed, origins) = (vec![1], [].into());
        SealedVersion { version, sealed, origins, created_at: NOW, facts: None }
    };
    let until = Some(NOW.plus(Duration::from_secs(60)));
    secrets.put(&customer, &secret, next(1), until).await.unwrap();
    assert!(secrets.delete(&customer, &secret).await.unwrap());
    assert_eq!(secrets.put(&customer, &secret, next(2), until).await.unwrap(), PutResult::Put(2));
    let stored = secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!(stored.in_use(NOW).map(|v| v.version).collect::<Vec<_>>(), [2]);
}
