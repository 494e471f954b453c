//! What endpoints answer, and what must stay true.

use std::time::Duration;

use sealpost::domain::outcome::{MAX_EXCERPT, Phase};
use tokio::time::Instant;

use crate::server::{ScriptedResolver, Then, call, client, listen};

#[derive(Debug, PartialEq)]
enum Gave {
    Status(u16),
    Failed(Phase),
}

/// One call to a server of its own; it has to end shortly after its deadline.
async fn gives(then: Then) -> (Gave, Vec<u8>, usize) {
    let (address, connections) = listen(then).await;
    let client = client("127.0.0.1/32", ScriptedResolver::new([None]));
    let (started, deadline) = (Instant::now(), Duration::from_secs(1));
    let reply = call(&client, &format!("http://{address}/"), deadline).await.unwrap();
    assert!(started.elapsed() < deadline + Duration::from_secs(5), "the deadline did not hold");
    assert_eq!(reply.address, Some(address));
    let connections = *connections.lock().unwrap();
    match reply.result {
        Ok(answer) => (Gave::Status(answer.status), answer.excerpt, connections),
        Err(failure) => (Gave::Failed(failure.phase), Vec::new(), connections),
    }
}

fn send(text: &str) -> Then {
    Then::Send(text.as_bytes().to_vec())
}

#[tokio::test]
async fn the_status_line_decides_whatever_the_body_does() {
    let head = |extra: &str| format!("HTTP/1.1 200 OK\r\n{extra}\r\n").into_bytes();
    let huge = [head("content-length: 104857600\r\n"), vec![b'x'; 4 << 20]].concat();
    let cases = [
        ("a body of 100 MB", Then::Send(huge)),
        (
            "an endless chunked body",
            Then::Drip(head("transfer-encoding: chunked\r\n"), b"1\r\nx\r\n".to_vec()),
        ),
        ("a body that drips", Then::Drip(head("content-length: 1000000\r\n"), b"x".to_vec())),
        (
            "a reset in mid body",
            Then::Reset([head("content-length: 100\r\n"), b"0123456789".to_vec()].concat()),
        ),
        ("a body cut short", Then::Send([head("content-length: 100\r\n"), b"x".to_vec()].concat())),
        (
            "broken gzip",
            Then::Send([head("content-encoding: gzip\r\n"), vec![0x1f, 0x8b, 8]].concat()),
        ),
        (
            "two framings",
            Then::Send(
                [
                    head("content-length: 3\r\ntransfer-encoding: chunked\r\n"),
                    b"0\r\n\r\n".to_vec(),
                ]
                .concat(),
            ),
        ),
        ("invalid header bytes", Then::Send(head("x-a: \x01\r\ncontent-length: 0\r\n"))),
        (
            "Refresh and Alt-Svc",
            Then::Send(head(
                "refresh: 0;url=http://169.254.169.254/\r\nalt-svc: h2=\"10.0.0.1:443\"\r\n",
            )),
        ),
    ];
    for (name, then) in cases {
        let (gave, excerpt, connections) = gives(then).await;
        assert_eq!((gave, connections), (Gave::Status(200), 1), "{name}");
        assert!(excerpt.len() <= MAX_EXCERPT, "{name}");
    }
}

#[tokio::test]
async fn redirects_are_answers_and_nobody_follows_them() {
    for status in [300, 301, 302, 303, 307, 308] {
        let (elsewhere, touched) = listen(Then::Hang).await;
        let text = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: http://{elsewhere}/\r\ncontent-length: 0\r\n\r\n"
        );
        let (gave, _, connections) = gives(send(&text)).await;
        assert_eq!((gave, connections), (Gave::Status(status), 1));
        assert_eq!(*touched.lock().unwrap(), 0);
    }
}

#[tokio::test]
async fn what_is_no_response_is_a_failure_after_the_request_was_written() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(10_000));
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(8 << 20));
    let cases = [
        ("an invalid status line", send("HTTP/1.1 2OO OK\r\n\r\n"), Phase::Response),
        ("HTTP/0.9", send("hello"), Phase::Response),
        ("a close without a response", send(""), Phase::AfterWrite),
        ("a reset without a response", Then::Reset(Vec::new()), Phase::AfterWrite),
        ("silence", Then::Hang, Phase::ResponseTimeout),
        (
            "headers that drip",
            Then::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), b"y".to_vec()),
            Phase::ResponseTimeout,
        ),
        ("10,000 headers", Then::Send(many.into_bytes()), Phase::Response),
        ("a header of 8 MB", Then::Send(long.into_bytes()), Phase::Response),
    ];
    for (name, then, phase) in cases {
        let (gave, _, connections) = gives(then).await;
        assert_eq!((gave, connections), (Gave::Failed(phase), 1), "{name}");
        assert!(phase.is_ambiguous(), "{name}");
    }
}

#[tokio::test]
async fn early_hints_do_not_extend_the_deadline() {
    let hint = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    let (gave, _, _) = gives(Then::Drip(Vec::new(), hint)).await;
    assert_eq!(gave, Gave::Failed(Phase::ResponseTimeout));
}

#[tokio::test]
async fn a_connection_with_two_framings_is_not_used_again() {
    let text =
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let (address, connections) = listen(Then::Keep(text.into())).await;
    let client = client("127.0.0.1/32", ScriptedResolver::new([None]));
    for _ in 0..2 {
        call(&client, &format!("http://{address}/"), Duration::from_secs(2)).await.unwrap();
    }
    assert_eq!(*connections.lock().unwrap(), 2);
}

#[tokio::test]
async fn a_refused_connection_is_a_failure_before_anything_was_written() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client("127.0.0.1/32", ScriptedResolver::new([None]));
    let reply = call(&client, &format!("http://{address}/"), Duration::from_secs(2)).await.unwrap();
    assert_eq!(reply.result.unwrap_err().phase, Phase::Connect);
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_or_is_no_tls_sends_no_request() {
    let cases = [(Then::Hang, Phase::TlsTimeout), (send("HTTP/1.1 200 OK\r\n\r\n"), Phase::Tls)];
    for (then, phase) in cases {
        let (address, _) = listen(then).await;
        let client = client("127.0.0.1/32", ScriptedResolver::new([None]));
        let reply =
            call(&client, &format!("https://{address}/"), Duration::from_secs(1)).await.unwrap();
        assert_eq!(reply.result.unwrap_err().phase, phase);
        assert!(!phase.is_ambiguous());
    }
}

#[tokio::test]
async fn a_stop_counts_a_written_call_as_ambiguous_and_an_unwritten_one_not_at_all() {
    let (address, _) = listen(Then::Hang).await;
    let client = client("127.0.0.1/32", ScriptedResolver::new([None]));
    let stop = tokio_util::sync::CancellationToken::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    // A TLS handshake that hangs: nothing of the request is written.
    for (scheme, written) in [("http", true), ("https", false)] {
        let request = crate::server::request(&format!("{scheme}://{address}/"));
        let stop = stop.child_token();
        let sending = client.send(&request, deadline, &stop);
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            stop.cancel();
        };
        let (reply, ()) = tokio::join!(sending, stopping);
        match reply {
            Ok(reply) => assert_eq!(
                (reply.result.unwrap_err().phase, written),
                (Phase::ResponseTimeout, true)
            ),
            Err(error) => assert!(!written, "{error}"),
        }
    }
}
