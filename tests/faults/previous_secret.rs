//! Rotations that a receiver has not made yet.

use std::time::Duration;

use sealpost::vault::NewSecret;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::bench::{Bench, enqueue, loopback, put, put_secret, secret};
use crate::token_server::target;
use crate::web::Web;

const OVERLAP: Duration = Duration::from_secs(3600);

/// A receiver that knows the old value alone.
async fn old_receiver(known: &'static str) -> Web {
    Web::start(move |request| {
        let status = if request.contains(known) { "204 No Content" } else { "401 Unauthorized" };
        (status.to_owned(), String::new())
    })
    .await
}

async fn bench(web: &Web, step: &Value, settings: Value, overlap: Duration) -> Bench {
    let bench = Bench::open(loopback()).await;
    let mut endpoint = json!({"customerId": "c", "endpointId": "e", "url": web.origin,
                              "auth": [step]});
    endpoint.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    put(&bench.app, endpoint).await;
    put_secret(&bench.app, "old", &[&web.origin]).await;
    let new = NewSecret { overlap: Some(overlap), ..secret("new", &[&web.origin]) };
    bench.app.vault.put(new).await.unwrap();
    bench
}

fn falls_back() -> Value {
    json!({"previousSecretOn401": true})
}

#[tokio::test]
async fn a_401_is_answered_with_the_previous_credential_in_the_same_attempt() {
    let steps = [
        (json!({"scheme": "bearer", "secret": "s"}), "authorization: Bearer old\r"),
        (
            json!({"scheme": "basic", "username": "u", "secret": "s"}),
            "authorization: Basic dTpvbGQ=\r",
        ),
        (
            json!({"scheme": "api_key", "in": "header", "name": "X-Key", "secret": "s"}),
            "x-key: old\r",
        ),
        (json!({"scheme": "api_key", "in": "query", "name": "key", "secret": "s"}), "?key=old "),
    ];
    for (step, known) in steps {
        let web = old_receiver(known).await;
        let bench = bench(&web, &step, falls_back(), OVERLAP).await;
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        let counts = bench.app.tally.counts();
        assert_eq!((counts.delivered, counts.retried, web.count()), (1, 0, 2), "{step}");
        assert!(!web.all()[0].contains(known), "the current one first: {step}");
    }
}

#[tokio::test]
async fn without_the_endpoint_s_word_or_after_the_overlap_a_401_stands() {
    let step = json!({"scheme": "bearer", "secret": "s"});
    for (settings, overlap) in [(json!({}), OVERLAP), (falls_back(), Duration::from_millis(1))] {
        let web = old_receiver("Bearer old").await;
        let bench = bench(&web, &step, settings, overlap).await;
        bench.clock.advance(Duration::from_secs(1));
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        let counts = bench.app.tally.counts();
        assert_eq!((counts.delivered, counts.retried, web.count()), (0, 1, 1));
    }
}

#[tokio::test]
async fn a_403_is_no_reason_to_send_the_previous_credential() {
    let web = Web::start(|_| ("403 Forbidden".to_owned(), String::new())).await;
    let step = json!({"scheme": "bearer", "secret": "s"});
    let bench = bench(&web, &step, falls_back(), OVERLAP).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(web.count(), 1);
}

#[tokio::test]
async fn a_value_that_is_newer_than_the_refused_one_comes_before_an_older_one() {
    let web = old_receiver("Bearer newest").await;
    let step = json!({"scheme": "bearer", "secret": "s"});
    let bench = bench(&web, &step, falls_back(), OVERLAP).await;
    bench.app.vault.open(&"c".parse().unwrap(), &"s".parse().unwrap()).await.ok().unwrap();
    let elsewhere = bench.elsewhere().await;
    let newest = NewSecret { overlap: Some(OVERLAP), ..secret("newest", &[&web.origin]) };
    elsewhere.vault.put(newest).await.unwrap();
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    let sent = web.all();
    assert!(sent.len() == 2 && sent[0].contains("Bearer new\r"), "{sent:?}");
    assert!(sent[1].contains("Bearer newest\r"), "{sent:?}");
}

#[tokio::test]
async fn a_token_server_that_knows_the_previous_client_secret_alone_is_asked_with_that() {
    let target = target("").await;
    let tokens = Web::start(|request| {
        // `me:old` and `me:new`.
        if request.contains("Basic bWU6b2xk") {
            let body = r#"{"access_token":"token-1","token_type":"Bearer","expires_in":3600}"#;
            ("200 OK".to_owned(), body.to_owned())
        } else {
            ("401 Unauthorized".to_owned(), r#"{"error":"invalid_client"}"#.to_owned())
        }
    })
    .await;
    let bench = Bench::open(loopback()).await;
    let step = json!({"scheme": "oauth2_client_credentials", "client_id": "me", "secret": "s",
                      "token_url": format!("{}/token", tokens.origin)});
    put(
        &bench.app,
        json!({"customerId": "c", "endpointId": "e", "url": target.origin,
                           "auth": [step], "previousSecretOn401": true}),
    )
    .await;
    let origins = [target.origin.as_str(), tokens.origin.as_str()];
    put_secret(&bench.app, "old", &origins).await;
    let new = NewSecret { overlap: Some(OVERLAP), ..secret("new", &origins) };
    bench.app.vault.put(new).await.unwrap();
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!((bench.app.tally.counts().delivered, tokens.count()), (1, 2));
    assert_eq!(bench.health().await, sealpost::domain::endpoint::Health::Active);
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!((bench.app.tally.counts().delivered, tokens.count()), (2, 2), "both are remembered");
}

/// What a Digest answer has to be for the password `old` (RFC 7616 section 3.4.1).
fn expected(request: &str) -> Option<(String, String)> {
    let hash = |text: String| -> String {
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let (_, rest) = request.split_once("authorization: Digest ")?;
    let line = rest.split("\r\n").next()?;
    let member = |name: &str| {
        let (_, value) = line.split_once(&format!("{name}="))?;
        Some(value.split([',', '\r']).next()?.trim_matches('"').to_owned())
    };
    let (one, two) = (hash("u:r:old".to_owned()), hash("POST:/".to_owned()));
    let (nc, cnonce) = (member("nc")?, member("cnonce")?);
    let response = hash(format!("{one}:n1:{nc}:{cnonce}:auth:{two}"));
    Some((response, member(" response").or_else(|| member("response"))?))
}

#[tokio::test]
async fn a_digest_of_the_previous_password_answers_the_same_challenge_with_a_count_of_its_own() {
    let web = Web::start(|request| {
        if expected(request).is_some_and(|(right, given)| right == given) {
            return ("204 No Content".to_owned(), String::new());
        }
        let ask = "Digest realm=\"r\", qop=\"auth\", algorithm=SHA-256, nonce=\"n1\"";
        (format!("401 Unauthorized\r\nwww-authenticate: {ask}"), String::new())
    })
    .await;
    let step = json!({"scheme": "digest", "username": "u", "secret": "s"});
    let bench = bench(&web, &step, falls_back(), OVERLAP).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    let (counts, calls) = (bench.app.tally.counts(), web.all());
    assert_eq!((counts.delivered, counts.retried, calls.len()), (1, 0, 3), "{calls:?}");
    assert!(calls[1].contains("nc=00000001") && calls[2].contains("nc=00000002"), "{calls:?}");
}
