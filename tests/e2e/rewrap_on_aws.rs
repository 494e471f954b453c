//! `secret rewrap` over AWS.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kms::primitives::Blob;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::cloud::Cloud;

async fn write_row(cloud: &Cloud, customer: &str, secret: &str) {
    let plaintext = Blob::new(b"canary".as_slice());
    let sealed = cloud.clients.kms.encrypt().key_id(&cloud.key).plaintext(plaintext).send().await;
    let sealed = BASE64_STANDARD.encode(sealed.unwrap().ciphertext_blob.unwrap());
    let text = |text: &str| AttributeValue::S(text.to_owned());
    (cloud.clients.dynamodb.put_item())
        .table_name("sealpost-secrets")
        .item("customerId", text(customer))
        .item("secretId", text(secret))
        .item("encryptedValue", text(&sealed))
        .item("createdAt", text("2025-12-01T10:00:00.000Z"))
        .send()
        .await
        .unwrap();
}

/// Runs a command; its lines, and whether it succeeded.
fn run(cloud: &Cloud, arguments: &[&str]) -> (Vec<Value>, bool) {
    let output = crate::program::output(cloud.command(arguments), b"");
    let told = String::from_utf8(output.stdout).unwrap();
    let lines = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.success())
}

fn outcomes(lines: &[Value]) -> Vec<(String, String)> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let mut found: Vec<_> =
        lines.iter().map(|line| (text(line, "secretId"), text(line, "outcome"))).collect();
    found.sort();
    found
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(secret, outcome)| ((*secret).into(), (*outcome).into())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_rows_are_bound_to_what_their_endpoints_say_and_the_rest_is_named() {
    let cloud = Cloud::start().await;
    let file = cloud.program.data().join("aws.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let legacy = format!("[aws]\nlegacy_kms_key_ids = ['{}']", cloud.key);
    std::fs::write(&file, settings.replace("[aws]", &legacy)).unwrap();
    for (customer, secret) in [("c", "used"), ("c", "unused"), ("other", "s")] {
        write_row(&cloud, customer, secret).await;
    }
    cloud.ok(&["secret", "put", "c", "bound", "--origin", "https://a.example"], "canary");
    for (id, url) in [("one", "https://a.example/in"), ("two", "https://b.example/in")] {
        let endpoint = json!({"customerId": "c", "endpointId": id, "url": url,
                              "auth": [{"scheme": "bearer", "secret": "used"}]});
        cloud.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    }
    let rewrap = ["secret", "rewrap", "--customer", "c", "--json"];
    let (lines, complete) = run(&cloud, &[&rewrap[..], &["--dry-run"]].concat());
    assert_eq!(outcomes(&lines), named(&[("unused", "no_origins"), ("used", "would_rewrap")]));
    assert!(!complete, "one would be left");
    let used = lines.iter().find(|line| line["secretId"] == "used").unwrap();
    assert_eq!(used["origins"], json!(["https://a.example:443", "https://b.example:443"]));
    assert!(cloud.emulator.calls_of("KMS").get("ReEncrypt").is_none(), "a dry run changes nothing");

    // KMS fails half-way: what is done stays done, and the next run goes on.
    cloud.emulator.fail("ReEncrypt", 400, "AccessDeniedException", 1);
    let complaint = cloud.fails(&rewrap, "");
    assert!(
        complaint.contains("run it again") && complaint.contains("access denied"),
        "{complaint}"
    );
    let (lines, _) = run(&cloud, &rewrap);
    assert_eq!(outcomes(&lines), named(&[("unused", "no_origins"), ("used", "rewrapped")]));
    let one = ["--secret", "unused", "--origin", "https://c.example", "--rate", "1000"];
    let (lines, complete) = run(&cloud, &[&rewrap[..], &one].concat());
    assert_eq!((outcomes(&lines), complete), (named(&[("unused", "rewrapped")]), true));
    assert_eq!(run(&cloud, &rewrap), (Vec::new(), true), "nothing is left to do");

    let listed = cloud.ok(&["secret", "list", "--customer", "c", "--json"], "");
    assert!(listed.lines().count() == 3 && !listed.contains("unbound"), "{listed}");
    let others = cloud.ok(&["secret", "list", "--customer", "other", "--json"], "");
    assert!(others.contains("\"unbound\""), "{others}");
    let told = cloud
        .ok(&["preview", "-", "--reveal"], r#"{"customerId":"c","endpointId":"one","data":1}"#);
    assert!(told.contains("Bearer canary"), "{told}");
}
