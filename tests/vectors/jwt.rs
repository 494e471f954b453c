//! JSON Web Tokens against the cases of the RFCs, and against whoever changes a request.

use std::time::Duration;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use proptest::prelude::*;
use sealpost::auth::jws::{Token, compact, sign};
use sealpost::auth::key::{Algorithm, SigningKey, VerifyingKey};
use sealpost::auth::verify::{Captured, Code};
use sealpost::domain::secret::SecretBytes;
use serde_json::{Value, json};

use crate::data::{key, shared};
use crate::scheme::{Case, captured};

const TOLERANCE: Duration = Duration::from_secs(300);

fn signing(algorithm: Algorithm, secret: &str) -> SigningKey {
    let value = SecretBytes::new(secret.as_bytes().to_vec());
    SigningKey::parse(algorithm, &"s".parse().unwrap(), &value).unwrap()
}

fn verifying(algorithm: Algorithm, secret: &str) -> VerifyingKey {
    let value = SecretBytes::new(secret.as_bytes().to_vec());
    VerifyingKey::parse(algorithm, &"s".parse().unwrap(), &value).unwrap()
}

fn decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn shared_case(id: &str) -> Option<Value> {
    let file = shared("auth_headers.json")?;
    file["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).cloned()
}

#[test]
fn hs256_signs_as_appendix_a_1_of_rfc_7515() {
    let Some(case) = shared_case("rfc7515-A.1") else { return };
    let jwk = json!({"kty": "oct", "k": case["key_jwk_k"]}).to_string();
    let part = |name: &str| decoded(case[name].as_str().unwrap());
    let key = signing(Algorithm::Hs256, &jwk);
    let token = compact(&key, &part("header_b64u"), &part("payload_b64u")).unwrap();
    assert_eq!(Some(token.as_str()), case["expected"].as_str());
    let read = Token::parse(&token).unwrap();
    assert!(read.is_signed_by(&verifying(Algorithm::Hs256, &jwk)));
    assert_eq!(read.claims().unwrap()["iss"], "joe");
}

#[test]
fn eddsa_signs_as_appendix_a_4_of_rfc_8037() {
    let Some(case) = shared_case("rfc8037-A.4") else { return };
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "d": case["jwk_d"], "x": case["jwk_x"]});
    let key = signing(Algorithm::EdDsa, &jwk.to_string());
    let token = compact(&key, br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing").unwrap();
    assert_eq!(Some(token.as_str()), case["expected"].as_str());
    let public = json!({"kty": "OKP", "crv": "Ed25519", "x": case["jwk_x"]}).to_string();
    assert!(Token::parse(&token).unwrap().is_signed_by(&verifying(Algorithm::EdDsa, &public)));
}

#[test]
fn the_es256_token_of_appendix_a_3_of_rfc_7515_is_accepted_and_its_key_signs() {
    let Some(case) = shared_case("rfc7515-A.3") else { return };
    let text = |name: &str| case[name].as_str().unwrap().to_owned();
    let jwk = case["jwk"].to_string();
    let token = format!("{}.{}", text("signing_input"), text("signature_b64u"));
    assert!(Token::parse(&token).unwrap().is_signed_by(&verifying(Algorithm::Es256, &jwk)));
    let own = compact(&signing(Algorithm::Es256, &jwk), br#"{"alg":"ES256"}"#, b"{}").unwrap();
    assert!(Token::parse(&own).unwrap().is_signed_by(&verifying(Algorithm::Es256, &jwk)));
}

#[test]
fn an_assertion_of_rfc_7523_has_its_claims_and_no_others() {
    let Some(case) = shared_case("rfc7523-2.2") else { return };
    let claims = json!({"iss": "client", "sub": "client", "aud": "https://as.example/token",
                        "exp": 1300, "iat": 1000, "jti": "1"});
    let token = sign(
        &signing(Algorithm::Es256, &key("p256.pem")),
        Some("k"),
        Some("JWT"),
        claims.as_object().unwrap(),
    )
    .unwrap();
    let read = Token::parse(&token).unwrap();
    assert_eq!(read.header.kid.as_deref(), Some("k"));
    let read = read.claims().unwrap();
    for name in case["jwt_claims_required"].as_array().unwrap() {
        assert!(read.contains_key(name.as_str().unwrap()), "{name}");
    }
    assert_eq!(Value::Object(read), claims);
}

/// Asked of the cryptography itself, without a line of ours between.
fn is_signature(verification: &'static dyn VerificationAlgorithm, pem: &str, token: &str) -> bool {
    let der: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(verification, BASE64_STANDARD.decode(der).unwrap());
    key.verify(message.as_bytes(), &decoded(signature)).is_ok()
}

#[test]
fn what_is_signed_with_a_private_key_is_a_signature_of_its_public_key() {
    let cases: [(&str, &'static dyn VerificationAlgorithm, &str, &str); 6] = [
        ("ES256", &signature::ECDSA_P256_SHA256_FIXED, "p256.jwk.json", "p256.pub.pem"),
        ("RS256", &signature::RSA_PKCS1_2048_8192_SHA256, "rsa2048.pem", "rsa2048.pub.pem"),
        ("RS384", &signature::RSA_PKCS1_2048_8192_SHA384, "rsa2048.pem", "rsa2048.pub.pem"),
        ("PS256", &signature::RSA_PSS_2048_8192_SHA256, "rsa2048.jwk.json", "rsa2048.pub.pem"),
        ("PS512", &signature::RSA_PSS_2048_8192_SHA512, "rsa2048.pkcs1.pem", "rsa2048.pub.pem"),
        ("EdDSA", &signature::ED25519, "ed25519.pem", "ed25519.pub.pem"),
    ];
    for (algorithm, verification, private, public) in cases {
        let mut own = own_case(algorithm, &key(private));
        let request = Case(&own).apply().unwrap();
        let token = Case(&own).header("authorization").unwrap();
        let token = token.strip_prefix("Bearer ").unwrap();
        assert!(is_signature(verification, &key(public), token), "{algorithm}");
        own["secret"] = key(public).into();
        assert!(Case(&own).verify(&captured(&request), TOLERANCE).is_empty(), "{algorithm}");
        assert!(Case(&own).apply().is_err(), "{algorithm}: a public key signs nothing");
    }
}

fn own_case(algorithm: &str, secret: &str) -> Value {
    json!({"settings": {"scheme": "jwt", "algorithm": algorithm, "secret": "s", "kid": "k",
                        "issuer": "acme", "audience": "{url}", "nbf": true,
                        "claims": {"job": {"id": "{job.id}", "of": ["{method}", 1]}},
                        "body_hash": {"claim": "bh"}},
           "secret": secret, "seconds": 1000, "url": "https://a.example/in?x=1", "body": "{}"})
}

/// A request with a token of these claims, signed under `HS256` with the secret of [`own_case`].
fn with_claims(sent: &Captured, change: &dyn Fn(&mut serde_json::Map<String, Value>)) -> Captured {
    let mut changed = sent.clone();
    let value = &mut changed.headers[0].1;
    let mut claims =
        Token::parse(value.strip_prefix("Bearer ").unwrap()).unwrap().claims().unwrap();
    change(&mut claims);
    let key = signing(Algorithm::Hs256, "secret");
    *value = format!("Bearer {}", sign(&key, Some("k"), Some("JWT"), &claims).unwrap());
    changed
}

#[test]
fn a_token_is_a_credential() {
    let request = Case(&own_case("HS256", "secret")).apply().unwrap();
    let value = &request.headers[0].value;
    assert!(matches!(value, sealpost::domain::request::HeaderValue::Secret(_)));
}

#[test]
fn every_claim_that_is_wrong_has_its_code() {
    let own = own_case("HS256", "secret");
    let sent = captured(&Case(&own).apply().unwrap());
    let codes = |captured: &Captured| {
        Case(&own).verify(captured, TOLERANCE).iter().map(|f| f.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&with_claims(&sent, &|_| ())), []);
    for (name, value, code) in [
        ("exp", json!(699), Code::OutsideTolerance),
        ("exp", json!("1300"), Code::Malformed),
        ("iat", json!(1301), Code::OutsideTolerance),
        ("iat", json!(null), Code::Malformed),
        ("nbf", json!(1301.5), Code::OutsideTolerance),
        ("jti", json!(1), Code::Malformed),
        ("iss", json!("other"), Code::Mismatch),
        ("aud", json!(["https://a.example/in?x=1"]), Code::Mismatch),
        ("aud", json!("https://a.example/in"), Code::Mismatch),
        ("job", json!({"id": "j", "of": ["POST", 2]}), Code::Mismatch),
        ("job", json!({"id": "j", "of": ["PUT", 1]}), Code::Mismatch),
        ("job", json!({"id": "j", "of": ["POST"]}), Code::Mismatch),
        ("job", json!({"id": 1, "of": ["POST", 1]}), Code::Mismatch),
        ("job", json!({"id": "j", "of": ["POST", 1], "more": 1}), Code::Mismatch),
        ("bh", json!("00"), Code::BodyChanged),
    ] {
        let set = |claims: &mut serde_json::Map<String, Value>| {
            claims.insert(name.to_owned(), value.clone());
        };
        assert_eq!(codes(&with_claims(&sent, &set)), [code], "{name}: {value}");
    }
    for name in ["exp", "iat", "nbf", "jti", "iss", "aud", "job", "bh"] {
        let drop = |claims: &mut serde_json::Map<String, Value>| {
            claims.remove(name).unwrap();
        };
        assert_eq!(codes(&with_claims(&sent, &drop)).len(), 1, "{name}");
    }
    // Placeholders: another job's id is nothing that the request shows.
    let set = |claims: &mut serde_json::Map<String, Value>| claims["job"]["id"] = "other".into();
    assert_eq!(codes(&with_claims(&sent, &set)), []);
    let mut changed = sent.clone();
    changed.body = "{ }".into();
    assert_eq!(codes(&changed), [Code::BodyChanged]);
}

#[test]
fn every_fault_of_a_token_has_its_code() {
    let own = own_case("HS256", "secret");
    let sent = captured(&Case(&own).apply().unwrap());
    let code = |own: &Value, value: Option<&str>| {
        let mut changed = sent.clone();
        changed.headers[0].1 = value.unwrap_or(&changed.headers[0].1).to_owned();
        Case(own).verify(&changed, TOLERANCE).first().map(|f| f.code)
    };
    let with = |pointer: &str, value: Value| {
        let mut own = own.clone();
        *own.pointer_mut(pointer).unwrap() = value;
        own
    };
    let value = sent.headers[0].1.clone();
    let token = value.strip_prefix("Bearer ").unwrap();
    assert_eq!(code(&own, None), None);
    for bad in
        [token, "Bearer ", "Bearer a.b", "Basic YTpi", &format!("{value}.AA"), &format!("{value}=")]
    {
        assert_eq!(code(&own, Some(bad)), Some(Code::Malformed), "{bad}");
    }
    let payload = token.split('.').nth(1).unwrap();
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    assert_eq!(code(&own, Some(&format!("Bearer {none}.{payload}."))), Some(Code::Mismatch));
    for algorithm in ["HS384", "HS512"] {
        assert_eq!(
            code(&with("/settings/algorithm", algorithm.into()), None),
            Some(Code::Mismatch)
        );
    }
    assert_eq!(code(&with("/settings/kid", "other".into()), None), Some(Code::Mismatch));
    assert_eq!(code(&with("/secret", "other".into()), None), Some(Code::Mismatch));
    assert_eq!(code(&with("/secret", json!(["new", "secret"])), None), None);
    assert_eq!(code(&with("/secret", "c2VjcmV0".into()), None), Some(Code::KeyDecoding));
    assert_eq!(code(&with("/secret", "secret\n".into()), None), Some(Code::KeyDecoding));
    assert_eq!(code(&with("/secret", "".into()), None), Some(Code::Secret));
    for (seconds, expected) in [
        (699, Some(Code::OutsideTolerance)),
        (700, None),
        (1600, None),
        (1601, Some(Code::OutsideTolerance)),
    ] {
        assert_eq!(code(&with("/seconds", seconds.into()), None), expected, "{seconds}");
    }
    let mut without = sent.clone();
    without.headers.clear();
    assert_eq!(Case(&own).verify(&without, TOLERANCE)[0].code, Code::HeaderMissing);
}

/// The classic confusion: a token under HS256 whose key is the public key that everybody knows.
#[test]
fn a_public_key_is_never_taken_for_a_shared_one() {
    let public = key("p256.pub.pem");
    let own = own_case("ES256", &public);
    let shared = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let sent = captured(&Case(&own_case("ES256", &key("p256.pem"))).apply().unwrap());
    let payload = sent.headers[0].1.split('.').nth(1).unwrap().to_owned();
    for alg in ["HS256", "ES256"] {
        let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"k"}}"#));
        let message = format!("{header}.{payload}");
        let tag = BASE64_URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&shared, message.as_bytes()));
        let mut forged = sent.clone();
        forged.headers[0].1 = format!("Bearer {message}.{tag}");
        assert_eq!(Case(&own).verify(&forged, TOLERANCE)[0].code, Code::Mismatch, "{alg}");
    }
}

proptest! {
    #[test]
    fn no_byte_of_the_body_the_url_or_the_token_can_be_changed(
        body in "[ -~]{1,40}", path in "[a-z]{1,20}", what in 0..4_usize, at: prop::sample::Index,
    ) {
        let mut own = own_case("HS256", "secret");
        own["body"] = body.as_str().into();
        own["url"] = format!("https://a.example/{path}?{path}").into();
        let sent = captured(&Case(&own).apply().unwrap());
        prop_assert!(Case(&own).verify(&sent, TOLERANCE).is_empty());
        let changed = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            String::from_utf8(bytes).unwrap()
        };
        let mut other = sent.clone();
        match what {
            0 => other.body = changed(&body).into(),
            1 => other.url.set_path(&changed(&path)),
            2 => other.url.set_query(Some(&changed(&path))),
            _ => other.headers[0].1 = changed(&other.headers[0].1),
        }
        prop_assert!(!Case(&own).verify(&other, TOLERANCE).is_empty());
    }
}
