//! Conditional writes whose answer is lost: the SDK repeats them, and they recognise themselves.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use sealpost::adapters::aws::dynamodb::{DynamoEndpoints, DynamoSecrets};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SealedVersion;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::endpoints::PutResult;
use sealpost::ports::{Endpoints, ReadSecrets, Secrets};

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

fn version(version: u64) -> SealedVersion {
    SealedVersion { version, sealed: vec![1], origins: [].into(), created_at: NOW, facts: None }
}

#[tokio::test]
async fn a_secret_that_was_written_is_no_conflict_with_itself_and_keeps_the_one_before() {
    let aws = Aws::start().await;
    let Some(emulated) = &aws.emulated else { return println!("needs the emulator: skipped") };
    let secrets = DynamoSecrets::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str());
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let until = NOW.plus(Duration::from_secs(60));
    for number in [1, 2, 3] {
        let record = secrets.record(&customer, &secret).await.unwrap();
        let change = record.make_current(version(number), Some(until));
        emulated.emulator.lose_answer("TransactWriteItems");
        let put = secrets.change(&customer, &secret, change.clone()).await.unwrap();
        assert_eq!(put, PutResult::Put(number));
        let again = secrets.change(&customer, &secret, change).await.unwrap();
        assert_eq!(again, PutResult::Conflict(number));
    }
    let stored = secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!(stored.in_use(NOW).map(|v| v.version).collect::<Vec<_>>(), [3, 2]);
}

#[tokio::test]
async fn after_a_delete_the_next_version_has_none_before_it() {
    let aws = Aws::start().await;
    let secrets = DynamoSecrets::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str());
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let until = Some(NOW.plus(Duration::from_secs(60)));
    let put = async |number| {
        let record = secrets.record(&customer, &secret).await.unwrap();
        let change = record.make_current(version(number), until);
        secrets.change(&customer, &secret, change).await.unwrap()
    };
    put(1).await;
    assert!(secrets.delete(&customer, &secret, None).await.unwrap());
    assert_eq!(put(2).await, PutResult::Put(2));
    let stored = secrets.get(&customer, &secret).await.unwrap().unwrap();
    assert_eq!(stored.in_use(NOW).map(|v| v.version).collect::<Vec<_>>(), [2]);
}

/// A row as it was written before versions had a history: its previous version was kept in the row
/// alone, and a foreign program's value beside the version that had replaced it.
#[tokio::test]
async fn rows_from_before_there_was_a_history_are_read_and_written_over() {
    let aws = Aws::start().await;
    let table = format!("{}secrets", aws.config.table_prefix);
    let secrets = DynamoSecrets::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let map = |number: &str| {
        AttributeValue::M(
            [
                ("version", AttributeValue::N(number.to_owned())),
                ("sealed", AttributeValue::B(Blob::new([1, 2]))),
                ("origins", AttributeValue::L(vec![text("https://a.example")])),
                ("createdAt", text("2026-11-01T00:00:00Z")),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        )
    };
    let put = |id: &str| {
        let put = aws.clients.dynamodb.put_item().table_name(&table);
        let put = put.item("customerId", text("c")).item("secretId", text(id));
        put.item("writer", text("w")).item("previousUntil", text("2027-12-01T00:00:00Z"))
    };
    let ours = put("ours").item("version", AttributeValue::N("2".to_owned()));
    ours.item("current", map("2")).item("previous", map("1")).send().await.unwrap();
    let bound = put("bound").item("version", AttributeValue::N("1".to_owned()));
    let bound = bound.item("current", map("1")).item("encryptedValue", text("AAEC"));
    bound.send().await.unwrap();
    let customer = "c".parse().unwrap();
    for (id, expected) in [("ours", vec![2, 1]), ("bound", vec![1, 0])] {
        let secret = id.parse().unwrap();
        let record = secrets.record(&customer, &secret).await.unwrap();
        let stored = record.secret.clone().unwrap();
        assert_eq!(stored.in_use(NOW).map(|v| v.version).collect::<Vec<_>>(), expected, "{id}");
        let next = record.last_version + 1;
        let change = record.make_current(version(next), None);
        let put = secrets.change(&customer, &secret, change).await.unwrap();
        assert_eq!(put, PutResult::Put(next), "{id}");
        let past = secrets.history(&customer, &secret).await.unwrap();
        assert_eq!(past.iter().map(|v| v.version).collect::<Vec<_>>(), expected, "{id}");
        assert!(past.iter().all(|v| v.is_unbound() == (v.version == 0)), "{id}");
    }
    assert_eq!(secrets.list(Some(&customer)).await.unwrap().len(), 2, "history is not listed");
}
