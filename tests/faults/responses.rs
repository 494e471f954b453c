//! What stays true of connections, whatever endpoints do.

use std::time::Duration;

use sealpost::domain::outcome::Phase;
use tokio::time::Instant;

use crate::server::{Then, call, client, listen, no_resolver};

#[tokio::test]
async fn a_connection_with_two_framings_is_not_used_again() {
    let text =
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let (address, seen) = listen(Then::Keep(text.into())).await;
    let client = client("127.0.0.1/32", no_resolver(), None);
    for _ in 0..2 {
        call(&client, &format!("http://{address}/"), Duration::from_secs(2)).await.unwrap();
    }
    assert_eq!(seen.connections(), 2);
}

#[tokio::test]
async fn a_refused_connection_is_a_failure_before_anything_was_written() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client("127.0.0.1/32", no_resolver(), None);
    let reply = call(&client, &format!("http://{address}/"), Duration::from_secs(2)).await.unwrap();
    assert_eq!(reply.result.unwrap_err().phase, Phase::Connect);
}

#[tokio::test]
async fn a_stop_counts_a_written_call_as_ambiguous_and_an_unwritten_one_not_at_all() {
    let (address, _) = listen(Then::Hang).await;
    let client = client("127.0.0.1/32", no_resolver(), None);
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
