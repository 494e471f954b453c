use std::collections::BTreeMap;

use super::*;
use crate::domain::endpoint::AuthStep;
use crate::domain::endpoint::Method;
use crate::domain::field::FieldError;
use crate::domain::request::OutboundRequest;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use serde_json::{Value, json};

fn request(body: &str) -> OutboundRequest {
    let url = "https://a.example/in".parse().unwrap();
    OutboundRequest::new(Method::Post, url, body.to_owned().into())
}

fn chain(steps: Value) -> Result<Chain, FieldError> {
    let steps: Vec<AuthStep> = serde_json::from_value(steps).unwrap();
    Chain::compile(&steps, [Part::Header("x-taken".to_owned())].into_iter())
}

fn apply(
    steps: Value,
    id: &str,
    body: &str,
    secret: &[&str],
) -> Result<OutboundRequest, AuthError> {
    let values = secret.iter().map(|v| SecretBytes::new(v.as_bytes().to_vec())).collect();
    let secrets = BTreeMap::from([("s".parse().unwrap(), values)]);
    let call = Call {
        customer_id: &"c".parse().unwrap(),
        endpoint_id: &"e".parse().unwrap(),
        job_id: &id.parse().unwrap(),
        job_type: None,
        now: Timestamp::from_millis(1_614_265_330_000),
        nonce: &|| "0".repeat(32),
        secrets: &secrets,
        grant: None,
    };
    let mut request = request(body);
    chain(steps).unwrap().apply(&mut request, &call, &[])?;
    Ok(request)
}

fn header(request: &OutboundRequest, name: &str) -> String {
    let header = request.headers.iter().find(|h| h.name == name).unwrap();
    String::from_utf8(header.value.expose().to_vec()).unwrap()
}

#[test]
fn basic_is_as_rfc_7617_has_it() {
    let steps = json!([{"scheme": "basic", "username": "Aladdin", "secret": "s"}]);
    let request = apply(steps, "j", "", &["open sesame"]).unwrap();
    assert_eq!(header(&request, "authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert!(matches!(request.headers[0].value, crate::domain::request::HeaderValue::Secret(_)));
    assert_eq!(
        chain(json!([{"scheme": "basic", "username": "a:b", "secret": "s"}])).err().unwrap().path,
        "auth[0].username"
    );
}

#[test]
fn a_token_that_could_begin_another_header_is_not_sent() {
    for token in ["abc\r\nX: y", "", " x", "é"] {
        assert!(
            apply(json!([{"scheme": "bearer", "secret": "s"}]), "j", "", &[token]).is_err(),
            "{token:?}"
        );
    }
}

#[test]
fn an_api_key_goes_into_a_header_or_the_query() {
    let steps = json!([{"scheme": "api_key", "in": "query", "name": "key", "secret": "s"}]);
    let request = apply(steps, "j", "", &["a&b"]).unwrap();
    assert_eq!(request.full_url().as_str(), "https://a.example/in?key=a%26b");
    assert_eq!(request.url.as_str(), "https://a.example/in");
    let steps = json!([{"scheme": "api_key", "in": "header", "name": "X-Key", "secret": "s", "prefix": "Token "}]);
    assert_eq!(header(&apply(steps, "j", "", &["k"]).unwrap(), "x-key"), "Token k");
}

#[test]
fn standard_webhooks_signs_as_the_specification_s_example_and_with_both_values_in_a_rotation() {
    let steps = || json!([{"scheme": "standard_webhooks", "secret": "s"}]);
    let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "{\"test\": 2432232314}");
    let new = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let request = apply(steps(), id, body, &[new]).unwrap();
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(header(&request, "webhook-signature"), signature);
    assert_eq!(header(&request, "webhook-timestamp"), "1614265330");
    let both = apply(steps(), id, body, &[new, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]).unwrap();
    let rotation = "v1,78nXHjpFP0tVJQW5D0SBwmVyyW87BV/rL6MgfM/Bw44=";
    assert_eq!(header(&both, "webhook-signature"), format!("{signature} {rotation}"));
}

#[test]
fn what_cannot_be_signed_as_configured_is_an_error() {
    let steps = || json!([{"scheme": "standard_webhooks", "secret": "s"}]);
    for secret in ["", "whsec_", "whsec_!!!!", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]
    {
        assert!(apply(steps(), "j", "", &[secret]).is_err(), "{secret}");
    }
    assert!(apply(steps(), "a.b", "", &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).is_err());
    assert!(apply(steps(), "j", "", &[]).is_err());
}

#[test]
fn wrong_steps_are_refused_with_their_path() {
    let path = |steps| chain(steps).err().unwrap().path;
    assert_eq!(path(json!([{"scheme": "nope"}])), "auth[0].scheme");
    assert_eq!(path(json!([{"scheme": "none", "x": 1}])), "auth[0].x");
    let key =
        |name: &str| json!({"scheme": "api_key", "in": "header", "name": name, "secret": "s"});
    assert_eq!(path(json!([key("X-Taken")])), "auth[0]");
    assert_eq!(path(json!([{"scheme": "none"}, key("a"), key("A")])), "auth[2]");
    assert_eq!(path(json!([key("Host")])), "auth[0].name");
}

#[test]
fn no_step_changes_the_url_that_an_earlier_one_signs() {
    let aws = json!({"scheme": "aws_sigv4", "region": "eu-west-1", "service": "lambda",
                     "access_key_id": "AKIDEXAMPLE", "secret": "s"});
    let square = json!({"scheme": "hmac", "preset": "square", "secret": "s"});
    let key = json!({"scheme": "api_key", "in": "query", "name": "k", "secret": "s"});
    assert!(chain(json!([key, aws, square])).is_ok());
    for steps in [json!([square, aws]), json!([square, key]), json!([aws, key])] {
        assert_eq!(chain(steps.clone()).err().unwrap().path, "auth[1]", "{steps}");
    }
}
