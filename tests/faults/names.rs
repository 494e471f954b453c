//! What resolvers answer and what redirects say: no byte reaches a blocked address.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;
use sealpost::domain::outcome::Phase;
use sealpost::egress::guard::Guard;
use serde_json::Value;

use crate::data::cases;
use crate::dns_server::{self, Answer};
use crate::server::{Then, call, client, listen, resolver};

const WAIT: Duration = Duration::from_secs(8);
const OK: &[u8] = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
/// Stands for the public addresses of the cases: nothing outside the machine is called.
const PUBLIC: &str = "127.1.0.0/16";

#[derive(Debug, PartialEq)]
enum Came {
    Delivered,
    Failed(Phase),
    /// It is our fault: nothing is known of the endpoint.
    Ours,
}

/// The address that stands for one of a case: public ones are replaced, all others kept.
fn stand_in(address: IpAddr) -> IpAddr {
    match Guard::default().check_address(address) {
        Ok(()) => IpAddr::from([127, 1, 0, 1]),
        Err(_) => address,
    }
}

fn answers(case: &Value) -> Vec<Answer> {
    let address = |text: &Value| match text.as_str().unwrap() {
        // The operator's own public address, which `egress.deny` names.
        text if text.starts_with('<') => IpAddr::from([127, 2, 0, 1]),
        text => stand_in(text.parse().unwrap()),
    };
    let alias = case["cname"].as_str().map(str::to_owned);
    let sets = case["answers"].as_array().unwrap();
    let listed = |set: &Value| {
        let addresses = set.as_array().unwrap().iter().map(address).collect();
        Answer::Addresses(addresses, alias.clone())
    };
    match case["rcode"].as_str() {
        None => sets.iter().map(listed).collect(),
        Some("NXDOMAIN") => vec![Answer::Code(ResponseCode::NXDomain)],
        Some("SERVFAIL") => vec![Answer::Code(ResponseCode::ServFail)],
        Some("REFUSED") => vec![Answer::Code(ResponseCode::Refused)],
        Some("TIMEOUT") => vec![Answer::Silence],
        Some(code) => panic!("no answer for {code}"),
    }
}

/// What the calls of a case must come to, one after another.
fn expected(case: &Value) -> Vec<Came> {
    let said = case["expect_strict"].as_str().unwrap();
    let blocked = || Came::Failed(Phase::Blocked);
    if said.starts_with("attempt 1 allowed, attempt 2 blocked") || said.starts_with("reuse of") {
        vec![Came::Delivered, blocked()]
    } else if said.starts_with("allow") {
        vec![Came::Delivered]
    } else if said.starts_with("block") || said == "policy" {
        vec![blocked()]
    } else if said.starts_with("retryable-dns-failure") || said.starts_with("endpoint-failure") {
        vec![Came::Failed(Phase::Dns)]
    } else if said.starts_with("our-failure") {
        vec![Came::Ours]
    } else {
        panic!("no expectation for {said:?}")
    }
}

#[tokio::test]
async fn every_answer_of_a_resolver_comes_to_what_the_scenario_says() {
    let scenarios = cases("egress/scenarios.json", "ssrf_scenarios.json");
    for case in scenarios.iter().filter(|case| case["kind"] == "dns") {
        let name = case["name"].as_str().unwrap();
        let (address, seen) = listen(Then::Send(OK.to_vec())).await;
        let (nameserver, asked) = dns_server::serve(answers(case)).await;
        let client = client(PUBLIC, resolver(nameserver), None);
        let url = case["url"].as_str().unwrap();
        let (_, host) = url.trim_end_matches('/').split_once("://").unwrap();
        let url = format!("http://{host}:{}/", address.port());
        let mut delivered = 0;
        for expected in expected(case) {
            let came = match call(&client, &url, WAIT).await {
                Ok(reply) => match reply.result {
                    Ok(_) => Came::Delivered,
                    Err(failure) => Came::Failed(failure.phase),
                },
                Err(_) => Came::Ours,
            };
            delivered += usize::from(came == Came::Delivered);
            assert_eq!(came, expected, "{name}");
        }
        assert_eq!(seen.connections(), delivered, "{name}: a blocked address was dialled");
        let alias = case["cname"].as_str().unwrap_or(host);
        let absolute = [host, alias].map(|name| format!("{}.", name.trim_end_matches('.')));
        let is_absolute = |asked: &String| absolute.iter().any(|a| a.eq_ignore_ascii_case(asked));
        let asked = asked.lock().unwrap();
        assert!(asked.iter().all(is_absolute), "{name}: {asked:?}");
    }
}

fn response(said: &Value) -> Vec<u8> {
    let status = said["status"].as_u64().unwrap_or(204);
    let mut text = format!("HTTP/1.1 {status} Said\r\n");
    if let Some(location) = said["location"].as_str() {
        text += &format!("location: {location}\r\n");
    }
    for (name, value) in said["headers"].as_object().into_iter().flatten() {
        text += &format!("{name}: {}\r\n", value.as_str().unwrap());
    }
    // Interim responses have no body, and another response follows them.
    text += if (100..200).contains(&status) { "\r\n" } else { "content-length: 0\r\n\r\n" };
    let repeat = said["repeat"].as_u64().unwrap_or(1);
    text.repeat(usize::try_from(repeat).unwrap()).into_bytes()
}

#[tokio::test]
async fn redirects_and_hints_lead_nowhere() {
    let scenarios = cases("egress/scenarios.json", "ssrf_scenarios.json");
    for case in scenarios.iter().filter(|case| case["kind"] == "redirect") {
        let name = case["name"].as_str().unwrap();
        let said: Vec<u8> =
            case["responses"].as_array().unwrap().iter().flat_map(response).collect();
        let (address, seen) = listen(Then::Keep(said)).await;
        let nameserver = dns_server::answering(["127.1.0.1"]).await;
        let client = client(PUBLIC, resolver(nameserver), None);
        let url = format!("http://ok.example:{}/", address.port());
        for attempt in 1..=2 {
            let reply = call(&client, &url, Duration::from_secs(2)).await.unwrap();
            let delivered = reply.result.is_ok_and(|answer| answer.status / 100 == 2);
            let expect = case["expect"].as_str().unwrap();
            assert_eq!(
                delivered,
                expect.starts_with("delivered") || expect.starts_with("proxy ignored"),
                "{name}"
            );
            let requests = seen.text().matches("POST / HTTP/1.1").count();
            assert_eq!(requests, attempt, "{name}: a call makes one request");
            assert_eq!(reply.address.unwrap().port(), address.port(), "{name}");
        }
    }
}

#[tokio::test]
async fn one_blocked_address_refuses_the_whole_answer() {
    let (address, seen) = listen(Then::Send(OK.to_vec())).await;
    for answer in [&["127.1.0.1", "127.0.0.1"][..], &["127.1.0.1", "::1"], &["::ffff:127.0.0.1"]] {
        let nameserver = dns_server::answering(answer.iter().copied()).await;
        let client = client(PUBLIC, resolver(nameserver), None);
        let url = format!("http://h.test.example:{}/", address.port());
        let reply = call(&client, &url, WAIT).await.unwrap();
        assert_eq!(reply.result.unwrap_err().phase, Phase::Blocked, "{answer:?}");
    }
    assert_eq!(seen.connections(), 0);
}

#[tokio::test]
async fn a_name_with_many_dead_addresses_of_one_family_is_reached_by_the_other() {
    // The server listens on IPv4 alone.
    let (address, _) = listen(Then::Send(OK.to_vec())).await;
    let nameserver = dns_server::answering(["::1", "::1", "::1", "::1", "::1", "127.1.0.1"]).await;
    let guard = Guard {
        allow_http: true,
        allow: vec![PUBLIC.parse().unwrap(), "::1/128".parse().unwrap()],
        ports: vec!["1-65535".parse().unwrap()],
        ..Guard::default()
    };
    let client = sealpost::egress::client::Client::with_roots(
        std::sync::Arc::new(guard),
        resolver(nameserver),
        None,
    )
    .unwrap();
    let url = format!("http://h.test.example:{}/", address.port());
    assert_eq!(call(&client, &url, WAIT).await.unwrap().result.unwrap().status, 204);
}

#[tokio::test]
async fn half_an_answer_serves_if_it_holds_an_address_and_blames_nobody_if_not() {
    let (address, _) = listen(Then::Send(OK.to_vec())).await;
    let url = format!("http://h.test.example:{}/", address.port());
    for (addresses, reached) in [(vec![IpAddr::from([127, 1, 0, 1])], true), (Vec::new(), false)] {
        let answer = Answer::Half(addresses, RecordType::A);
        let (nameserver, _) = dns_server::serve(vec![answer]).await;
        let reply = call(&client(PUBLIC, resolver(nameserver), None), &url, WAIT).await;
        assert_eq!(reply.is_ok_and(|reply| reply.result.is_ok()), reached);
    }
    let answer = Answer::Half(Vec::new(), RecordType::AAAA);
    let (nameserver, _) = dns_server::serve(vec![answer]).await;
    let nobody_s = call(&client(PUBLIC, resolver(nameserver), None), &url, WAIT).await;
    assert!(nobody_s.is_err(), "IPv4 may have an address: the endpoint is not to blame");
}
