//! AWS Signature Version 4: AWS's own suite, and what a whole request looks like.

use std::time::Duration;

use sealpost::auth::aws_sigv4::canonical::{
    CanonicalRequest, PathRule, canonical_path, canonical_query, sorted,
};
use sealpost::auth::aws_sigv4::signature::{
    ALGORITHM, Scope, amz_date, signature, signing_key, string_to_sign,
};
use sealpost::auth::verify::Code;
use sealpost::domain::request::HeaderValue;
use sealpost::domain::secret::SecretBytes;
use serde_json::{Value, json};

use crate::data::shared;
use crate::scheme::{Case, captured};

/// The request of a case of the suite: path and query, headers, body.
struct Written {
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Written {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let (first, rest) = head.split_once('\n').unwrap_or((head, ""));
        let target = first.split_once(' ').unwrap().1.rsplit_once(' ').unwrap().0;
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in rest.lines() {
            match (line.strip_prefix([' ', '\t']), headers.last_mut()) {
                (Some(_), Some((_, value))) => {
                    value.push('\n');
                    value.push_str(line);
                }
                (Some(_) | None, _) => {
                    let (name, value) = line.split_once(':').unwrap();
                    headers.push((name.to_ascii_lowercase(), value.to_owned()));
                }
            }
        }
        Self { target: target.to_owned(), headers, body: body.to_owned() }
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    fn header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Adds query parameters that are not encoded yet.
    fn parameters(&mut self, added: &[(&str, &str)]) {
        let mut query = url::form_urlencoded::Serializer::new(self.query().to_owned());
        query.extend_pairs(added);
        self.target = format!("{}?{}", self.path(), query.finish());
    }

    fn signed_names(&self) -> String {
        let mut names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(";")
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Canonical request, string to sign and signature of a case.
fn signed(case: &Value) -> [String; 3] {
    let (context, text) = (&case["context"], |v: &Value| v.as_str().unwrap().to_owned());
    let (region, service) = (text(&context["region"]), text(&context["service"]));
    let date = amz_date(text(&context["timestamp"]).parse().unwrap());
    let scope = Scope { day: &date[..8], region: &region, service: &service };
    let mut written = Written::read(case["request"].as_str().unwrap());
    let hash = sha256(written.body.as_bytes());
    let token = case["session_token"].as_str().filter(|_| context["omit_session_token"] != true);
    if case["placement"] == "header" {
        written.header("x-amz-date", &date);
        if context["sign_body"] == true {
            written.header("x-amz-content-sha256", &hash);
        }
        token.into_iter().for_each(|token| written.header("x-amz-security-token", token));
    } else {
        let credential = format!("{}/{scope}", text(&case["access_key_id"]));
        let names = written.signed_names();
        let expires = context["expiration_in_seconds"].to_string();
        written.parameters(&[
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &date),
            ("X-Amz-SignedHeaders", &names),
            ("X-Amz-Expires", &expires),
        ]);
        token.into_iter().for_each(|t| written.parameters(&[("X-Amz-Security-Token", t)]));
    }
    let is_normalised = context["normalize"] == true;
    let rule = if is_normalised { PathRule::Normalised } else { PathRule::Unnormalised };
    let method = text(&case["method"]);
    let canonical = CanonicalRequest {
        method: &method,
        path: canonical_path(written.path(), rule),
        query: canonical_query(written.query()),
        headers: sorted(written.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes()))),
        payload_hash: &hash,
    };
    assert_eq!(canonical.signed_headers(), written.signed_names());
    let mut bytes = Vec::new();
    canonical.write(|piece| bytes.extend_from_slice(piece));
    let to_sign = string_to_sign(&date, &scope, &canonical);
    let secret = SecretBytes::new(text(&case["secret_access_key"]).into_bytes());
    let signature = signature(&signing_key(&secret, &scope), &to_sign);
    [String::from_utf8(bytes).unwrap(), to_sign, signature]
}

#[test]
fn aws_s_own_suite_is_canonicalised_and_signed_as_it_says() {
    let Some(file) = shared("aws_sigv4.json") else { return };
    let cases = file["cases"].as_array().unwrap();
    for case in cases {
        let found = signed(case);
        for (found, key) in found.iter().zip(["canonical_request", "string_to_sign", "signature"]) {
            assert_eq!(Some(found.as_str()), case[key].as_str(), "{}: {key}", case["id"]);
        }
    }
    assert!(cases.len() >= 76);
}

/// The suite's requests whose body is signed are what the scheme itself makes.
#[test]
fn a_request_with_its_body_signed_gets_the_suite_s_authorization_header() {
    let Some(file) = shared("aws_sigv4.json") else { return };
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        if case["placement"] != "header" || case["context"]["sign_body"] != true {
            continue;
        }
        let written = Written::read(case["request"].as_str().unwrap());
        let not_host = written.headers.iter().filter(|(name, _)| name != "host");
        let headers: serde_json::Map<_, _> =
            not_host.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let seconds = case["context"]["timestamp"].as_str().unwrap();
        let seconds: sealpost::domain::timestamp::Timestamp = seconds.parse().unwrap();
        let own = json!({
            "settings": {"scheme": "aws_sigv4", "region": case["context"]["region"],
                         "service": case["context"]["service"],
                         "access_key_id": case["access_key_id"], "secret": "s"},
            "secret": case["secret_access_key"], "seconds": seconds.as_secs(),
            "method": case["method"], "body": written.body, "headers": headers,
            "url": format!("https://example.amazonaws.com{}", written.target)});
        let authorization = Case(&own).header("authorization").unwrap();
        let line = format!("Authorization:{authorization}\n");
        assert!(case["signed_request"].as_str().unwrap().contains(&line), "{authorization}");
        seen += 1;
    }
    assert!(seen >= 2);
}

fn base() -> Value {
    json!({
        "settings": {"scheme": "aws_sigv4", "region": "eu-west-1", "service": "execute-api",
                     "access_key_id": "AKIDEXAMPLE", "secret": "s"},
        "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "seconds": 1_440_938_160,
        "url": "https://a.example:8443/prod/orders?b=2&a=1+1", "body": "{}",
        "headers": {"content-type": "application/json", "user-agent": "x", "webhook-id": "j",
                    "traceparent": "00-1-2-01"}})
}

fn with(mut case: Value, changes: Value) -> Value {
    let settings = |value: &mut Value, changes: &Value| {
        for (key, change) in changes.as_object().unwrap() {
            value[key] = change.clone();
        }
    };
    if let Some(of_settings) = changes.get("settings") {
        settings(&mut case["settings"], of_settings);
        let set = case["settings"].as_object_mut().unwrap();
        set.retain(|_, value| !value.is_null());
    }
    let mut rest = changes;
    rest.as_object_mut().unwrap().remove("settings");
    settings(&mut case, &rest);
    case
}

fn as_role(role: &str) -> Value {
    let settings = json!({"access_key_id": null, "secret": null, "role": role});
    let granted =
        json!({"accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "k", "sessionToken": "t"});
    with(base(), json!({"settings": settings, "awsCredentials": granted}))
}

#[test]
fn what_changes_on_the_way_is_not_signed_and_everything_else_is() {
    let authorization = Case(&base()).header("authorization").unwrap();
    let names = "SignedHeaders=content-type;host;webhook-id;x-amz-content-sha256;x-amz-date,";
    assert!(authorization.contains(names), "{authorization}");
    let request = Case(&base()).apply().unwrap();
    assert!(matches!(request.header("authorization"), Some(HeaderValue::Secret(_))));
    assert_eq!(request.full_url().query(), Some("b=2&a=1%201"), "a space is sent as %20");
}

#[test]
fn a_role_s_credentials_sign_and_without_them_nothing_is_sent() {
    for role in ["worker", "arn:aws:iam::123456789012:role/webhooks"] {
        let case = as_role(role);
        let request = Case(&case).apply().unwrap();
        let token = request.header("x-amz-security-token").unwrap();
        assert!(matches!(token, HeaderValue::Secret(bytes) if bytes.expose() == b"t"));
        let authorization = Case(&case).header("authorization").unwrap();
        assert!(authorization.contains("Credential=ASIAEXAMPLE/20150830/eu-west-1/"));
        assert!(authorization.contains(";x-amz-security-token,"), "{authorization}");
        let refused = Case(&with(case, json!({"awsCredentials": null}))).apply().err().unwrap();
        assert!(refused.contains(role), "{refused}");
    }
}

#[test]
fn settings_that_make_no_whole_are_refused_with_their_path() {
    let role = "arn:aws:iam::123456789012:role/webhooks";
    let wrong = [
        (json!({"region": "eu/west"}), "auth[0].region: "),
        (json!({"service": ""}), "auth[0].service: "),
        (json!({"access_key_id": "a/b"}), "auth[0].access_key_id: "),
        (json!({"secret": null}), "auth[0]: "),
        (json!({"access_key_id": null}), "auth[0]: "),
        (json!({"role": role}), "auth[0].role: "),
        (json!({"access_key_id": null, "secret": null, "role": "admin"}), "auth[0].role: "),
        (json!({"placement": "query"}), "auth[0].placement: "),
    ];
    for (settings, path) in wrong {
        let refused = Case(&with(base(), json!({"settings": settings}))).apply().err().unwrap();
        assert!(refused.starts_with(path), "{settings}: {refused}");
    }
    let spaced = with(base(), json!({"secret": "key\n"}));
    assert!(Case(&spaced).apply().is_err());
}

/// What `verify` says of a case's request after `change`, checked against `expected`.
fn found(
    case: &Value,
    expected: &Value,
    change: impl FnOnce(&mut sealpost::auth::verify::Captured),
) -> Vec<(Code, String)> {
    let mut request = captured(&Case(case).apply().unwrap());
    change(&mut request);
    let found = Case(expected).verify(&request, Duration::from_secs(300));
    found.into_iter().map(|finding| (finding.code, finding.message)).collect()
}

#[test]
fn each_thing_that_is_wrong_with_a_request_is_named_alone() {
    let set = |key: &str, value: &str| with(base(), json!({"settings": {key: value}}));
    let wrong = [
        (set("access_key_id", "AKIDOTHER"), Code::Mismatch, "the access key id is"),
        (set("region", "us-east-1"), Code::Mismatch, "the region is"),
        (set("service", "lambda"), Code::Mismatch, "the service is"),
        (with(base(), json!({"secret": "x"})), Code::Mismatch, "the signature"),
        (with(base(), json!({"seconds": 1_440_938_461})), Code::OutsideTolerance, "x-amz-date"),
        (with(base(), json!({"seconds": 1_440_937_859})), Code::OutsideTolerance, "x-amz-date"),
    ];
    for (expected, code, start) in wrong {
        let found = found(&base(), &expected, |_| ());
        assert_eq!(found.len(), 1, "{start}: {found:?}");
        assert!(found[0].0 == code && found[0].1.starts_with(start), "{start}: {found:?}");
    }
    let rotated = with(base(), json!({"secret": ["new", base()["secret"]]}));
    assert!(found(&base(), &rotated, |_| ()).is_empty(), "the value before is still in use");
}

#[test]
fn a_request_that_was_changed_is_found_out() {
    type Change = fn(&mut sealpost::auth::verify::Captured);
    let changes: [(&str, Change); 9] = [
        ("the signature", |r| r.url.set_query(Some("b=2"))),
        ("the signature", |r| r.url.set_path("/prod")),
        ("the signature", |r| r.method = "PUT".parse().unwrap()),
        ("the signature", |r| r.headers.push(("Webhook-Id".to_owned(), "k".to_owned()))),
        ("the header x-amz-content-sha256", |r| r.body = "{ }".into()),
        ("the header x-amz-meta is not signed", |r| {
            r.headers.push(("X-Amz-Meta".to_owned(), "k".to_owned()));
        }),
        ("the signed header webhook-id", |r| r.headers.retain(|(n, _)| n != "webhook-id")),
        ("there is no header x-amz-date", |r| r.headers.retain(|(n, _)| n != "x-amz-date")),
        ("the header authorization is not", |r| {
            r.headers.retain(|(n, _)| n != "authorization");
            r.headers.push(("authorization".to_owned(), "AWS4-HMAC-SHA256 x".to_owned()));
        }),
    ];
    for (start, change) in changes {
        let found = found(&base(), &base(), change);
        assert!(found.iter().any(|(_, m)| m.starts_with(start)), "{start}: {found:?}");
    }
    let unhurt: [Change; 3] = [
        |r| r.headers.push(("Host".to_owned(), "a.example:8443".to_owned())),
        |r| r.url.set_query(Some("a=1+1&b=2")),
        |r| r.headers.retain(|(n, _)| n != "user-agent" && n != "traceparent"),
    ];
    for change in unhurt {
        assert_eq!(found(&base(), &base(), change), []);
    }
}

#[test]
fn a_session_token_must_be_the_one_of_the_credentials() {
    let role = as_role("worker");
    assert_eq!(found(&role, &role, |_| ()), []);
    let other = json!({"accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "k", "sessionToken": "u"});
    let other = with(role.clone(), json!({"awsCredentials": other}));
    assert_eq!(found(&role, &other, |_| ()).len(), 1);
    let nothing = with(role.clone(), json!({"awsCredentials": null}));
    assert_eq!(found(&role, &nothing, |_| ())[0].0, Code::NotVisible);
}
