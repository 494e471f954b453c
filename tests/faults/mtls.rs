//! Client certificates: a connection serves the identity that opened it, and no other.

use std::time::Duration;

use sealpost::auth::{Call, Chain};
use sealpost::config::Config;
use sealpost::domain::outcome::Phase;
use sealpost::domain::reason::Reason;
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::secret::SecretBytes;
use sealpost::domain::timestamp::Timestamp;
use sealpost::egress::client::{Client, Reply};
use sealpost::registration;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put, put_secret, secret};
use crate::server::{Then, client, listen, no_resolver, request};
use crate::tls_server::{Authority, listen_for_clients};

/// A request of a customer with a certificate.
pub fn request_as(
    url: &str,
    customer: &str,
    certificate: &str,
    settings: Value,
) -> OutboundRequest {
    let mut step = json!({"scheme": "mtls", "secret": "s"});
    step.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let steps = [serde_json::from_value(step).unwrap()];
    let chain = Chain::compile(&steps, std::iter::empty()).unwrap();
    let value = SecretBytes::new(certificate.as_bytes().to_vec());
    let call = Call {
        customer_id: &customer.parse().unwrap(),
        endpoint_id: &"e".parse().unwrap(),
        job_id: &"j".parse().unwrap(),
        job_type: None,
        now: Timestamp::from_millis(0),
        nonce: &|| String::new(),
        secrets: &[("s".parse().unwrap(), vec![value])].into(),
        grant: None,
    };
    let mut request = request(url);
    chain.apply(&mut request, &call, &[None]).unwrap();
    request
}

async fn send(client: &Client, request: &OutboundRequest) -> Reply {
    let deadline = Instant::now() + Duration::from_secs(5);
    client.send(request, deadline, &CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn a_connection_serves_one_customer_s_certificate_and_no_other_call() {
    let authority = Authority::new();
    let (address, seen) = listen_for_clients(&authority, &authority).await;
    let url = format!("https://{address}/");
    let client = client("127.0.0.1/32", no_resolver(), Some(authority.roots()));
    let (one, two) = (authority.client("one"), authority.client("two"));
    for _ in 0..2 {
        for (customer, certificate) in [("a", &one), ("b", &two), ("c", &one)] {
            let reply = send(&client, &request_as(&url, customer, certificate, json!({}))).await;
            assert_eq!(reply.result.unwrap().status, 204);
        }
    }
    let seen = seen.lock().unwrap().clone();
    let subjects: Vec<&str> = seen.iter().map(|(_, subject)| subject.as_str()).collect();
    assert_eq!(subjects, ["CN=one", "CN=two", "CN=one", "CN=one", "CN=two", "CN=one"]);
    let connections: Vec<usize> = seen.iter().map(|(connection, _)| *connection).collect();
    assert_eq!(connections, [1, 2, 3, 1, 2, 3], "each customer's own, and used again");
    let reply = send(&client, &request(&url)).await;
    assert_eq!(
        reply.result.unwrap_err().phase,
        Phase::Tls,
        "none is borrowed without a certificate"
    );
}

#[tokio::test]
async fn a_server_that_refuses_the_certificate_has_not_processed_the_request() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (address, seen) = listen_for_clients(&authority, &authority).await;
    let client = client("127.0.0.1/32", no_resolver(), Some(authority.roots()));
    let url = format!("https://{address}/");
    for _ in 0..20 {
        let request = request_as(&url, "a", &other.client("stranger"), json!({}));
        let failure = send(&client, &request).await.result.unwrap_err();
        assert_eq!(failure.phase, Phase::Tls, "{}", failure.detail);
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn authorities_of_the_step_stand_in_place_of_the_machine_s() {
    let (private, public) = (Authority::new(), Authority::new());
    let client = client("127.0.0.1/32", no_resolver(), Some(public.roots()));
    let certificate = private.client("one");
    let trusting = json!({"authorities": private.pem()});
    let (address, _) = listen_for_clients(&private, &private).await;
    let url = format!("https://{address}/");
    let request = request_as(&url, "a", &certificate, trusting.clone());
    assert_eq!(send(&client, &request).await.result.unwrap().status, 204);
    let request = request_as(&url, "a", &certificate, json!({}));
    assert_eq!(send(&client, &request).await.result.unwrap_err().phase, Phase::Tls);
    let (address, _) = listen_for_clients(&public, &private).await;
    let request = request_as(&format!("https://{address}/"), "a", &certificate, trusting);
    assert_eq!(send(&client, &request).await.result.unwrap_err().phase, Phase::Tls);
}

#[tokio::test]
async fn without_tls_nothing_is_sent_that_should_show_a_certificate() {
    let (address, seen) = listen(Then::Hang).await;
    let bench = Bench::open(loopback()).await;
    let origin = format!("http://{address}");
    let auth = json!([{"scheme": "mtls", "secret": "s"}]);
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": origin, "auth": auth}))
        .await;
    put_secret(&bench.app, &Authority::new().client("acme"), &[&origin]).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(bench.dead_letters().await[0].reason, Reason::AuthFailed);
    assert_eq!(seen.connections(), 0);
}

#[tokio::test]
async fn a_certificate_that_lost_its_line_breaks_is_refused_without_its_key() {
    let pem = Authority::new().client("acme");
    let cut = pem.find("-----END").unwrap();
    let broken = [
        pem.replace('\n', " "),
        pem.replace('\n', ""),
        pem.replacen("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE---", 1),
        pem[..cut].to_owned() + &pem[cut + 30..],
        pem.replace("PRIVATE KEY", "PRIVATE"),
    ];
    let key = pem.split("PRIVATE KEY-----\n").nth(1).unwrap();
    for value in broken {
        let step = json!([{"scheme": "mtls", "secret": "s"}]);
        let steps: Vec<_> = serde_json::from_value(step).unwrap();
        let chain = Chain::compile(&steps, std::iter::empty()).unwrap();
        let bytes = SecretBytes::new(value.into_bytes());
        let refused = chain.check_secret(&"s".parse().unwrap(), &bytes).unwrap_err().to_string();
        let in_decimal = format!("{:?}", &key.as_bytes()[..8]);
        assert!(!refused.contains(&key[..8]), "{refused}");
        assert!(!refused.contains(in_decimal.trim_matches(['[', ']'])), "{refused}");
        assert!(refused.len() < 300, "{refused}");
    }
}

#[tokio::test]
async fn a_delivery_shows_its_certificate_and_a_wrong_one_is_refused_when_it_is_put() {
    let authority = Authority::new();
    let (address, seen) = listen_for_clients(&authority, &authority).await;
    let origin = format!("https://{address}");
    let mut config: Config = loopback();
    config.egress.extra_roots = Some(authority.roots().to_owned());
    let bench = Bench::open(config).await;
    let auth = json!([{"scheme": "mtls", "secret": "s"}]);
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": origin, "auth": auth}))
        .await;
    let wrong = secret("no certificate", &[&origin]);
    let refused = registration::put_secret(&bench.app, wrong).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("endpoint e.auth[0]: secret s: there is no certificate"),
        "{refused}"
    );
    // Over 4 KB, the most that KMS seals by itself.
    let chain = authority.client("acme") + &"\n".repeat(5000);
    put_secret(&bench.app, &chain, &[&origin]).await;
    enqueue(&bench.app, 2).await;
    bench.deliver_due().await;
    assert_eq!(bench.app.tally.counts().delivered, 2);
    assert_eq!(seen.lock().unwrap()[0].1, "CN=acme");
    let stored = bench.app.secrets.get(&"c".parse().unwrap(), &"s".parse().unwrap()).await;
    let facts = stored.unwrap().unwrap().current.facts.unwrap();
    assert_eq!(facts.certificate_subject.as_deref(), Some("CN=acme"));
    assert!(facts.not_after.unwrap() > bench.app.clock.now());
}
