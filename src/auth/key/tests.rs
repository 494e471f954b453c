use super::*;

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../../fixtures/keys/", $name))
    };
}

const ED25519: &str = key!("ed25519.pem");
const P256: &str = key!("p256.pem");
const RSA: &str = key!("rsa2048.pem");
const ALL: [Algorithm; 12] = [
    Algorithm::Hs256,
    Algorithm::Hs384,
    Algorithm::Hs512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

fn value(text: impl AsRef<[u8]>) -> SecretBytes {
    SecretBytes::new(text.as_ref().to_vec())
}

fn signing(algorithm: Algorithm, text: impl AsRef<[u8]>) -> Result<SigningKey, String> {
    SigningKey::parse(algorithm, &"s".parse().unwrap(), &value(text)).map_err(|e| e.to_string())
}

fn verifying(algorithm: Algorithm, text: impl AsRef<[u8]>) -> Result<VerifyingKey, String> {
    VerifyingKey::parse(algorithm, &"s".parse().unwrap(), &value(text)).map_err(|e| e.to_string())
}

/// What an algorithm says to a secret that it cannot sign with.
fn problem(algorithm: Algorithm, text: impl AsRef<[u8]>) -> String {
    signing(algorithm, text).err().unwrap()
}

fn own(algorithm: Algorithm) -> &'static str {
    match algorithm.key_type() {
        KeyType::Rsa | KeyType::RsaPss => RSA,
        KeyType::P256 => P256,
        KeyType::P384 => key!("p384.pem"),
        KeyType::Ed25519 => ED25519,
        _ => "a text of thirty-two bytes and more",
    }
}

#[test]
fn every_form_of_a_private_key_signs_what_the_public_key_checks() {
    use Algorithm::*;
    for (algorithm, private, public) in [
        (EdDsa, ED25519, key!("ed25519.pub.pem")),
        (EdDsa, key!("ed25519.jwk.json"), key!("ed25519.pub.pem")),
        (Es256, P256, key!("p256.pub.pem")),
        (Es256, key!("p256.sec1.pem"), key!("p256.pub.pem")),
        (Es256, key!("p256.jwk.json"), key!("p256.pub.pem")),
        (Es384, key!("p384.pem"), key!("p384.pem")),
        (Es384, key!("p384.sec1.pem"), key!("p384.sec1.pem")),
        (Rs256, RSA, key!("rsa2048.pub.pem")),
        (Rs384, key!("rsa2048.pkcs1.pem"), key!("rsa2048.pub.pem")),
        (Rs512, key!("rsa2048.jwk.json"), key!("rsa2048.pub.pem")),
        (Ps256, key!("rsa2048.pkcs1.pem"), key!("rsa2048.pub.pem")),
        (Ps384, RSA, key!("rsa2048.jwk.json")),
        (Ps512, key!("rsa-pss.pem"), key!("rsa-pss.pub.pem")),
        (Hs256, "secret", "base64:c2VjcmV0"),
        (Hs384, "base64:c2VjcmV0\n", r#"{"kty":"oct","k":"c2VjcmV0"}"#),
        (Hs512, r#"{"kty":"oct","k":"c2VjcmV0","alg":"HS512","use":"sig"}"#, "secret"),
    ] {
        let key = signing(algorithm, private).unwrap_or_else(|e| panic!("{algorithm}: {e}"));
        let signature = key.sign(b"message").unwrap();
        for checks in [private, public] {
            let key = verifying(algorithm, checks).unwrap_or_else(|e| panic!("{algorithm}: {e}"));
            assert!(key.is_signature(b"message", &signature), "{algorithm}");
            assert!(!key.is_signature(b"another", &signature), "{algorithm}");
            assert!(!key.is_signature(b"message", &signature[1..]), "{algorithm}");
        }
    }
}

#[test]
fn an_ecdsa_signature_is_two_numbers_of_fixed_length() {
    for _ in 0..20 {
        assert_eq!(signing(Algorithm::Es256, P256).unwrap().sign(b"m").unwrap().len(), 64);
    }
}

#[test]
fn no_algorithm_takes_the_key_of_another_kind() {
    for algorithm in ALL {
        for other in ALL {
            let key = own(other);
            let result = signing(algorithm, key);
            if std::ptr::eq(own(algorithm), key) {
                assert!(result.is_ok(), "{algorithm}");
            } else {
                let problem = result.err().unwrap();
                assert!(problem.contains(algorithm.name()), "{algorithm} of {other}: {problem}");
            }
        }
    }
}

#[test]
fn what_is_no_private_key_is_named() {
    let two = format!("{P256}{ED25519}");
    let with_certificate = format!("{P256}{}", key!("p256.cert.pem"));
    let cut = &P256[..P256.len() - 40];
    let swapped = P256.replace("MIGH", "MIGI");
    let escaped = P256.replace('\n', "\\n");
    let bad_base64 = P256.replace("MIGH", "M!GH");
    for (text, said) in [
        (key!("p256.encrypted.pem"), "encrypted"),
        (key!("p256.encrypted.sec1.pem"), "encrypted"),
        (key!("p256.cert.pem"), "CERTIFICATE"),
        (key!("p256.pub.pem"), "public key"),
        (&two, "2 items in one PEM (PRIVATE KEY, PRIVATE KEY)"),
        (&with_certificate, "2 items"),
        (cut, "does not parse"),
        (&swapped, "damaged"),
        (&escaped, "does not parse"),
        (&bad_base64, "does not parse"),
        ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "damaged"),
        ("-----BEGIN SOMETHING-----\nAAAA\n-----END SOMETHING-----", "unknown name"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "OPENSSH"),
        (
            key!("p384.pem"),
            "found an EC key on the curve P-384; ES256 needs an EC key on the curve P-256",
        ),
        (key!("p384.sec1.pem"), "P-384"),
        (key!("p521.pem"), "P-521"),
        (key!("x25519.pem"), "X25519"),
        (RSA, "RSA"),
        (key!("rsa2048.pkcs1.pem"), "RSA"),
        (ED25519, "Ed25519"),
        ("", "neither PEM nor a JWK"),
        ("hunter2", "neither PEM nor a JWK"),
        ("{}", "without kty"),
        (r#"{"keys": []}"#, "set of JWKs"),
        (r#"{"kty": 1}"#, "no JWK"),
        (r#"{"kty": "EC", "kty": "EC"}"#, "no JWK"),
        (r#"{"kty": "oct", "k": "AAAA"}"#, "symmetric"),
        (r#"{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "AA"}"#, "damaged"),
        (r#"{"kty": "EC", "crv": "P-256", "d": "AA"}"#, "without x"),
        (r#"{"kty": "EC", "crv": "P-256", "x": "A=", "y": "AA"}"#, "base64url"),
        (r#"{"kty": "EC", "crv": "P-256", "use": "enc"}"#, "use or key_ops"),
        (r#"{"kty": "EC", "crv": "P-256", "key_ops": ["deriveKey"]}"#, "use or key_ops"),
        (r#"{"kty": "EC", "crv": "P-256", "alg": "ES384"}"#, "another algorithm than ES256"),
    ] {
        let problem = problem(Algorithm::Es256, text);
        assert!(problem.contains(said), "{said}: {problem}");
    }
    assert!(problem(Algorithm::Hs256, P256).contains("found PEM (PRIVATE KEY)"));
    assert!(problem(Algorithm::Hs256, key!("p256.pub.pem")).contains("found PEM (PUBLIC KEY)"));
    assert!(problem(Algorithm::Hs256, "").contains("empty"));
    assert!(problem(Algorithm::Hs256, "base64:").contains("empty"));
    assert!(problem(Algorithm::Hs256, "base64:%%").contains("not base64"));
    assert!(problem(Algorithm::Rs256, key!("rsa-pss.pem")).contains("RSA-PSS"));
    assert!(problem(Algorithm::Ps512, key!("rsa-pss-sha256.pem")).contains("restricted"));
}

#[test]
fn rsa_keys_under_2048_bits_neither_sign_nor_check() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps512] {
        for key in [key!("rsa1024.pem"), key!("rsa1024.pub.pem")] {
            let problem = verifying(algorithm, key).err().unwrap();
            assert!(problem.contains("under 2048 bits"), "{problem}");
        }
        let jwk = format!(r#"{{"kty": "RSA", "e": "AQAB", "n": "{}"}}"#, "_".repeat(168));
        assert!(verifying(algorithm, jwk).err().unwrap().contains("under 2048 bits"));
    }
}

#[test]
fn halves_of_two_keys_are_no_key() {
    let other = key!("ed25519.jwk.json")
        .replace("\"x\": \"", "\"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\", \"_\": \"");
    assert!(problem(Algorithm::EdDsa, other).contains("do not belong together"));
}

#[test]
fn no_refusal_holds_a_part_of_the_key() {
    let broken = P256.replace("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN ");
    let jwk = key!("p256.jwk.json").replace("\"kty\": \"EC\"", "\"kty\": \"hunter2\"");
    let unread = key!("p256.jwk.json").replace("\"d\": \"", "\"d\": [\"").replace("\"}", "\"]}");
    for text in [&broken, &jwk, &unread, P256, RSA, "hunter2", key!("p256.jwk.json")] {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es384, Algorithm::Ps256] {
            let Err(problem) = signing(algorithm, text) else { continue };
            let windows = text.as_bytes().windows(7).map(String::from_utf8_lossy);
            let leaked: Vec<_> = windows
                .filter(|w| w.bytes().all(|b| b.is_ascii_alphanumeric()) && problem.contains(&**w))
                .collect();
            assert!(leaked.iter().all(|w| "PRIVATE".contains(&**w)), "{problem}: {leaked:?}");
        }
    }
}
