use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use serde_json::json;

use super::*;
use crate::domain::job::Payload;

fn read_bytes(text: &str, pointers: &Pointers) -> Result<Job, Undecodable> {
    super::read(&Bytes::copy_from_slice(text.as_bytes()), pointers)
}

fn read(text: &str) -> Result<Job, Undecodable> {
    read_bytes(text, &Pointers::default())
}

fn eventbridge(detail: &str) -> String {
    format!(
        r#"{{"version":"0","id":"6a7e8feb","detail-type":"order.created","source":"shop","detail":{detail}}}"#
    )
}

fn cloudevent(source: &str, id: &str, data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"order.created","customerid":"c","source":"{source}","id":"{id}","data":{data}}}"#
    )
}

fn sns(message: &str) -> String {
    let attribute = |value| json!({"Type": "String", "Value": value});
    json!({
        "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:1:t",
        "Message": message,
        "MessageAttributes": {"customerId": attribute("c"), "endpointId": attribute("e"),
            "eventType": attribute("order.paid")},
    })
    .to_string()
}

fn problem(text: &str) -> (String, String) {
    let refused = read(text).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidJob, "{text}");
    (refused.error.path, refused.error.problem)
}

#[test]
fn an_eventbridge_event_is_delivered_as_it_came() {
    let event = eventbridge(r#"{"customerId": 42, "endpointId":"e", "total": 10.50}"#);
    let job = read(&event).unwrap();
    assert_eq!((job.envelope, job.customer_id.as_str()), (Envelope::EventBridge, "42"));
    assert_eq!((job.id.unwrap().as_str(), job.endpoint_id.unwrap().as_str()), ("6a7e8feb", "e"));
    assert_eq!(job.event_type.as_deref(), Some("order.created"));
    assert_eq!(job.payload, Payload::of(&event, "application/json"));
}

#[test]
fn two_sources_of_cloudevents_never_share_an_id() {
    let id = |source, id| read(&cloudevent(source, id, "1")).unwrap().id.unwrap();
    assert_ne!(id("/a", "1"), id("/b", "1"));
    assert_ne!(id("/a1", "1"), id("/a", "11"));
    assert_eq!(id("/a", "1"), id("/a", "1"));
    let long = id(&"s".repeat(5000), "ü.ü");
    assert!(!long.as_str().contains('.'), "Standard Webhooks takes no dot");
    let job = read(&cloudevent("/a", "1", "1")).unwrap();
    assert_eq!(job.payload.content_type.as_deref(), Some("application/cloudevents+json"));
    assert_eq!((job.envelope, job.endpoint_id), (Envelope::CloudEvents, None));
}

#[test]
fn a_notification_is_taken_for_what_its_message_is_one_level_deep() {
    let inner = |message: &str| read(&sns(message)).unwrap();
    let text = inner("Grüße");
    assert_eq!(text.payload, Payload::of("Grüße", "text/plain; charset=utf-8"));
    assert_eq!((text.envelope, text.id.unwrap().as_str()), (Envelope::Sns, "m-1"));
    assert_eq!(text.event_type.as_deref(), Some("order.paid"));
    assert_eq!(inner("[1.0]").payload, Payload::of("[1.0]", "application/json"));
    let job = inner(r#"{"customerId":"other","endpointId":"o","data":1}"#);
    assert_eq!((job.envelope, job.customer_id.as_str()), (Envelope::Job, "other"));
    assert_eq!(job.id.unwrap().as_str(), "m-1");
    let event = eventbridge(r#"{"customerId":"x"}"#);
    assert_eq!(inner(&event).customer_id.as_str(), "x");
    assert_eq!(inner(&cloudevent("/a", "1", "1")).envelope, Envelope::CloudEvents);
    let twice = sns("deep");
    assert_eq!(inner(&twice).payload, Payload::of(&twice, "application/json"));
}

#[test]
fn a_complaint_names_the_pointer_and_its_setting() {
    for (text, path, words) in [
        (eventbridge("{}"), "/detail/customerId", "envelopes.eventbridge_customer"),
        (eventbridge(r#"{"customerId":1.5}"#), "/detail/customerId", "whole number"),
        (eventbridge(r#"{"customerId":"a/b"}"#), "/detail/customerId", "customer id"),
        (
            eventbridge(r#"{"customerId":"c","endpointId":{}}"#),
            "/detail/endpointId",
            "eventbridge_endpoint",
        ),
        (r#"{"specversion":"0.3"}"#.to_owned(), "specversion", "1.0"),
        (cloudevent("", "1", "1"), "source", "not empty"),
        (sns(&eventbridge("{}")), "Message./detail/customerId", "eventbridge_customer"),
        (
            sns(r#"{"data":1}"#).replace("customerId", "customer"),
            "/MessageAttributes/customerId/Value",
            "its Message is no job",
        ),
        (sns("x").replace("Notification", "SubscriptionConfirmation"), "Type", "SubscribeURL"),
        (sns("x").replace("Notification", "UnsubscribeConfirmation"), "Type", "subscribe"),
        (r#"{"hello":1}"#.to_owned(), "hello", "CloudEvents"),
        (r#"{"data":1}"#.to_owned(), "", "EventBridge"),
    ] {
        let (found, problem) = problem(&text);
        assert_eq!(found, path, "{text}: {problem}");
        assert!(problem.contains(words), "{text}: {problem}");
    }
}

#[test]
fn the_settings_say_where_the_ids_stand() {
    let pointers =
        Pointers { eventbridge_customer: "/resources/0".parse().unwrap(), ..Pointers::default() };
    let event = eventbridge("{}").replace("\"version\"", "\"resources\":[\"acme\"],\"version\"");
    let job = read_bytes(&event, &pointers).unwrap();
    assert_eq!(job.customer_id.as_str(), "acme");
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4);
        let object = proptest::collection::vec(("[a-z]{0,3}", inner), 0..4);
        prop_oneof![
            list.prop_map(|items| format!("[{}]", items.join(" , "))),
            object.prop_map(|fields| {
                let field = |(name, value): (String, String)| format!("\"{name}\": {value}");
                format!("{{{}}}", fields.into_iter().map(field).collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in any::<Vec<u8>>(), text in "[\\[\\]{}:,\"a-zA-Z0-9.~/-]{0,200}") {
        let pointers = Pointers::default();
        let _ = super::read(&bytes.into(), &pointers);
        let _ = read_bytes(&text, &pointers);
        let _ = read_bytes(&sns(&text), &pointers);
    }

    #[test]
    fn any_json_inside_keeps_its_text(value in json_text()) {
        let event = eventbridge(&format!(r#"{{"customerId":"c","more":{value}}}"#));
        prop_assert_eq!(read(&event).unwrap().payload.bytes, event.as_bytes());
        let event = cloudevent("/a", "1", &value);
        prop_assert_eq!(read(&event).unwrap().payload.bytes, event.as_bytes());
        prop_assert_eq!(read(&sns(&value)).unwrap().payload.bytes, value.as_bytes());
    }
}

#[test]
fn nesting_does_no_harm() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let event = eventbridge(&format!(r#"{{"customerId":"c","more":{deep}}}"#));
    assert_eq!(read(&event).unwrap().payload.bytes, event.as_bytes());
}
