//! Hostile responses, case by case: the server does what `server_behaviour` says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::version::TLS13;
use sealpost::domain::connection::{Connection, HttpVersion};
use sealpost::domain::decide::{Disposition, Standing, decide};
use sealpost::domain::outcome::{AttemptOutcome, MAX_EXCERPT, Phase};
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::retry_policy::RetryPolicy;
use sealpost::domain::timestamp::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::data::cases;
use crate::dns_server;
use crate::h2_cases;
use crate::h2_server;
use crate::server::{Seen, Then, black_hole, call, client, listen, no_resolver, request, resolver};
use crate::tls_server::{self, Authority, CLOSE_NOTIFY, Flaw, HOST, server_hello};

const DEADLINE: Duration = Duration::from_secs(1);
/// What buffers between two programs may hold of a body that nobody reads.
const BUFFERS: usize = 16 << 20;

/// What a call must come to.
#[derive(Debug, PartialEq)]
pub enum Expected {
    Status(u16),
    Failed(Phase),
}
use Expected::{Failed, Status};

/// A server that behaves as a case says.
struct Hostile {
    url: String,
    seen: Arc<Seen>,
    http: HttpVersion,
    expected: Expected,
    /// Whether the request reaches the server; `None` where both may be.
    arrives: Option<bool>,
    _held: Option<Box<dyn std::any::Any>>,
}

pub fn head(status: u64, extra: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Said\r\n{extra}\r\n").into_bytes()
}

/// What a server without TLS does, and what the call comes to.
fn plain(behaviour: &Value) -> (Then, Expected) {
    let number = |key: &str| behaviour[key].as_u64();
    let size = |key: &str| usize::try_from(number(key).unwrap()).unwrap();
    let text = |key: &str| behaviour[key].as_str();
    let status = number("status").unwrap_or(200);
    let given = Status(u16::try_from(status).unwrap());
    let with = |extra: &str, body: &[u8]| [&head(status, extra), body].concat();
    if let Some(line) = text("status_line") {
        (Then::Send(format!("{line}\r\n\r\n").into()), Failed(Phase::Response))
    } else if let Some(raw) = text("raw") {
        (Then::Send(raw.into()), Failed(Phase::Response))
    } else if behaviour["header_drip_bytes_per_s"].is_number() {
        let drip = Then::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), b"y".to_vec());
        (drip, Failed(Phase::ResponseTimeout))
    } else if behaviour["header_count"].is_number() {
        (Then::Send(with(&"x: y\r\n".repeat(size("header_count")), b"")), Failed(Phase::Response))
    } else if behaviour["header_bytes"].is_number() {
        let line = format!("x: {}\r\n", "y".repeat(size("header_bytes")));
        (Then::Send(with(&line, b"")), Failed(Phase::Response))
    } else if behaviour["header_bytes_invalid"] == true {
        (Then::Send(with("x-a: \x01\r\ncontent-length: 0\r\n", b"")), given)
    } else if behaviour["smuggling"] == true {
        let framings = "content-length: 3\r\ntransfer-encoding: chunked\r\n";
        (Then::Send(with(framings, b"0\r\n\r\n")), given)
    } else if behaviour["rst"].is_string() {
        (Then::Reset(Vec::new()), Failed(Phase::AfterWrite))
    } else if behaviour["rst_after_bytes"].is_number() {
        let bytes = with("content-length: 1000\r\n", &vec![b'x'; size("rst_after_bytes")]);
        (Then::Reset(bytes), given)
    } else if behaviour["close"].is_string() {
        (Then::Send(Vec::new()), Failed(Phase::AfterWrite))
    } else if text("hang") == Some("after accept") {
        (Then::Hang, Failed(Phase::ResponseTimeout))
    } else if let Some(encoding) = text("content_encoding") {
        let extra = format!("content-encoding: {encoding}\r\ncontent-length: 1048576\r\n");
        let gzip = [0x1f, 0x8b, 8];
        let cut = behaviour["truncated"] == true;
        (Then::Send(with(&extra, &if cut { gzip.to_vec() } else { vec![0; 1 << 20] })), given)
    } else if behaviour["chunked"].is_string() {
        let chunk = [b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat();
        (Then::Flood(with("transfer-encoding: chunked\r\n", b""), chunk), given)
    } else if behaviour["drip_bytes_per_s"].is_number() {
        (Then::Drip(with("content-length: 1000000\r\n", b""), b"x".to_vec()), given)
    } else if let Some(length) = number("content_length") {
        let body = vec![b'x'; size("body_bytes")];
        (Then::Send(with(&format!("content-length: {length}\r\n"), &body)), given)
    } else if let Some(length) = number("body_bytes") {
        let flood = vec![b'x'; 64 * 1024];
        (Then::Flood(with(&format!("content-length: {length}\r\n"), b""), flood), given)
    } else {
        assert!(behaviour["status"].is_number(), "no server for {behaviour}");
        (Then::Send(with("content-length: 0\r\n", b"")), given)
    }
}

/// What a TLS server does wrong; `None` where it cannot be played here.
async fn tls(what: &str, authority: &Authority) -> Option<Hostile> {
    let flaw = match what {
        "expired certificate" => Flaw::Expired,
        "not yet valid" => Flaw::NotYetValid,
        "self-signed" => Flaw::SelfSigned,
        "wrong host" => Flaw::WrongHost,
        "untrusted root" => Flaw::UntrustedRoot,
        "IP literal without IP SAN" | "no SNI support" => Flaw::Nothing,
        "client certificate requested" => Flaw::AsksForClientCertificate,
        "100 KB certificate chain" => Flaw::HugeChain,
        "ALPN h2 but speaks http/1.1" => Flaw::OnlyHttp2,
        "TLS 1.0/1.1 only" => return Some(raw_tls(server_hello([3, 2], [0, 0x2f])).await),
        "RC4/3DES only" => return Some(raw_tls(server_hello([3, 3], [0, 0x0a])).await),
        "null cipher" => return Some(raw_tls(server_hello([3, 3], [0, 0x3b])).await),
        "close_notify during handshake" => {
            let waits = raw_tls(CLOSE_NOTIFY.to_vec()).await;
            return Some(Hostile { expected: Failed(Phase::TlsTimeout), ..waits });
        }
        // Revocation lists are not read; rustls does not renegotiate, and cannot be made to ask.
        "revoked (if CRL/OCSP on)" | "post-handshake renegotiation" => return None,
        unknown => panic!("no server for {unknown}"),
    };
    let (address, seen) = tls_server::listen(authority, flaw).await;
    let host = if what.starts_with("IP literal") { "127.0.0.1" } else { HOST };
    let works = matches!(what, "no SNI support" | "client certificate requested");
    Some(Hostile {
        url: format!("https://{host}:{}/", address.port()),
        seen,
        http: HttpVersion::V1_1,
        expected: if works { Status(204) } else { Failed(Phase::Tls) },
        arrives: Some(works),
        _held: None,
    })
}

/// A server that answers a ClientHello with these bytes and then nothing more.
async fn raw_tls(bytes: Vec<u8>) -> Hostile {
    let (address, _) = listen(Then::Keep(bytes)).await;
    let (seen, expected) = (Arc::default(), Failed(Phase::Tls));
    Hostile {
        url: format!("https://{address}/"),
        seen,
        http: HttpVersion::V1_1,
        expected,
        arrives: Some(false),
        _held: None,
    }
}

/// The server of a case; `None` where it cannot be played here.
async fn hostile(behaviour: &Value, authority: &Authority) -> Option<Hostile> {
    if let Some(what) = behaviour["h2"].as_str() {
        let (script, expected) = h2_cases::server(what);
        let (address, seen) = h2_server::listen(authority.server(&TLS13, &["h2"]), script).await;
        let url = format!("https://{HOST}:{}/", address.port());
        // Whether a request is sent before the server's settings arrive is a race.
        let arrives = (what != "settings").then_some(true);
        return Some(Hostile { url, seen, http: HttpVersion::V2, expected, arrives, _held: None });
    }
    if let Some(what) = behaviour["tls"].as_str() {
        return tls(what, authority).await;
    }
    if behaviour["hang"] == "connect" {
        let (address, held) = black_hole().await;
        return Some(Hostile {
            url: format!("http://{address}/"),
            seen: Arc::default(),
            http: HttpVersion::V1_1,
            expected: Failed(Phase::ConnectTimeout),
            arrives: Some(false),
            _held: Some(Box::new(held)),
        });
    }
    let encrypted = behaviour["hang"] == "after ClientHello";
    let (then, expected) = match encrypted {
        true => (Then::Hang, Failed(Phase::TlsTimeout)),
        false => plain(behaviour),
    };
    let (address, seen) = listen(then).await;
    let scheme = if encrypted { "https" } else { "http" };
    let url = format!("{scheme}://{address}/");
    let (http, arrives) = (HttpVersion::V1_1, Some(!encrypted));
    Some(Hostile { url, seen, http, expected, arrives, _held: None })
}

/// Whether the policy that endpoints have by default calls it delivered.
fn is_delivered(expected: &Expected) -> bool {
    let outcome = match *expected {
        Status(status) => {
            AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false }
        }
        Failed(phase) => AttemptOutcome::Failed { phase },
    };
    let now = Timestamp::from_millis(1_000_000);
    let standing = Standing { attempt: 1, accepted_at: now, expires_at: None };
    decide(&outcome, standing, &RetryPolicy::default(), now, 0.5) == Disposition::Done
}

#[tokio::test]
async fn every_hostile_response_comes_to_what_the_case_says() {
    let (authority, dns) = (Authority::new(), dns_server::answering(["127.0.0.1"]).await);
    let mut not_played = Vec::new();
    for case in cases("faults/responses.json", "response_abuse_cases.json") {
        let name = case["name"].as_str().unwrap();
        let invariant = case["invariant"].as_str().unwrap();
        let Some(server) = hostile(&case["server_behaviour"], &authority).await else {
            not_played.push(name.to_owned());
            continue;
        };
        let client = client("127.0.0.1/32", resolver(dns), Some(authority.roots()));
        let started = Instant::now();
        let connection = Connection { http: server.http, ..Connection::default() };
        let request = OutboundRequest { connection, ..request(&server.url) };
        let stop = CancellationToken::new();
        let reply = client.send(&request, started + DEADLINE, &stop).await.unwrap();
        assert!(started.elapsed() < DEADLINE + Duration::from_secs(5), "{name}: no deadline");
        let (gave, excerpt) = match reply.result {
            Ok(answer) => (Status(answer.status), answer.excerpt.len()),
            Err(failure) => (Failed(failure.phase), failure.detail.len()),
        };
        assert_eq!(gave, server.expected, "{name}");
        assert!(excerpt <= MAX_EXCERPT, "{name}");
        if invariant.starts_with("delivered") {
            assert!(is_delivered(&gave), "{name}");
        } else if invariant.starts_with("failed") || invariant.starts_with("retry") {
            assert!(!is_delivered(&gave), "{name}");
        }
        let received = server.seen.text();
        // A TLS server without a handshake sees the ClientHello, and nothing of the request.
        let arrived = received.contains("POST /");
        assert_eq!(arrived, server.arrives.unwrap_or(arrived), "{name}");
        assert!(!received.to_lowercase().contains("accept-encoding"), "{name}");
        assert!(server.seen.connections() <= 1, "{name}: called more than once");
        assert!(server.seen.written.load(Ordering::SeqCst) < BUFFERS, "{name}: read too much");
    }
    eprintln!("not played: {}", not_played.join("; "));
    let allowed = |name: &String| name.starts_with("tls ");
    assert!(not_played.iter().all(allowed) && not_played.len() <= 2, "{not_played:?}");
}

#[tokio::test]
async fn an_address_without_a_name_server_needs_none() {
    let (address, _) = listen(Then::Send(head(204, ""))).await;
    let client = client("127.0.0.1/32", no_resolver(), None);
    let reply = call(&client, &format!("http://{address}/"), DEADLINE).await.unwrap();
    assert_eq!(reply.address, Some(SocketAddr::from(([127, 0, 0, 1], address.port()))));
}
