//! Registering credentials: what is wrong is said when it is stored, and nothing secret is shown.

use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::program::Program;

const ORIGIN: [&str; 2] = ["--origin", "https://a.example"];

fn put_secret<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["secret", "put", "c", id], &ORIGIN[..], more].concat()
}

fn endpoint(auth: Value) -> String {
    json!({"customerId": "c", "endpointId": "e", "url": "https://a.example/in", "auth": auth})
        .to_string()
}

/// A client certificate that ends in so many days, with its key.
#[allow(clippy::disallowed_methods, reason = "the program compares it with the machine's clock")]
fn certificate(days: i64) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "acme client");
    params.not_after = OffsetDateTime::now_utc() + Duration::days(days);
    params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
}

#[test]
fn a_value_that_no_step_could_use_is_refused_when_it_is_put() {
    let program = Program::new();
    let refused = program.fails(&put_secret("tls", &["--scheme", "mtls"]), b"hunter2");
    assert!(refused.contains("there is no certificate in it"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    let refused = program.fails(&put_secret("tls", &["--scheme", "tls"]), b"x");
    assert!(refused.contains("\"tls\" is not a scheme: expected one of none, basic"), "{refused}");
    let auth = json!([{"scheme": "none"}, {"scheme": "mtls", "secret": "tls"}]);
    program.ok(&["endpoint", "put", "-"], &endpoint(auth));
    let refused = program.fails(&put_secret("tls", &[]), b"hunter2");
    assert!(
        refused.contains("endpoint e.auth[1]: secret tls: there is no certificate"),
        "{refused}"
    );
    program.ok(&put_secret("tls", &[]), &certificate(90));
}

#[test]
fn an_endpoint_whose_secret_is_there_and_wrong_is_refused() {
    let program = Program::new();
    program.ok(&put_secret("tls", &[]), "hunter2");
    let auth = json!([{"scheme": "mtls", "secret": "tls"}]);
    let refused = program.fails(&["endpoint", "put", "-"], endpoint(auth).as_bytes());
    assert!(refused.contains("auth[0]: secret tls: there is no certificate"), "{refused}");
    program.ok(&put_secret("path", &[]), "../x");
    let url =
        json!({"customerId": "c", "endpointId": "e", "url": "https://a.example/{secret:path}"});
    let refused = program.fails(&["endpoint", "put", "-"], url.to_string().as_bytes());
    assert!(
        refused.contains("url: secret path: ")
            && refused.contains("expected a part of a URL's path")
    );
}

#[test]
fn the_end_of_a_certificate_is_shown_and_warned_about() {
    let program = Program::new();
    let put = |id: &str, days| {
        let output =
            program.run(&put_secret(id, &["--scheme", "mtls"]), certificate(days).as_bytes());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(put("long", 90), "");
    assert!(put("short", 7).contains("warning: the certificate in c/short ends at"));
    assert!(put("over", -7).contains("warning: the certificate in c/over ended at"));
    let output = program.run(&["secret", "list", "--json"], b"");
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(warned.contains("c/short ends") && warned.contains("c/over ended"), "{warned}");
    assert!(!warned.contains("c/long"), "{warned}");
    let listed = String::from_utf8(output.stdout).unwrap();
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["secretId"], &first["certificateSubject"]),
        (&json!("long"), &json!("CN=acme client"))
    );
    assert!(first["notAfter"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_secret_in_a_url_is_masked_until_it_is_revealed() {
    let program = Program::new();
    program.ok(&put_secret("path", &[]), "T00/B00/canary");
    let url = "https://a.example/services/{secret:path}/*?v=1";
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": url});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let job = json!({"customerId": "c", "endpointId": "e", "pathParameters": ["x"]}).to_string();
    let shown = program.ok(&["preview", "-"], &job);
    assert!(shown.starts_with("POST https://a.example/services/********/x?v=1\n"), "{shown}");
    let shown = program.ok(&["preview", "-", "--reveal"], &job);
    assert!(shown.starts_with("POST https://a.example/services/T00/B00/canary/x?v=1\n"), "{shown}");
}

#[test]
fn verify_says_whether_a_request_is_authentic_and_leaves_with_a_status() {
    let program = Program::new();
    let request = "POST /in HTTP/1.1\r\nHost: a.example\r\nX-Key: Token k\r\n\r\n{}";
    let file = program.data().join("request.http");
    std::fs::write(&file, request).unwrap();
    let (file, key) = (file.to_str().unwrap(), program.data().join("key"));
    std::fs::write(&key, "k\n").unwrap();
    let step =
        r#"{"scheme":"api_key","in":"header","name":"X-Key","secret":"s","prefix":"Token "}"#;
    let verify = ["verify", file, "--step", step, "--secret-file", key.to_str().unwrap()];
    assert_eq!(program.ok(&verify, ""), "authentic\n");
    std::fs::write(&key, "other\n").unwrap();
    let output = program.run(&[&verify[..], &["--json"]].concat(), b"");
    assert_eq!(output.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&said["authentic"], &said["findings"][0]["code"]),
        (&json!(false), &json!("mismatch"))
    );
    // A step that leaves nothing to be seen in a request neither proves nor disproves it.
    let both =
        json!([{"scheme": "mtls", "secret": "tls"}, serde_json::from_str::<Value>(step).unwrap()]);
    program.ok(&put_secret("tls", &[]), &certificate(90));
    program.ok(&put_secret("s", &[]), "k");
    program.ok(&["endpoint", "put", "-"], &endpoint(both));
    let said = program.ok(&["verify", file, "--endpoint", "c/e"], "");
    assert!(said.starts_with("authentic:\n- a client certificate"), "{said}");
    let alone = json!([{"scheme": "mtls", "secret": "tls"}]);
    program.ok(&["endpoint", "put", "-"], &endpoint(alone));
    let output = program.run(&["verify", file, "--endpoint", "c/e"], b"");
    assert!(output.status.code() == Some(1) && output.stdout.starts_with(b"not authentic:"));
    // With a registered endpoint, its own steps and secrets count.
    program.ok(&put_secret("s", &[]), "k");
    program.ok(
        &["endpoint", "put", "-"],
        &endpoint(json!([serde_json::from_str::<Value>(step).unwrap()])),
    );
    assert_eq!(program.ok(&["verify", file, "--endpoint", "c/e"], ""), "authentic\n");
    let complaint = program.fails(&["verify", "-", "--endpoint", "c/e"], b"hello");
    assert!(complaint.contains("there is no empty line after the headers"), "{complaint}");
    program.ok(&["endpoint", "put", "-"], &endpoint(json!([])));
    let complaint = program.fails(&["verify", file, "--endpoint", "c/e"], b"");
    assert!(complaint.contains("has no auth steps"), "{complaint}");
}
