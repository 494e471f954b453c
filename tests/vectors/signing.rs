//! What is signed is what is sent, whatever the job holds.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::NewSecret;
use serde_json::{Value, json};

const KEY: &[u8] = b"a signing key of exactly 32 byte";

async fn app(directory: &std::path::Path) -> App {
    let app = App::embedded(directory, Config::default(), Role::Command).await.unwrap();
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    let value = SecretBytes::new(BASE64_STANDARD.encode(KEY).into_bytes());
    let origins = ["https://a.example".parse().unwrap()].into();
    let new = NewSecret { customer, secret, value, origins, overlap: None };
    app.vault.put(new).await.unwrap();
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": "https://a.example/*",
                          "auth": [{"scheme": "standard_webhooks", "secret": "s"}]});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    app
}

/// A JSON value's text, with numbers that do not fit a double.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?",
        any::<String>().prop_map(|s| Value::from(s).to_string()),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|v| format!("[ {} ]", v.join(" ,"))),
            prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|pairs| {
                let pair = |(k, v): (String, String)| format!("{}: {v}", Value::from(k));
                format!("{{{}}}", pairs.into_iter().map(pair).collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// The job's body field, and the bytes that have to arrive.
fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    prop_oneof![
        json_text().prop_map(|text| (format!(r#""data":{text}"#), text.into_bytes())),
        any::<String>()
            .prop_map(|text| (format!(r#""body":{}"#, Value::from(&*text)), text.into_bytes())),
        any::<Vec<u8>>().prop_map(|bytes| {
            (format!(r#""bodyBase64":"{}""#, BASE64_STANDARD.encode(&bytes)), bytes)
        }),
    ]
}

#[test]
fn the_signature_covers_the_bytes_that_are_sent_and_those_are_the_producer_s() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let app = runtime.block_on(app(directory.path()));
    let pipeline = runtime.block_on(async { app.pipeline().unwrap() });
    let jobs = (body(), "[!-\\-/-~]{1,40}", any::<String>());
    proptest!(|(((field, bytes), id, segment) in jobs)| {
        let job = format!(
            r#"{{"id":{},"customerId":"c","endpointId":"e","pathParameters":[{}],{field}}}"#,
            Value::from(&*id), Value::from(&*segment)
        );
        let preview = runtime.block_on(pipeline.preview(job.as_bytes(), app.clock.now()));
        // A segment such as `..` is refused: it would change what the URL means.
        prop_assume!(preview.is_ok());
        let request = preview.unwrap();
        prop_assert_eq!(&request.body[..], &bytes[..]);
        prop_assert_eq!(request.url.host_str(), Some("a.example"));
        let headers: BTreeMap<&str, &[u8]> =
            request.headers.iter().map(|h| (&*h.name, h.value.expose())).collect();
        prop_assert_eq!(headers["webhook-id"], id.as_bytes());
        let signed = [headers["webhook-id"], headers["webhook-timestamp"], &request.body[..]];
        let tag = headers["webhook-signature"].strip_prefix(b"v1,").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
        let tag = BASE64_STANDARD.decode(tag).unwrap();
        prop_assert!(hmac::verify(&key, &signed.join(&b'.'), &tag).is_ok());
    });
}
