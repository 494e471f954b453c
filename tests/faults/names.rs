//! What resolvers answer: no byte reaches a blocked address.

use std::net::IpAddr;
use std::time::Duration;

use sealpost::domain::outcome::Phase;

use crate::server::{ScriptedResolver, Then, call, client, listen};

const WAIT: Duration = Duration::from_secs(2);
const OK: &[u8] = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";

fn addresses(list: &[&str]) -> Option<Vec<IpAddr>> {
    Some(list.iter().map(|a| a.parse().unwrap()).collect())
}

#[tokio::test]
async fn one_blocked_address_refuses_the_whole_answer() {
    // The server would answer on loopback; only 127.0.0.2 may be called.
    let (address, connections) = listen(Then::Send(OK.to_vec())).await;
    let answers: [&[&str]; 7] = [
        &["127.0.0.1"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.2", "::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["0.0.0.0"],
        &["169.254.169.254"],
    ];
    for answer in answers {
        let client = client("127.0.0.2/32", ScriptedResolver::new([addresses(answer)]));
        let url = format!("http://h.test.example:{}/", address.port());
        let reply = call(&client, &url, WAIT).await.unwrap();
        assert_eq!(reply.result.unwrap_err().phase, Phase::Blocked, "{answer:?}");
    }
    assert_eq!(*connections.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_vetted_at_every_connection() {
    let (address, connections) = listen(Then::Send(OK.to_vec())).await;
    let resolver = ScriptedResolver::new([addresses(&["127.0.0.1"]), addresses(&["10.0.0.5"])]);
    let client = client("127.0.0.1/32", resolver);
    let url = format!("http://rebind.test.example:{}/", address.port());
    assert_eq!(call(&client, &url, WAIT).await.unwrap().result.unwrap().status, 204);
    assert_eq!(call(&client, &url, WAIT).await.unwrap().result.unwrap_err().phase, Phase::Blocked);
    assert_eq!(*connections.lock().unwrap(), 1);
}

#[tokio::test]
async fn no_address_is_the_endpoint_s_fault_and_no_answer_is_ours() {
    let nobody = client("127.0.0.1/32", ScriptedResolver::new([Some(Vec::new())]));
    let reply = call(&nobody, "http://h.test.example/", WAIT).await.unwrap();
    assert_eq!(reply.result.unwrap_err().phase, Phase::Dns);
    let failing = client("127.0.0.1/32", ScriptedResolver::new([None]));
    assert!(call(&failing, "http://h.test.example/", WAIT).await.is_err());
}
