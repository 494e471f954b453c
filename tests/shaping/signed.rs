//! What is signed is what is sent: for every scheme that signs and every way to shape a call, the
//! bytes on the wire are checked as their receiver would.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sealpost::auth::verify::{Captured, Code};
use sealpost::domain::reason::Reason;
use sealpost::ports::Clock;
use serde_json::{Value, json};

use crate::bench::{Bench, loopback, put};
use crate::data::own;
use crate::parameters::{deliver, put_secret_of, web};
use crate::scheme::Case;

/// Ways to shape a call of data that has `id`, `text` and `list`.
fn shapes() -> Vec<Value> {
    vec![
        json!({}),
        json!({"body": {"template": r#"{"n": {{ data.id }}, "t": {{ data.text }}}"#}}),
        json!({"body": {"template": "<a>{{ data.text }}</a>", "contentType": "application/xml"}}),
        json!({"body": {"jmespath": "{id: id, list: list, text: text}"}}),
        json!({"body": {"inputPath": "$.list"}}),
        json!({"body": {"inputTransformer": {"inputPathsMap": {"id": "$.id"}, "inputTemplate": r#"{"id": <id>}"#}}}),
        json!({"body": {"as": {"form": {"arrays": "repeat"}}}}),
        json!({"body": {"jmespath": "to_string(id)", "as": "text"}}),
        json!({"body": {"as": {"cloudEvents": {"source": "/shop", "type": "t"}}}}),
        json!({"body": {"as": {"cloudEvents": {"mode": "binary", "source": "/shop", "type": "t"}}}}),
        json!({"bodyParameters": {"added": {"secret": "added"}}, "headers": {"x-id": {"event": "$.id"}},
               "query": {"q": {"secret": "added"}, "t": {"event": "$.id"}}}),
        json!({"compression": "gzip", "bodyParameters": {"added": "x"}}),
        json!({"profile": "eventbridge"}),
    ]
}

/// One step of each scheme, preset and algorithm, out of the schemes' own cases.
fn steps() -> Vec<Value> {
    let mut steps = BTreeMap::new();
    for scheme in sealpost::auth::REGISTRY {
        for case in own(&format!("auth/{}/cases.json", scheme.name()))["cases"].as_array().unwrap()
        {
            let needs = ["token", "awsCredentials", "challenge"];
            let Some(settings) = case["settings"].as_object().filter(|_| !case["expect"].is_null())
            else {
                continue;
            };
            if needs.iter().any(|need| !case[*need].is_null()) || settings.contains_key("role") {
                continue;
            }
            let text = |name: &str| settings.get(name).map(Value::to_string).unwrap_or_default();
            let kind = (scheme.name(), text("preset"), text("algorithm"));
            let mut case = case.clone();
            case["settings"]["scheme"] = scheme.name().into();
            steps.entry(kind).or_insert(case);
        }
    }
    steps.into_values().collect()
}

/// The case's secrets by name.
fn secrets(case: &Value) -> Vec<(String, String)> {
    let first =
        |value: &Value| value.as_array().map_or(value, |list| &list[0]).as_str().map(str::to_owned);
    let named = case["secrets"].as_object().into_iter().flatten();
    let named = named.map(|(name, value)| (name.clone(), first(value)));
    let single = std::iter::once(("s".to_owned(), first(&case["secret"])));
    named.chain(single).filter_map(|(name, value)| Some((name, value?))).collect()
}

fn captured(origin: &str, bytes: &[u8]) -> Captured {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let method = first.next().unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    Captured {
        method,
        url: format!("{origin}{}", first.next().unwrap()).parse().unwrap(),
        headers: lines.map(header).collect(),
        body: bytes[end + 4..].to_vec().into(),
    }
}

fn data() -> impl Strategy<Value = Value> {
    let number =
        prop_oneof![any::<i64>().prop_map(Value::from), any::<u32>().prop_map(Value::from)];
    (number, "[ -~\u{e9}\u{1f600}]{0,20}", prop::collection::vec("[a-z&=<>\"]{0,5}", 0..4))
        .prop_map(|(id, text, list)| json!({"id": id, "text": text, "list": list}))
}

#[tokio::test]
async fn every_scheme_signs_what_is_sent_whatever_the_call_is_shaped_by() {
    let (web, bench) = (web().await, Bench::open(loopback()).await);
    let mut runner = TestRunner::deterministic();
    let mut checked: BTreeMap<String, usize> = BTreeMap::new();
    for (number, case) in steps().into_iter().enumerate() {
        let customer = format!("c{number}");
        for (id, value) in
            secrets(&case).into_iter().chain([("added".to_owned(), "se\"cret".to_owned())])
        {
            put_secret_of(&bench, &web, &customer, &id, &value).await;
        }
        for (index, shape) in shapes().into_iter().enumerate() {
            let mut endpoint = json!({"customerId": customer, "endpointId": format!("e{index}"),
                "url": format!("{}/in", web.origin),
                "auth": [case["settings"]], "retry": {"maxAttempts": 1}});
            endpoint.as_object_mut().unwrap().extend(shape.as_object().unwrap().clone());
            put(&bench.app, endpoint.clone()).await;
            let data = data().new_tree(&mut runner).unwrap().current();
            let before = web.count();
            deliver(
                &bench,
                json!({"id": format!("evt_{number}_{index}"), "customerId": customer,
                "endpointId": format!("e{index}"), "type": "t", "data": data}),
            )
            .await;
            if web.count() == before {
                // Some schemes take bodies of one kind alone; nothing is sent then.
                continue;
            }
            let bytes = web.requests.lock().unwrap().last().unwrap().clone();
            let mut check = json!({"settings": case["settings"], "seconds": bench.clock.now().as_millis() / 1000});
            check["secrets"] = secrets(&case)
                .into_iter()
                .map(|(n, v)| (n, Value::from(v)))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let request = captured(&web.origin, &bytes);
            let mut found = Case(&check).verify(&request, Duration::from_secs(60));
            found.retain(|finding| finding.code != Code::NotVisible);
            assert!(found.is_empty(), "{endpoint}: {found:?}\n{}", String::from_utf8_lossy(&bytes));
            let scheme = case["settings"]["scheme"].as_str().unwrap();
            *checked.entry(scheme.to_owned()).or_default() += 1;
        }
    }
    for letter in
        bench.app.deliveries.list_dead_letters(&Default::default(), None, 9999).await.unwrap()
    {
        // A signature in the body and compression exclude each other, which registration says.
        let excluded = letter.message.starts_with("compression: ");
        let expected = if excluded { Reason::InvalidEndpoint } else { Reason::AuthFailed };
        assert_eq!(letter.reason, expected, "{}", letter.message);
    }
    for scheme in ["aws_sigv4", "hmac", "http_message_signatures", "jwt", "standard_webhooks"] {
        assert!(
            checked.get(scheme).is_some_and(|count| *count >= shapes().len() - 2),
            "{checked:?}"
        );
    }
}
