//! HTTP/2: many calls on one connection, and still each knows what became of it.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use http::{Response, StatusCode};
use rustls::version::TLS13;
use sealpost::domain::connection::{Connection, HttpVersion};
use sealpost::domain::outcome::Phase;
use sealpost::domain::request::{HeaderValue, OutboundRequest};
use sealpost::egress::client::{Client, Reply};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::dns_server;
use crate::h2_server::{self, End, Script, after, goaway, settings, status};
use crate::mtls::request_as;
use crate::server::{Seen, client, request, resolver};
use crate::tls_server::{Authority, HOST, listen_as};

const LONG: Duration = Duration::from_secs(60);
const HTTP2: Connection = Connection {
    connect_timeout: Duration::from_secs(10),
    min_tls: sealpost::domain::connection::TlsVersion::V1_2,
    http: HttpVersion::V2,
};

fn over_http2(request: OutboundRequest) -> OutboundRequest {
    OutboundRequest { connection: HTTP2, ..request }
}

async fn send(client: &Client, request: &OutboundRequest, timeout: Duration) -> Reply {
    client.send(request, Instant::now() + timeout, &CancellationToken::new()).await.unwrap()
}

async fn phase_of(client: &Client, url: &str, timeout: Duration) -> Phase {
    let reply = send(client, &over_http2(request(url)), timeout).await;
    reply.result.unwrap_err().phase
}

async fn named(authority: &Authority) -> Client {
    let dns = dns_server::answering(["127.0.0.1"]).await;
    client("127.0.0.1/32", resolver(dns), Some(authority.roots()))
}

fn https(address: SocketAddr) -> String {
    format!("https://{HOST}:{}/", address.port())
}

async fn hostile(authority: &Authority, script: Script) -> (String, Arc<Seen>) {
    let (address, seen) = h2_server::listen(authority.server(&TLS13, &["h2"]), script).await;
    (https(address), seen)
}

/// What a server has seen: on which connection, and the request.
type Requests = Arc<Mutex<Vec<(usize, http::Request<()>, Bytes)>>>;

/// A sound server that answers 204 to everything, all that came at once together.
async fn sound(acceptor: TlsAcceptor) -> (SocketAddr, Requests) {
    sound_with_streams(acceptor, 100).await
}

/// The same, with at most so many requests at once on one connection.
async fn sound_with_streams(acceptor: TlsAcceptor, streams: u32) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, requests) = (listener.local_addr().unwrap(), Requests::default());
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        for connection in 1.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let mut builder = h2::server::Builder::new();
                let server =
                    builder.max_concurrent_streams(streams).handshake::<_, Bytes>(stream).await;
                let Ok(mut server) = server else { return };
                while let Some(Ok((request, mut respond))) = server.accept().await {
                    let seen = Arc::clone(&seen);
                    tokio::spawn(async move {
                        let (head, mut stream) = request.into_parts();
                        let mut body = Vec::new();
                        while let Some(Ok(piece)) = stream.data().await {
                            let _ = stream.flow_control().release_capacity(piece.len());
                            body.extend_from_slice(&piece);
                        }
                        let request = http::Request::from_parts(head, ());
                        seen.lock().unwrap().push((connection, request, body.into()));
                        let answer = Response::builder().status(StatusCode::NO_CONTENT);
                        respond.send_response(answer.body(()).unwrap(), true).unwrap();
                    });
                }
            });
        }
    });
    (address, requests)
}

#[tokio::test]
async fn a_request_says_over_http_2_what_it_says_over_http_1() {
    let authority = Authority::new();
    let (address, requests) = sound(authority.server(&TLS13, &["h2", "http/1.1"])).await;
    let client = named(&authority).await;
    let mut request = over_http2(request(&format!("{}a/b?c=d", https(address))));
    request.body = vec![b'x'; 300_000].into();
    request.set_header("x-shop", HeaderValue::Plain("7".to_owned()));
    assert_eq!(send(&client, &request, LONG).await.result.unwrap().status, 204);
    let (_, got, body) = requests.lock().unwrap().remove(0);
    assert_eq!(got.method(), "POST");
    assert_eq!(got.uri().to_string(), format!("{}a/b?c=d", https(address)), "the authority, too");
    assert_eq!(body, request.body);
    let mut headers: Vec<_> = got.headers().iter().map(|(n, v)| format!("{n}: {v:?}")).collect();
    headers.sort();
    assert_eq!(headers, ["content-length: \"300000\"", "x-shop: \"7\""], "no host, no connection");
}

#[tokio::test]
async fn calls_share_a_connection_and_neither_version_of_http_borrows_the_other_s() {
    let authority = Authority::new();
    let (address, requests) = sound(authority.server(&TLS13, &["h2", "http/1.1"])).await;
    let (client, call) = (named(&authority).await, over_http2(request(&https(address))));
    assert_eq!(send(&client, &call, LONG).await.result.unwrap().status, 204);
    let replies = join_all((0..50).map(|_| send(&client, &call, LONG))).await;
    assert!(replies.into_iter().all(|reply| reply.result.unwrap().status == 204));
    let connections: Vec<usize> = requests.lock().unwrap().iter().map(|(c, ..)| *c).collect();
    assert_eq!(connections, [1; 51]);
    // Where the endpoint does not ask for HTTP/2, it is not even offered.
    let (address, seen) = listen_as(authority.server(&TLS13, &["h2", "http/1.1"])).await;
    assert_eq!(send(&client, &request(&https(address)), LONG).await.result.unwrap().status, 204);
    assert!(seen.text().starts_with("POST / HTTP/1.1\r\n"), "{}", seen.text());
}

#[tokio::test]
async fn a_server_that_takes_one_call_at_a_time_gets_them_all_one_after_another() {
    let authority = Authority::new();
    let (address, requests) = sound_with_streams(authority.server(&TLS13, &["h2"]), 1).await;
    let (client, call) = (named(&authority).await, over_http2(request(&https(address))));
    // From its first answer on the limit is known; before, what is over it is refused unprocessed.
    assert_eq!(send(&client, &call, LONG).await.result.unwrap().status, 204);
    let replies = join_all((0..20).map(|_| send(&client, &call, LONG))).await;
    assert!(replies.into_iter().all(|reply| reply.result.unwrap().status == 204));
    assert_eq!(requests.lock().unwrap().len(), 21);
}

#[tokio::test]
async fn a_server_has_no_more_of_a_body_on_the_way_than_is_read_of_it() {
    let authority = Authority::new();
    let acceptor = authority.server(&TLS13, &["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let window = tokio::spawn(async move {
        let stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut server = h2::server::handshake(stream).await.unwrap();
        let (_request, mut respond) = server.accept().await.unwrap().unwrap();
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        body.reserve_capacity(16 << 20);
        let window = std::future::poll_fn(|cx| body.poll_capacity(cx)).await.unwrap().unwrap();
        body.send_data(Bytes::new(), true).unwrap();
        std::future::poll_fn(|cx| server.poll_closed(cx)).await.unwrap();
        window
    });
    let client = named(&authority).await;
    let reply = send(&client, &over_http2(request(&https(address))), LONG).await;
    assert_eq!(reply.result.unwrap().status, 200);
    drop(client);
    assert_eq!(window.await.unwrap(), 64 * 1024);
}

#[tokio::test]
async fn a_server_without_http_2_gets_nothing_and_the_failure_says_why() {
    let authority = Authority::new();
    let client = named(&authority).await;
    for protocols in [&["http/1.1"][..], &[]] {
        let (address, seen) = listen_as(authority.server(&TLS13, protocols)).await;
        let reply = send(&client, &over_http2(request(&https(address))), LONG).await;
        let failure = reply.result.unwrap_err();
        assert_eq!(failure.phase, Phase::Tls);
        assert!(failure.detail.contains("does not speak HTTP/2"), "{}", failure.detail);
        assert_eq!(seen.text(), "");
    }
}

#[tokio::test]
async fn a_goodbye_ends_the_calls_that_it_leaves_out_and_no_other() {
    let authority = Authority::new();
    let farewell = [goaway(1, ""), status(1, "204", true)].concat();
    let script = Script { requests: 2, ..after(farewell, End::Hang) };
    let (url, seen) = hostile(&authority, script).await;
    let (client, call) = (named(&authority).await, over_http2(request(&url)));
    // The first call has made the connection before the second begins.
    let first = send(&client, &call, LONG);
    let second = async {
        while seen.text().is_empty() {
            tokio::task::yield_now().await;
        }
        send(&client, &call, LONG).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.result.unwrap().status, 204);
    assert_eq!(second.result.unwrap_err().phase, Phase::BeforeWrite);
    assert_eq!(seen.connections(), 1);
}

#[tokio::test]
async fn after_a_goodbye_the_next_call_makes_a_connection_of_its_own() {
    let authority = Authority::new();
    let farewell = [status(1, "204", true), goaway(1, "")].concat();
    let (url, seen) = hostile(&authority, after(farewell, End::Hang)).await;
    let client = named(&authority).await;
    for connections in 1..=5 {
        let reply = send(&client, &over_http2(request(&url)), LONG).await;
        assert_eq!(reply.result.unwrap().status, 204);
        assert_eq!(seen.connections(), connections);
    }
}

#[tokio::test]
async fn a_call_that_ends_leaves_the_others_on_its_connection_ambiguous() {
    let authority = Authority::new();
    // The first is answered; then the connection breaks under the second.
    let script = Script { requests: 2, ..after(status(1, "204", true), End::Close) };
    let (url, _) = hostile(&authority, script).await;
    let (client, call) = (named(&authority).await, over_http2(request(&url)));
    let begun = send(&client, &call, LONG);
    let (first, second) = tokio::join!(begun, send(&client, &call, LONG));
    let outcomes = [first.result, second.result];
    let phases: Vec<_> =
        outcomes.iter().filter_map(|r| r.as_ref().err().map(|f| f.phase)).collect();
    assert_eq!(phases, [Phase::AfterWrite]);
}

#[tokio::test]
async fn a_stop_counts_every_call_on_a_shared_connection_as_ambiguous() {
    let authority = Authority::new();
    let script = Script { requests: 2, ..after(status(1, "204", true), End::Hang) };
    let (url, _) = hostile(&authority, script).await;
    let (client, call) = (named(&authority).await, over_http2(request(&url)));
    let stop = CancellationToken::new();
    let until_stop = async || client.send(&call, Instant::now() + LONG, &stop).await.unwrap();
    let mut calls: FuturesUnordered<_> = [until_stop(), until_stop()].into_iter().collect();
    assert_eq!(calls.next().await.unwrap().result.unwrap().status, 204);
    stop.cancel();
    assert_eq!(calls.next().await.unwrap().result.unwrap_err().phase, Phase::ResponseTimeout);
}

#[tokio::test]
async fn a_server_that_answers_no_ping_is_given_up_long_before_a_long_timeout() {
    let authority = Authority::new();
    let (url, seen) = hostile(&authority, after(Vec::new(), End::Hang)).await;
    let (client, call) = (named(&authority).await, over_http2(request(&url)));
    let quarter_of_an_hour = Duration::from_secs(15 * 60);
    let calling = async {
        let begun = Instant::now();
        let reply = send(&client, &call, quarter_of_an_hour).await;
        (reply.result.unwrap_err().phase, begun.elapsed())
    };
    let waiting = async {
        while seen.text().is_empty() {
            tokio::task::yield_now().await;
        }
        // From here on, time passes whenever everybody waits.
        tokio::time::pause();
    };
    let ((phase, after), ()) = tokio::join!(calling, waiting);
    assert_eq!(phase, Phase::AfterWrite);
    assert!(after < Duration::from_secs(60), "{after:?}");
}

#[tokio::test]
async fn a_server_that_lets_no_call_through_costs_other_servers_nothing() {
    let authority = Authority::new();
    let (client, short) = (named(&authority).await, Duration::from_millis(500));
    let (good, _) = sound(authority.server(&TLS13, &["h2"])).await;
    let to_good = over_http2(request(&https(good)));
    // No streams; and streams without a window for their bodies.
    for (setting, begun) in [((3, 0), 1), ((4, 0), 2)] {
        let bytes = [settings(&[setting]), status(1, "204", true)].concat();
        let (url, seen) = hostile(&authority, after(bytes, End::Hang)).await;
        let first = send(&client, &over_http2(request(&url)), LONG).await;
        assert_eq!(first.result.unwrap().status, 204);
        let (stuck, other) =
            tokio::join!(phase_of(&client, &url, short), send(&client, &to_good, LONG));
        assert_eq!(stuck, Phase::ResponseTimeout);
        assert_eq!(other.result.unwrap().status, 204);
        assert_eq!(seen.text().matches("POST").count(), begun);
        assert_eq!(seen.connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_connection_over_http_2_serves_one_customer_s_certificate_and_no_other_call() {
    let authority = Authority::new();
    let (address, requests) = sound(authority.server_for_clients(&["h2"])).await;
    let (client, url) = (named(&authority).await, https(address));
    let certificate = authority.client("one");
    for customer in ["a", "b", "a"] {
        let as_customer = request_as(&url, customer, &certificate, serde_json::json!({}));
        assert_eq!(send(&client, &over_http2(as_customer), LONG).await.result.unwrap().status, 204);
    }
    let connections: Vec<usize> = requests.lock().unwrap().iter().map(|(c, ..)| *c).collect();
    assert_eq!(connections, [1, 2, 1]);
}

#[tokio::test]
async fn a_server_that_refuses_the_certificate_over_http_2_has_not_processed_the_request() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (address, requests) = sound(authority.server_for_clients(&["h2"])).await;
    let (client, url) = (named(&authority).await, https(address));
    for _ in 0..20 {
        let stranger = request_as(&url, "a", &other.client("x"), serde_json::json!({}));
        let failure = send(&client, &over_http2(stranger), LONG).await.result.unwrap_err();
        assert_eq!(failure.phase, Phase::Tls, "{}", failure.detail);
        assert_eq!(phase_of(&client, &url, LONG).await, Phase::Tls, "nor without one");
    }
    assert!(requests.lock().unwrap().is_empty());
}
