//! What an endpoint's settings say of its connections holds for each of its calls.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::version::{TLS12, TLS13};
use sealpost::domain::connection::{Connection, TlsVersion};
use sealpost::domain::outcome::{AttemptOutcome, Phase};
use sealpost::domain::request::OutboundRequest;
use sealpost::egress::client::{Client, Reply};
use sealpost::egress::resolver::Resolver;
use sealpost::ports::Result;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::dns_server::{self, Answer};
use crate::mtls::request_as;
use crate::server::{Then, black_hole, client, listen, no_resolver, request, resolver};
use crate::tls_server::{Authority, HOST, listen_as};

/// Long enough that only the time for the connection can end a call in this file.
const LONG: Duration = Duration::from_secs(60);

fn over(url: &str, connection: Connection) -> OutboundRequest {
    OutboundRequest { connection, ..request(url) }
}

async fn send(client: &Client, request: &OutboundRequest, timeout: Duration) -> Result<Reply> {
    client.send(request, Instant::now() + timeout, &CancellationToken::new()).await
}

fn within(connect_timeout: Duration) -> Connection {
    Connection { connect_timeout, ..Connection::default() }
}

#[tokio::test]
async fn a_connection_that_takes_longer_than_its_own_time_ends_the_call_and_names_the_phase() {
    let (hole, _held) = black_hole().await;
    let (silent, _) = listen(Then::Hang).await;
    let client = client("127.0.0.1/32", no_resolver(), None);
    let short = within(Duration::from_millis(200));
    let cases = [
        (format!("http://{hole}/"), Phase::ConnectTimeout),
        (format!("https://{silent}/"), Phase::TlsTimeout),
    ];
    for (url, phase) in cases {
        let started = Instant::now();
        let reply = send(&client, &over(&url, short), LONG).await.unwrap();
        assert_eq!(reply.result.unwrap_err().phase, phase);
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn the_time_for_the_connection_does_not_count_once_there_is_one() {
    let (silent, _) = listen(Then::Hang).await;
    let client = client("127.0.0.1/32", no_resolver(), None);
    let (short, timeout) = (within(Duration::from_millis(100)), Duration::from_millis(500));
    let started = Instant::now();
    let reply = send(&client, &over(&format!("http://{silent}/"), short), timeout).await.unwrap();
    assert_eq!(reply.result.unwrap_err().phase, Phase::ResponseTimeout);
    assert!(started.elapsed() >= timeout);
}

#[tokio::test]
async fn a_name_that_is_not_looked_up_within_the_time_for_the_connection_is_our_fault() {
    let (nameserver, _) = dns_server::serve(vec![Answer::Silence]).await;
    let client = client("127.0.0.1/32", resolver(nameserver), None);
    let request = over("http://h.test.example/", within(Duration::from_millis(200)));
    let error = send(&client, &request, LONG).await.unwrap_err();
    assert_eq!(error.operation, "resolver.lookup");
}

/// Finds loopback, after a while.
struct Slow(Duration);

#[async_trait]
impl Resolver for Slow {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>> {
        tokio::time::sleep(self.0).await;
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

#[tokio::test]
async fn lookup_connection_and_handshake_share_one_time() {
    let (silent, _) = listen(Then::Hang).await;
    let slow = Arc::new(Slow(Duration::from_millis(700)));
    let client = client("127.0.0.1/32", slow, None);
    let url = format!("https://h.test.example:{}/", silent.port());
    let started = Instant::now();
    let reply = send(&client, &over(&url, within(Duration::from_secs(1))), LONG).await.unwrap();
    assert_eq!(reply.result.unwrap_err().phase, Phase::TlsTimeout);
    // Each with a time of its own would take 1.7 seconds.
    assert!(started.elapsed() < Duration::from_millis(1600));
}

fn from(min_tls: TlsVersion) -> Connection {
    Connection { min_tls, ..Connection::default() }
}

async fn named(authority: &Authority) -> Client {
    let dns = dns_server::answering(["127.0.0.1"]).await;
    client("127.0.0.1/32", resolver(dns), Some(authority.roots()))
}

fn https(address: SocketAddr) -> String {
    format!("https://{HOST}:{}/", address.port())
}

#[tokio::test]
async fn a_server_that_speaks_too_old_a_tls_gets_nothing_of_the_request() {
    let authority = Authority::new();
    let client = named(&authority).await;
    for (version, oldest, works) in [
        (&TLS12, TlsVersion::V1_2, true),
        (&TLS13, TlsVersion::V1_2, true),
        (&TLS12, TlsVersion::V1_3, false),
        (&TLS13, TlsVersion::V1_3, true),
    ] {
        let (address, seen) = listen_as(authority.server(version, &[])).await;
        let reply = send(&client, &over(&https(address), from(oldest)), LONG).await.unwrap();
        match reply.result {
            Ok(answer) => assert!(works && answer.status == 204, "{version:?} {oldest:?}"),
            Err(failure) => assert!(!works && failure.phase == Phase::Tls, "{}", failure.detail),
        }
        assert_eq!(seen.text().contains("POST /"), works);
    }
}

#[tokio::test]
async fn a_connection_over_an_older_tls_serves_no_call_that_asks_for_a_newer_one() {
    let authority = Authority::new();
    let (address, seen) = listen_as(authority.server(&TLS12, &[])).await;
    let (client, url) = (named(&authority).await, https(address));
    let identified = request_as(&url, "a", &authority.client("one"), json!({}));
    for (made, request) in [(1, request(&url)), (2, identified)] {
        let from = |min_tls| OutboundRequest { connection: from(min_tls), ..request.clone() };
        for _ in 0..2 {
            let reply = send(&client, &from(TlsVersion::V1_2), LONG).await.unwrap();
            assert_eq!(reply.result.unwrap().status, 204);
        }
        assert_eq!(seen.connections(), 2 * made - 1, "the connection is there to be used again");
        let reply = send(&client, &from(TlsVersion::V1_3), LONG).await.unwrap();
        assert_eq!(reply.result.unwrap_err().phase, Phase::Tls);
        assert_eq!(seen.connections(), 2 * made);
    }
}

#[tokio::test]
async fn a_delivery_keeps_to_its_endpoint_s_settings() {
    let authority = Authority::new();
    let (address, seen) = listen_as(authority.server(&TLS12, &[])).await;
    let (hole, _held) = black_hole().await;
    let mut config = loopback();
    config.egress.nameservers = vec![dns_server::answering(["127.0.0.1"]).await];
    config.egress.extra_roots = Some(authority.roots().to_owned());
    let bench = Bench::open(config).await;
    let newer = json!({"url": https(address), "tls": {"minVersion": "1.3"}});
    let brief = json!({"url": format!("http://{hole}/"), "connectTimeout": "200ms"});
    // Its first call brings the server's challenge.
    let digest = json!([{"scheme": "digest", "username": "u", "secret": "s"}]);
    let asking = json!({"url": https(address), "tls": {"minVersion": "1.3"}, "auth": digest});
    put_secret(&bench.app, "password", &[&https(address)]).await;
    let cases = [(newer, Phase::Tls), (brief, Phase::ConnectTimeout), (asking, Phase::Tls)];
    for (settings, phase) in cases {
        let mut endpoint =
            json!({"customerId": "c", "endpointId": "e", "retry": {"maxAttempts": 1}});
        endpoint.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        put(&bench.app, endpoint).await;
        enqueue(&bench.app, 1).await;
        let started = Instant::now();
        bench.deliver_due().await;
        assert!(started.elapsed() < Duration::from_secs(5));
        let dead = bench.dead_letters().await;
        let outcomes: Vec<_> = dead.iter().map(|dead| &dead.history[0].outcome).collect();
        assert!(outcomes.contains(&&AttemptOutcome::Failed { phase }), "{outcomes:?}");
        bench.pipeline.endpoints.forget(&"c".parse().unwrap(), &"e".parse().unwrap()).await;
        bench.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(seen.text(), "");
}
