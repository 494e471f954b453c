//! `aws_sigv4`, against AWS's own signer.

use sealpost::domain::request::HeaderValue;
use serde_json::{Value, json};

use crate::exchange::{Keys, Receiver, check};
use crate::sender::now;

async fn agrees(service: &str, extra: Value) {
    let mut auth = json!({"scheme": "aws_sigv4", "region": "eu-west-1", "service": service,
                          "access_key_id": "AKIDEXAMPLE", "secret": "s"});
    auth.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let headers = json!({"x-spaced": "a  b   c", "x-order": "2"});
    let receiver = Receiver { headers, ..Receiver::new("python", "aws_sigv4", auth) };
    let known = |secret: &str| {
        json!({"id": "AKIDEXAMPLE", "secret": secret, "region": "eu-west-1", "service": service,
               "token": if extra == json!({}) { Value::Null } else { "token".into() }})
    };
    let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let keys = Keys { theirs: &known(key).to_string(), ours: key, wrong: "another key" };
    let (sender, _server) = check(&receiver, keys).await;
    let header = sender.forge(now(), |request| {
        request.set_header("x-order", HeaderValue::Plain("1".to_owned()));
    });
    assert_eq!(header.await, 401, "a header was changed");
    let query = sender.forge(now(), |request| request.url.set_query(Some("a=2&b=%C3%A9")));
    assert_eq!(query.await, 401, "the query was changed");
}

#[tokio::test]
async fn botocore_agrees() {
    agrees("execute-api", json!({})).await;
}

#[tokio::test]
async fn botocore_agrees_on_temporary_keys() {
    agrees("lambda", json!({"session_token": "t"})).await;
}

#[tokio::test]
async fn botocore_agrees_on_s3_whose_paths_are_signed_as_they_are() {
    agrees("s3", json!({})).await;
}
