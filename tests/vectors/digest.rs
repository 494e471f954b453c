//! HTTP Digest: the examples of RFC 7616, which challenge is answered, and what a server would say.

use std::time::Duration;

use sealpost::auth::digest::{has_challenge, is_stale};
use sealpost::auth::verify::{Captured, Code};
use sealpost::domain::request::HeaderValue;
use serde_json::{Value, json};

use crate::data::shared;
use crate::scheme::{Case, captured};

/// The value of a parameter of an `Authorization` header.
fn parameter(authorization: &str, name: &str) -> Option<String> {
    let read = sealpost::auth::digest::challenge::parse(authorization);
    read[0].get(name).map(str::to_owned)
}

#[test]
fn challenges_are_answered_as_the_examples_of_rfc_7616_and_its_erratum_have_it() {
    let Some(file) = shared("auth_headers.json") else { return };
    let mut seen = 0;
    let cases = file["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == "digest");
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let mut challenge = format!(
            "Digest realm=\"{}\", qop=\"auth, auth-int\", algorithm={}, nonce=\"{}\"",
            text("realm"),
            text("algorithm"),
            text("nonce")
        );
        if let Some(opaque) = case["opaque"].as_str() {
            challenge.push_str(&format!(", opaque=\"{opaque}\""));
        }
        if case["userhash"] == true {
            challenge.push_str(", charset=UTF-8, userhash=true");
        }
        let own = json!({
            "settings": {"scheme": "digest", "username": case["username"], "secret": "s",
                         "qop": case["qop"], "allow_md5": text("algorithm") == "MD5"},
            "secret": case["password"], "method": case["method"], "nonce": case["cnonce"],
            "count": u32::from_str_radix(text("nc"), 16).unwrap(), "challenge": [challenge],
            "url": format!("https://a.example{}", text("uri"))});
        let sent = Case(&own).header("authorization").unwrap();
        let is = |name: &str, key: &str| {
            assert_eq!(parameter(&sent, name).as_deref(), case[key].as_str(), "{name}: {sent}");
        };
        is("response", "expected_response");
        for name in ["realm", "nonce", "uri", "algorithm", "cnonce", "nc", "opaque", "qop"] {
            is(name, name);
        }
        is("username", if case["userhash"] == true { "expected_userhash" } else { "username" });
        seen += 1;
    }
    assert!(seen >= 3);
}

const SHA_256: &str = r#"Digest realm="r", qop="auth", algorithm=SHA-256, nonce="n256""#;
const SHA_512: &str = r#"Digest realm="r", qop="auth", algorithm=SHA-512-256, nonce="n512""#;
const MD5: &str = r#"Digest realm="r", qop="auth", nonce="nMD5""#;

fn case(challenge: &[&str], settings: Value) -> Value {
    let mut all = json!({"scheme": "digest", "username": "u", "secret": "s"});
    for (key, value) in settings.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({"settings": all, "secret": "p", "challenge": challenge, "body": "{}",
           "url": "https://a.example/in?a=1"})
}

fn nonce(challenge: &[&str], settings: Value) -> Result<String, String> {
    let request = Case(&case(challenge, settings)).apply()?;
    let value = request.header("authorization").unwrap();
    assert!(matches!(value, HeaderValue::Secret(_)));
    Ok(parameter(std::str::from_utf8(value.expose()).unwrap(), "nonce").unwrap())
}

#[test]
fn the_best_challenge_is_answered_wherever_it_stands() {
    let md5 = || json!({"allow_md5": true});
    let session = SHA_256.replace("SHA-256", "SHA-256-sess").replace("n256", "sess");
    let both = format!("Basic realm=\"Digest, really\", {MD5}, {SHA_256}");
    let again = SHA_256.replace("n256", "second");
    let cases: &[(&[&str], &str)] = &[
        (&[MD5, SHA_512, SHA_256], "n256"),
        (&[MD5, SHA_512], "n512"),
        (&[MD5], "nMD5"),
        (&[&both], "n256"),
        (&[&session, SHA_256], "n256"),
        (&[SHA_512, &session], "sess"),
        (&[SHA_256, &again], "n256"),
        (&["Negotiate", &SHA_256.to_uppercase().replace("N256", "up")], "up"),
    ];
    for (challenge, expected) in cases {
        assert_eq!(nonce(challenge, md5()).as_deref(), Ok(*expected), "{challenge:?}");
    }
}

#[test]
fn what_is_not_accepted_is_refused_with_what_the_server_offers() {
    let without = |name: &str| {
        let read: Vec<&str> = SHA_256.split(", ").filter(|p| !p.contains(name)).collect();
        read.join(", ").replace("Digest realm", "Digest  realm")
    };
    let no_realm = SHA_256.replace("realm=\"r\", ", "");
    let cases: &[(&str, Value, &str)] = &[
        (MD5, json!({}), "MD5 is used only with allow_md5"),
        ("Basic realm=\"x\"", json!({}), "Basic (not Digest)"),
        (&SHA_256.replace("SHA-256", "SHA-3"), json!({}), "are supported"),
        (&without("qop"), json!({}), "it has no qop"),
        (&without("nonce"), json!({}), "it has no nonce"),
        (&no_realm, json!({}), "it has no realm"),
        (SHA_256, json!({"qop": "auth-int"}), "qop is not auth-int"),
        (&SHA_256.replace("auth", "auth-conf"), json!({}), "qop is not auth or auth-int"),
        (SHA_256, json!({"realm": "other"}), "the realm is not \"other\""),
        (&format!("{SHA_256}, nonce=x"), json!({}), "a parameter is there twice"),
        ("Digest realm=\"", json!({}), "nothing that can be read"),
    ];
    for (challenge, settings, expected) in cases {
        let refused = nonce(&[challenge], settings.clone()).unwrap_err();
        assert!(refused.contains(expected), "{challenge}: {refused}");
    }
    let mut ungranted = case(&[], json!({}));
    ungranted.as_object_mut().unwrap().remove("challenge");
    assert!(Case(&ungranted).apply().err().unwrap().contains("no challenge"));
}

#[test]
fn a_server_cannot_write_headers_or_endless_errors() {
    let line = SHA_256.replace("n256", "a\r\nX: y");
    assert!(nonce(&[&line], json!({})).is_err());
    let long = SHA_256.replace("n256", &"n".repeat(9000));
    assert!(nonce(&[&long], json!({})).is_err());
    let realm = format!("Basic realm=\"{}\"", "r".repeat(5000));
    assert!(nonce(&[&realm], json!({})).unwrap_err().len() < 700);
}

#[test]
fn a_name_beyond_ascii_is_encoded_and_quotes_are_escaped() {
    let challenge = r#"Digest realm="a \"b\"", qop="auth", algorithm=SHA-256, nonce="n""#;
    let named = |name: &str| {
        let case = case(&[challenge], json!({"username": name}));
        Case(&case).header("authorization").unwrap()
    };
    assert!(named("Jäsøn Doe").starts_with("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, "));
    let quoted = named("a\"b");
    assert!(quoted.starts_with(r#"Digest username="a\"b", realm="a \"b\"", uri="/in?a=1""#));
    assert!(Case(&case(&[challenge], json!({"username": "a\nb"}))).apply().is_err());
    assert!(Case(&case(&[challenge], json!({"username": ""}))).apply().is_err());
}

fn found(case: &Value, expected: &Value, change: impl FnOnce(&mut Captured)) -> Vec<String> {
    let mut request = captured(&Case(case).apply().unwrap());
    change(&mut request);
    let found = Case(expected).verify(&request, Duration::from_secs(300));
    assert!(found.iter().all(|f| f.code != Code::NotVisible));
    found.into_iter().map(|finding| finding.message).collect()
}

#[test]
fn auth_int_covers_the_body_and_auth_does_not() {
    let offered = SHA_256.replace("\"auth\"", "\"auth,auth-int\"");
    for (qop, covers) in [("auth", false), ("auth-int", true)] {
        let case = case(&[&offered], json!({"qop": qop}));
        assert_eq!(found(&case, &case, |_| ()), [""; 0]);
        let found = found(&case, &case, |r| r.body = "{ }".into());
        assert_eq!(!found.is_empty(), covers, "{qop}: {found:?}");
    }
    let only = SHA_256.replace("\"auth\"", "auth-int");
    let sent = Case(&case(&[&only], json!({}))).header("authorization").unwrap();
    assert_eq!(parameter(&sent, "qop").as_deref(), Some("auth-int"));
}

#[test]
fn each_thing_that_is_wrong_with_an_answer_is_named_alone() {
    let given = case(&[SHA_256], json!({}));
    let mut other_password = given.clone();
    other_password["secret"] = "q".into();
    let mut rotated = given.clone();
    rotated["secret"] = json!(["q", "p"]);
    assert_eq!(found(&given, &rotated, |_| ()), [""; 0]);
    let other = |settings| case(&[SHA_256], settings);
    let wrong = [
        (other_password, "the response is not"),
        (other(json!({"qop": "auth-int"})), "qop is auth"),
        (other(json!({"realm": "x"})), "the realm is \"r\""),
        (case(&[SHA_512], json!({})), "nonce, realm and opaque"),
    ];
    for (expected, start) in wrong {
        let found = found(&given, &expected, |_| ());
        assert!(found.len() == 1 && found[0].starts_with(start), "{start}: {found:?}");
    }
    let user = found(&given, &other(json!({"username": "v"})), |_| ());
    assert!(user[0].starts_with("the user is"), "{user:?}");
    let uri = found(&given, &given, |r| r.url.set_query(None));
    assert!(uri.len() == 1 && uri[0].starts_with("uri is \"/in?a=1\""), "{uri:?}");
    let method = found(&given, &given, |r| r.method = "PUT".parse().unwrap());
    assert!(method.len() == 1 && method[0].starts_with("the response"), "{method:?}");
    let md5 = case(&[MD5], json!({"allow_md5": true}));
    let md5 = found(&md5, &case(&[MD5], json!({})), |_| ());
    assert!(md5.len() == 1 && md5[0].starts_with("MD5"), "{md5:?}");
}

#[test]
fn an_answer_that_cannot_be_read_is_malformed() {
    let given = case(&[SHA_256], json!({}));
    let sent = Case(&given).header("authorization").unwrap();
    for wrong in [
        "Basic abc".to_owned(),
        sent.replace("nc=00000001", "nc=1"),
        sent.replace("qop=auth", "qop=none"),
        sent.replace("SHA-256", "SHA-1"),
        sent.replace("cnonce", "conce"),
        format!("{sent}, nonce=x"),
        format!("{sent}, Digest a=b"),
    ] {
        let mut request = captured(&Case(&given).apply().unwrap());
        request.headers = vec![("Authorization".to_owned(), wrong.clone())];
        let found = Case(&given).verify(&request, Duration::from_secs(300));
        assert!(found.len() == 1 && found[0].code == Code::Malformed, "{wrong}: {found:?}");
    }
}

#[test]
fn a_stale_nonce_is_told_from_a_wrong_password() {
    let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    let stale = format!("{SHA_256}, stale=TRUE");
    assert!(is_stale(&values(&["Basic realm=x", &stale])));
    assert!(!is_stale(&values(&[SHA_256, "Basic realm=x, stale=true"])));
    assert!(has_challenge(&values(&["Basic realm=x, digest realm=y"])));
    assert!(!has_challenge(&values(&["Basic realm=\"Digest realm=y\""])));
}
