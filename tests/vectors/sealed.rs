//! The sealed format: what is written as docs/SEALED-FORMAT.md says opens, byte by byte.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::decide::Disposition;
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::delivery_record::DeliveryRecord;
use sealpost::domain::ids::SecretId;
use sealpost::domain::kept_body;
use sealpost::domain::outcome::{Attempt, AttemptOutcome};
use sealpost::domain::secret::{Binding, SealedVersion};
use sealpost::domain::secret_record::SecretRecord;
use sealpost::domain::tenant_key;
use sealpost::domain::timestamp::Timestamp;
use sealpost::vault::context_bytes;
use serde_json::{Value, json};

use crate::producers::producer;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn vectors() -> Value {
    let text = std::fs::read_to_string(fixture("sealed/vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn pairs(context: &[(&'static str, String)]) -> Value {
    context.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

/// The embedded form with the key file of the vectors.
async fn app(folder: &Path, vectors: &Value) -> App {
    let path = folder.join("sealpost.key");
    std::fs::write(&path, json!({"keys": [vectors["keyFile"]]}).to_string()).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    App::embedded(folder, Config::default(), Role::Command).await.unwrap()
}

/// Stores sealed bytes as a secret's current version.
async fn store(app: &App, customer: &Value, id: &SecretId, version: SealedVersion) {
    let customer = customer.as_str().unwrap().parse().unwrap();
    let record = app.secrets.record(&customer, id).await.unwrap();
    let change = SecretRecord { secret: None, ..record }.make_current(version, None);
    let stored = app.secrets.change(&customer, id, change).await.unwrap();
    println!("{stored:?}");
}

fn version(app: &App, case: &Value, number: &str, sealed: &str) -> SealedVersion {
    SealedVersion {
        version: case[number].as_u64().unwrap(),
        sealed: hex(&case[sealed]),
        origins: case
            .get("origins")
            .map_or([].into(), |origins| serde_json::from_value(origins.clone()).unwrap()),
        created_at: app.clock.now(),
        facts: None,
    }
}

#[tokio::test]
async fn every_sealed_vector_opens_to_its_value_and_no_longer_once_a_bit_is_flipped() {
    let (vectors, mut opened) = (vectors(), 0);
    for case in vectors["secrets"].as_array().unwrap() {
        for flip in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let app = app(folder.path(), &vectors).await;
            let key = version(&app, &vectors["tenantKey"], "generation", "stored");
            store(&app, &vectors["customerId"], &SecretId::tenant_key(), key).await;
            let id: SecretId = case["secretId"].as_str().unwrap().parse().unwrap();
            let mut stored = version(&app, case, "version", "sealed");
            *stored.sealed.last_mut().unwrap() ^= u8::from(flip);
            let origin = [stored.origins.first().unwrap().clone()];
            store(&app, &vectors["customerId"], &id, stored).await;
            let customer = vectors["customerId"].as_str().unwrap().parse().unwrap();
            let open = app.vault.open(&customer, &id).await;
            assert_eq!(open.is_err(), flip, "{}", case["id"]);
            let Ok(open) = open else { continue };
            let values = open.values_for(&origin, app.clock.now()).unwrap();
            assert_eq!(values[0].expose(), case["value"].as_str().unwrap().as_bytes());
            opened += 1;
        }
    }
    assert_eq!(opened, 6);
}

/// The header of the delivery that the vector's job is kept of.
fn delivery(case: &Value) -> DeliveryRecord {
    let text = |name: &str| case[name].as_str().unwrap();
    let key = DeliveryKey {
        customer_id: text("customerId").parse().unwrap(),
        endpoint_id: text("endpointId").parse().unwrap(),
        job_id: text("jobId").parse().unwrap(),
        round: u32::try_from(case["round"].as_u64().unwrap()).unwrap(),
        message_id: text("messageId").to_owned(),
    };
    let outcome =
        AttemptOutcome::Answered { status: 204, retry_after_ms: None, never_again: false };
    let (at, detail) = (Timestamp::from_millis(0), String::new());
    let attempt = Attempt { number: 1, at, duration_ms: 1, address: None, outcome, detail };
    DeliveryRecord::after(&key, None, at, &attempt, Disposition::Done)
}

#[tokio::test]
async fn the_vector_of_a_kept_job_opens_as_that_of_its_delivery_and_of_no_other_round() {
    let (vectors, folder) = (vectors(), tempfile::tempdir().unwrap());
    let app = app(folder.path(), &vectors).await;
    let key = version(&app, &vectors["tenantKey"], "generation", "stored");
    store(&app, &vectors["customerId"], &SecretId::tenant_key(), key).await;
    let case = &vectors["keptJob"];
    let record = delivery(case);
    assert_eq!(record.id, case["deliveryId"].as_str().unwrap());
    let context = kept_body::context(&record);
    assert_eq!(pairs(&context), case["context"]);
    assert_eq!(context_bytes(&context), hex(&case["contextBytes"]));
    let sealed = hex(&case["sealed"]);
    let opened = app.vault.opener.open_body(&record, &sealed).await;
    let opened = opened.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(opened.expose_str(), case["job"].as_str());
    let mut next = case.clone();
    next["round"] = json!(2);
    assert!(app.vault.opener.open_body(&delivery(&next), &sealed).await.is_err());
}

#[test]
fn the_contexts_of_the_vectors_are_those_that_values_are_bound_to() {
    let vectors = vectors();
    let customer_id: sealpost::domain::ids::CustomerId =
        vectors["customerId"].as_str().unwrap().parse().unwrap();
    for case in vectors["secrets"].as_array().unwrap() {
        let context = Binding {
            customer_id: customer_id.clone(),
            secret_id: case["secretId"].as_str().unwrap().parse().unwrap(),
            version: case["version"].as_u64().unwrap(),
            origins: serde_json::from_value(case["origins"].clone()).unwrap(),
        }
        .context();
        assert_eq!(pairs(&context), case["context"]);
        assert_eq!(context_bytes(&context), hex(&case["contextBytes"]));
    }
    let key = &vectors["tenantKey"];
    let public = hex(&key["publicKey"]).try_into().unwrap();
    let context = tenant_key::context(&customer_id, 3, &public);
    assert_eq!(pairs(&context), key["context"]);
    assert_eq!(context_bytes(&context), hex(&key["contextBytes"]));
}

#[test]
fn the_vectors_are_what_the_writer_in_typescript_makes() {
    let made = producer("node", "writers/vectors.js").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(String::from_utf8(made.stdout).unwrap(), {
        std::fs::read_to_string(fixture("sealed/vectors.json")).unwrap()
    });
}

/// Each is a table whose second column, read downwards, is the sealed value.
#[test]
fn the_vectors_that_the_document_takes_apart_are_whole() {
    let document = std::fs::read_to_string(fixture("../docs/SEALED-FORMAT.md")).unwrap();
    let mut shown = Vec::new();
    for rest in document.split("\nVector `").skip(1) {
        let (id, rest) = rest.split_once('`').unwrap();
        let table = rest.split("\n\n").nth(1).unwrap();
        let cells = table.lines().skip(2).map(|row| row.split('`').nth(1).unwrap());
        let vectors = vectors();
        let secrets = vectors["secrets"].as_array().unwrap().iter();
        let case = secrets.chain([&vectors["keptJob"]]).find(|case| case["id"] == id).unwrap();
        assert_eq!(cells.collect::<String>(), case["sealed"].as_str().unwrap(), "{id}");
        shown.push(id);
    }
    assert_eq!(shown, ["envelope", "direct", "tenant-key", "kept-job"]);
    let key_file = vectors()["keyFile"].clone();
    assert!(["id", "key"].iter().all(|name| document.contains(key_file[name].as_str().unwrap())));
}
