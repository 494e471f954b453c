//! What endpoints ask of their connections: how long they may take to make, and how old their TLS may be.

use std::time::Duration;

use sealpost::domain::connection::{CONNECT_TIMEOUT, Connection, TlsVersion};
use sealpost::domain::outcome::Phase;
use sealpost::egress::client::{Client, Reply};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::dns_server;
use crate::server::{self, Then, black_hole, client, no_resolver, request, resolver};
use crate::tls_server::{Authority, Flaw, HOST, listen};

async fn send(client: &Client, url: &str, connection: Connection) -> Reply {
    let mut request = request(url);
    request.connection = connection;
    let deadline = Instant::now() + Duration::from_secs(20);
    client.send(&request, deadline, &CancellationToken::new()).await.unwrap()
}

fn within(millis: u64) -> Connection {
    Connection { connect_timeout: Duration::from_millis(millis), ..Connection::default() }
}

const TLS13: Connection =
    Connection { connect_timeout: Duration::from_secs(10), min_tls: TlsVersion::V1_3 };

#[tokio::test]
async fn no_call_is_made_over_older_tls_than_the_endpoint_asks_for() {
    let (authority, dns) = (Authority::new(), dns_server::answering(["127.0.0.1"]).await);
    for (flaw, takes_tls13) in [(Flaw::OnlyTls12, false), (Flaw::Nothing, true)] {
        let (address, seen) = listen(&authority, flaw).await;
        let client = client("127.0.0.1/32", resolver(dns), Some(authority.roots()));
        let url = format!("https://{HOST}:{}/", address.port());
        // A connection for less is there already, and does not serve.
        let usual = send(&client, &url, Connection::default()).await;
        assert_eq!(usual.result.unwrap().status, 204);
        let reply = send(&client, &url, TLS13).await;
        assert_eq!(seen.connections(), 2);
        match reply.result {
            Ok(answer) => assert!(takes_tls13 && answer.status == 204),
            Err(failure) => assert!(!takes_tls13 && failure.phase == Phase::Tls, "{failure:?}"),
        }
    }
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_given_up_after_the_endpoint_s_connect_timeout() {
    let (address, _held) = black_hole().await;
    let client = client("127.0.0.1/32", no_resolver(), None);
    let reply = send(&client, &format!("http://{address}/"), within(50)).await;
    assert_eq!(reply.result.unwrap_err().phase, Phase::ConnectTimeout);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up_after_the_endpoint_s_connect_timeout() {
    let (address, _seen) = server::listen(Then::Hang).await;
    let client = client("127.0.0.1/32", no_resolver(), None);
    let begun = Instant::now();
    let reply = send(&client, &format!("https://{address}/"), within(50)).await;
    assert_eq!(reply.result.unwrap_err().phase, Phase::TlsTimeout);
    assert!(begun.elapsed() < CONNECT_TIMEOUT, "the endpoint's own time counts");
}
