//! The operator's proxy: the guard judges as without it, and what it does wrong is ours.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::version::TLS13;
use sealpost::config::Config;
use sealpost::domain::connection::{Connection, HttpVersion};
use sealpost::domain::outcome::Phase;
use sealpost::domain::request::OutboundRequest;
use sealpost::egress::client::{Client, Reply};
use sealpost::egress::guard::Guard;
use sealpost::egress::proxy::{Proxy, ProxyUrl};
use sealpost::ports::Result;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::dns_server;
use crate::h2_server::{self, End, after, status};
use crate::mtls::request_as;
use crate::proxy_server::{ProxyServer, Then};
use crate::server::{Then as Target, listen, request, resolver};
use crate::tls_server::{Authority, HOST, listen_as};
use crate::web::Web;

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// Public only because the tests say so; nobody is there.
const NET: &str = "203.0.113.0/24";
const LONG: Duration = Duration::from_secs(60);

/// A client behind a proxy, for which every name is at these addresses.
async fn behind(proxy: Option<Proxy>, addresses: &[&str], roots: Option<&Path>) -> Client {
    let guard = Guard {
        allow_http: true,
        allow: vec![NET.parse().unwrap()],
        ports: vec!["1-65535".parse().unwrap()],
        ..Guard::default()
    };
    let dns = dns_server::answering(addresses.iter().copied()).await;
    Client::through(proxy, Arc::new(guard), resolver(dns), roots).unwrap()
}

async fn send(client: &Client, request: &OutboundRequest) -> Result<Reply> {
    client.send(request, Instant::now() + LONG, &CancellationToken::new()).await
}

/// A TLS server that notes the names that it is asked for, and the requests.
async fn naming(acceptor: TlsAcceptor) -> (SocketAddr, Arc<Mutex<Vec<(String, String)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::default());
    let shared: Arc<Mutex<Vec<_>>> = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let name = stream.get_ref().1.server_name().unwrap().to_owned();
            let mut buffer = vec![0; 64 * 1024];
            let read = stream.read(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            shared.lock().unwrap().push((name, text));
            stream.write_all(OK).await.unwrap();
        }
    });
    (address, seen)
}

#[tokio::test]
async fn the_proxy_is_told_the_vetted_address_and_the_target_its_name() {
    let authority = Authority::new();
    let (server, seen) = naming(authority.server(&TLS13, &[])).await;
    let proxy = ProxyServer::start(vec![Then::Tunnel(server)]).await;
    let configured = proxy.configured(None);
    let client = behind(configured, &["203.0.113.7"], Some(authority.roots())).await;
    let reply = send(&client, &request(&format!("https://{HOST}:8443/hook"))).await.unwrap();
    assert_eq!(reply.result.unwrap().status, 204);
    assert_eq!(reply.address, Some("203.0.113.7:8443".parse().unwrap()));
    let connect = "CONNECT 203.0.113.7:8443 HTTP/1.1\r\nHost: 203.0.113.7:8443\r\n\r\n";
    assert_eq!(proxy.asked(), [connect]);
    let (name, text) = seen.lock().unwrap().remove(0);
    assert_eq!(name, HOST);
    assert!(text.starts_with("POST /hook HTTP/1.1\r\n"), "{text}");
    assert!(text.contains(&format!("host: {HOST}:8443\r\n")) && !text.contains("proxy"), "{text}");
}

#[tokio::test]
async fn plain_http_and_ipv6_go_through_a_tunnel_too() {
    let (server, seen) = listen(Target::Keep(OK.to_vec())).await;
    let proxy = ProxyServer::start(vec![Then::Tunnel(server)]).await;
    let client = behind(proxy.configured(None), &["203.0.113.7"], None).await;
    for url in ["http://h.test.example:8080/a", "http://[2606:4700::1111]:8080/b"] {
        let reply = send(&client, &request(url)).await.unwrap();
        assert_eq!(reply.result.unwrap().status, 204);
    }
    let asked = proxy.asked();
    assert!(asked[0].starts_with("CONNECT 203.0.113.7:8080 HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[1].starts_with("CONNECT [2606:4700::1111]:8080 HTTP/1.1\r\n"), "{asked:?}");
    assert!(seen.text().starts_with("POST /a HTTP/1.1\r\n"), "{}", seen.text());
}

#[tokio::test]
async fn what_the_guard_blocks_never_reaches_the_proxy_nor_does_the_proxy_serve_as_a_target() {
    let (server, _) = listen(Target::Keep(OK.to_vec())).await;
    let proxy = ProxyServer::start(vec![Then::Tunnel(server)]).await;
    for (addresses, url) in [
        (&["10.0.0.1"][..], "http://h.test.example:8080/".to_owned()),
        (&["203.0.113.7", "169.254.169.254"], "http://h.test.example:8080/".to_owned()),
        (&["203.0.113.7"], "http://10.0.0.1:8080/".to_owned()),
        (&["203.0.113.7"], format!("{}/", proxy.url())),
    ] {
        let client = behind(proxy.configured(None), addresses, None).await;
        let reply = send(&client, &request(&url)).await.unwrap();
        assert_eq!(reply.result.unwrap_err().phase, Phase::Blocked, "{url}");
    }
    assert!(proxy.asked().is_empty());
}

#[tokio::test]
async fn credentials_come_from_a_file_and_are_shown_to_the_proxy_alone() {
    let (server, seen) = listen(Target::Keep(OK.to_vec())).await;
    let proxy = ProxyServer::start(vec![Then::Tunnel(server)]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "me:hunter:2\r\n").unwrap();
    let configured = proxy.configured(Some(file.path())).unwrap();
    assert!(!format!("{configured:?}").contains("bWU6"), "{configured:?}");
    let client = behind(Some(configured), &["203.0.113.7"], None).await;
    let reply = send(&client, &request("http://h.test.example:8080/")).await.unwrap();
    assert_eq!(reply.result.unwrap().status, 204);
    let asked = proxy.asked();
    let line = "\r\nProxy-Authorization: Basic bWU6aHVudGVyOjI=\r\n\r\n";
    assert!(asked[0].ends_with(line), "{asked:?}");
    assert!(!seen.text().to_lowercase().contains("proxy"));
}

#[test]
fn settings_that_name_no_proxy_or_no_credentials_are_refused_without_repeating_them() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let url: ProxyUrl = "http://p.internal:3128".parse().unwrap();
    for text in ["hunter2", "me:hunter2\nmore:hunter2\n", "me:hunter2\x01"] {
        std::fs::write(file.path(), text).unwrap();
        let error = Proxy::configured(Some(&url), Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("user:password") && !error.contains("hunter2"), "{error}");
    }
    assert!(Proxy::configured(Some(&url), Some(Path::new("/no/such/file"))).is_err());
    assert!(Proxy::configured(None, Some(file.path())).is_err());
    assert!(Proxy::configured(None, None).unwrap().is_none());
    for text in [
        "https://10.0.0.9:3128",
        "socks5://10.0.0.9",
        "10.0.0.9:3128",
        "http://me:hunter2@10.0.0.9:3128",
        "http://10.0.0.9:3128/hunter2",
    ] {
        let set = [("SEALPOST_EGRESS_PROXY".to_owned(), text.to_owned())];
        let error = Config::load(None, set.into_iter()).unwrap_err();
        assert_eq!(error.key, "egress.proxy");
        assert!(error.problem.contains("http://10.0.0.9:3128"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_our_fault_unless_it_could_not_reach_the_target() {
    let say = |text: &str| Then::Say(text.as_bytes().to_vec());
    let answer = |status: u16| say(&format!("HTTP/1.1 {status} Said\r\n\r\n"));
    let squid = "HTTP/1.1 503 x\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n";
    let endless = [b"HTTP/1.1 200 OK\r\nx: ", &[b'y'; 4096][..]].concat();
    for (then, expected) in [
        (answer(502), Some(Phase::Connect)),
        (answer(504), Some(Phase::ConnectTimeout)),
        (say(squid), Some(Phase::Connect)),
        (answer(407), None),
        (answer(403), None),
        (answer(503), None),
        (answer(302), None),
        (say(""), None),
        (say("HTTP/1.1 200 OK\r\n"), None),
        (say("SSH-2.0-OpenSSH_9.9\r\n\r\n"), None),
        (say("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"), None),
        (Then::Flood(endless), None),
    ] {
        let proxy = ProxyServer::start(vec![then]).await;
        let client = behind(proxy.configured(None), &["203.0.113.7"], None).await;
        match send(&client, &request("http://h.test.example:8080/")).await {
            Ok(reply) => assert_eq!(Some(reply.result.unwrap_err().phase), expected),
            Err(error) => {
                assert_eq!((error.operation, expected), ("egress.proxy", None), "{error}");
            }
        }
        assert_eq!(proxy.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_proxy_that_nobody_answers_for_is_our_fault() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let proxy = Proxy::configured(Some(&url), None).unwrap();
    let client = behind(proxy, &["203.0.113.7"], None).await;
    let error = send(&client, &request("http://h.test.example:8080/")).await.unwrap_err();
    assert!(error.to_string().starts_with("egress.proxy: no connection to the proxy"), "{error}");
}

#[tokio::test]
async fn silence_is_ours_unless_the_proxy_had_answers_for_others_meanwhile() {
    let (server, _) = listen(Target::Keep(OK.to_vec())).await;
    let slow = Connection { connect_timeout: Duration::from_millis(400), ..Connection::default() };
    let silent = request("http://silent.test.example:8080/");
    let silent = OutboundRequest { connection: slow, ..silent };
    let other = request("http://other.test.example:8080/");
    let proxy = ProxyServer::start(vec![Then::Hang, Then::Hang, Then::Tunnel(server)]).await;
    let client = behind(proxy.configured(None), &["203.0.113.7"], None).await;
    let error = send(&client, &silent).await.unwrap_err();
    assert_eq!(error.operation, "egress.proxy", "nothing says that it lives");
    let others = async {
        while proxy.asked().len() < 2 {
            tokio::task::yield_now().await;
        }
        send(&client, &other).await.unwrap().result.unwrap().status
    };
    let (reply, status) = tokio::join!(send(&client, &silent), others);
    assert_eq!(status, 204);
    assert_eq!(reply.unwrap().result.unwrap_err().phase, Phase::ConnectTimeout);
}

#[tokio::test]
async fn an_address_that_the_proxy_cannot_reach_is_followed_by_the_next() {
    let (server, _) = listen(Target::Keep(OK.to_vec())).await;
    let unreachable = Then::Say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec());
    let proxy = ProxyServer::start(vec![unreachable, Then::Tunnel(server)]).await;
    let client = behind(proxy.configured(None), &["203.0.113.7", "203.0.113.8"], None).await;
    let reply = send(&client, &request("http://h.test.example:8080/")).await.unwrap();
    assert_eq!(reply.result.unwrap().status, 204);
    let dialled = reply.address.unwrap();
    assert!(proxy.asked()[1].starts_with(&format!("CONNECT {dialled} ")), "{:?}", proxy.asked());
}

#[tokio::test]
async fn http_2_and_client_certificates_work_through_the_proxy() {
    let authority = Authority::new();
    let script = after(status(1, "204", true), End::Hang);
    let (server, _) = h2_server::listen(authority.server(&TLS13, &["h2"]), script).await;
    let proxy = ProxyServer::start(vec![Then::Tunnel(server)]).await;
    let roots = Some(authority.roots());
    let client = behind(proxy.configured(None), &["203.0.113.7"], roots).await;
    let connection = Connection { http: HttpVersion::V2, ..Connection::default() };
    let url = format!("https://{HOST}:8443/");
    let call = OutboundRequest { connection, ..request(&url) };
    assert_eq!(send(&client, &call).await.unwrap().result.unwrap().status, 204);

    let (server, _) = listen_as(authority.server_for_clients(&[])).await;
    let proxy = ProxyServer::start(vec![Then::Tunnel(server)]).await;
    let client = behind(proxy.configured(None), &["203.0.113.7"], roots).await;
    let as_customer = request_as(&url, "a", &authority.client("one"), json!({}));
    assert_eq!(send(&client, &as_customer).await.unwrap().result.unwrap().status, 204);
    assert!(send(&client, &request(&url)).await.unwrap().result.is_err());
}

/// A form whose every call goes through the proxy.
async fn form(proxy: &ProxyServer) -> Bench {
    let mut config = loopback();
    config.egress.allow = vec![NET.parse().unwrap()];
    config.egress.proxy = Some(proxy.url().parse().unwrap());
    Bench::open(config).await
}

#[tokio::test]
async fn tokens_are_asked_for_through_the_proxy_too() {
    let token = r#"{"access_token":"t1","token_type":"Bearer","expires_in":3600}"#;
    let web = Web::start(|request| match request.starts_with("POST /token ") {
        true => ("200 OK".to_owned(), token.to_owned()),
        false => ("204 No Content".to_owned(), String::new()),
    })
    .await;
    let server = web.origin.strip_prefix("http://").unwrap().parse().unwrap();
    let proxy = ProxyServer::start(vec![Then::Tunnel(server)]).await;
    let bench = form(&proxy).await;
    let (target, tokens) = ("http://203.0.113.7:8080", "http://203.0.113.8:8080");
    let auth = json!([{"scheme": "oauth2_client_credentials", "client_id": "me", "secret": "s",
                       "token_url": format!("{tokens}/token")}]);
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": target, "auth": auth}))
        .await;
    put_secret(&bench.app, "client-secret", &[target, tokens]).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    let asked = proxy.asked();
    assert!(asked[0].starts_with("CONNECT 203.0.113.8:8080 "), "{asked:?}");
    assert!(asked[1].starts_with("CONNECT 203.0.113.7:8080 "), "{asked:?}");
}

#[tokio::test]
async fn a_proxy_out_of_order_costs_no_attempt_and_a_dead_target_does() {
    let say = |text: &str| Then::Say(text.as_bytes().to_vec());
    let sick = say("HTTP/1.1 503 Out of order\r\n\r\n");
    let dead = say("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    let proxy = ProxyServer::start(vec![sick, dead]).await;
    let bench = form(&proxy).await;
    let retry = json!({"maxAttempts": 1});
    let url = "http://203.0.113.7:8080/";
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": url, "retry": retry}))
        .await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(bench.app.tally.counts().faults, 1);
    assert!(bench.dead_letters().await.is_empty());
    bench.clock.advance(Duration::from_secs(3600));
    assert_eq!(bench.deliver_due().await, 1, "the job came back");
    let dead = bench.dead_letters().await.remove(0);
    assert_eq!(dead.history.len(), 1);
    assert_eq!(dead.history[0].address.as_deref(), Some("203.0.113.7:8080"));
}
