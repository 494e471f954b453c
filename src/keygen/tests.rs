use super::*;
use crate::auth::{Chain, REGISTRY};
use crate::domain::endpoint::AuthStep;
use crate::domain::ids::SecretId;
use crate::vault::facts;

fn wanted(scheme: &str) -> Wanted<'_> {
    Wanted { scheme, kind: None, preset: None, bytes: None }
}

/// Whether a step with these settings beside its scheme's example takes the value.
fn is_taken(scheme: &str, settings: serde_json::Value, value: &SecretBytes) -> Result<(), String> {
    let scheme = crate::auth::scheme(scheme).unwrap();
    let mut step: AuthStep = serde_json::from_str(scheme.example()).unwrap();
    for (name, setting) in settings.as_object().unwrap() {
        if setting.is_null() {
            step.settings.remove(name);
        } else {
            step.settings.insert(name.clone(), setting.clone());
        }
    }
    let chain = Chain::compile(&[step], std::iter::empty()).unwrap();
    let ids = chain.secrets();
    let id: &SecretId = ids.first().unwrap();
    chain.check_secret(id, value).map_err(|e| e.to_string())
}

#[test]
fn every_scheme_takes_the_key_that_is_made_for_it_or_says_why_none_is() {
    for scheme in REGISTRY {
        let name = scheme.name();
        let settings = match name {
            "oauth2_client_credentials" => serde_json::json!({
                "client_authentication": "private_key_jwt", "algorithm": "ES256"
            }),
            _ => serde_json::json!({}),
        };
        match generate(wanted(name)) {
            Ok(made) if name == "hmac" => assert!(made.public.is_none()),
            Ok(made) => assert_eq!(is_taken(name, settings, &made.value), Ok(()), "{name}"),
            Err(why) => {
                assert!(["none", "mtls", "aws_sigv4"].contains(&name), "{name}: {why}");
            }
        }
    }
}

#[test]
fn every_kind_of_key_is_taken_by_the_algorithm_that_it_is_for() {
    let cases = [
        ("jwt", Kind::EcP256, serde_json::json!({"algorithm": "ES256"})),
        ("jwt", Kind::Ed25519, serde_json::json!({"algorithm": "EdDSA"})),
        ("jwt", Kind::Symmetric, serde_json::json!({"algorithm": "HS512"})),
        (
            "http_message_signatures",
            Kind::EcP256,
            serde_json::json!({"algorithm": "ecdsa-p256-sha256"}),
        ),
        ("http_message_signatures", Kind::Ed25519, serde_json::json!({"algorithm": "ed25519"})),
        (
            "http_message_signatures",
            Kind::Symmetric,
            serde_json::json!({"algorithm": "hmac-sha256"}),
        ),
        (
            "standard_webhooks",
            Kind::Ed25519,
            serde_json::json!({"secret": null, "ed25519_secret": "s"}),
        ),
    ];
    for (scheme, kind, settings) in cases {
        let made = generate(Wanted { kind: Some(kind), ..wanted(scheme) }).unwrap();
        assert_eq!(is_taken(scheme, settings, &made.value), Ok(()), "{scheme} {kind:?}");
        assert_eq!(made.public.is_some(), kind != Kind::Symmetric);
        // What is kept beside the value is the half that was shown.
        let kept = facts(&made.value).and_then(|facts| facts.public_key);
        assert_eq!(kept, made.public.map(|public| public.pem()), "{scheme} {kind:?}");
    }
    for (scheme, kind) in [("hmac", Kind::Ed25519), ("bearer", Kind::EcP256)] {
        assert!(generate(Wanted { kind: Some(kind), ..wanted(scheme) }).is_err(), "{scheme}");
    }
}

#[test]
fn every_preset_of_hmac_takes_the_key_that_is_made_for_it() {
    for preset in PRESETS {
        let made = generate(Wanted { preset: Some(preset.name), ..wanted("hmac") }).unwrap();
        let settings = serde_json::json!({"preset": preset.name});
        assert_eq!(is_taken("hmac", settings, &made.value), Ok(()), "{}", preset.name);
    }
    let unknown = generate(Wanted { preset: Some("acme"), ..wanted("hmac") }).err().unwrap();
    assert!(unknown.contains("expected one of adyen, "), "{unknown}");
}

#[test]
fn a_standard_webhooks_key_has_24_to_64_random_bytes() {
    for bytes in [24, 64] {
        let made = generate(Wanted { bytes: Some(bytes), ..wanted("standard_webhooks") }).unwrap();
        let text = made.value.expose_str().unwrap();
        let key = BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(key.len(), bytes);
        assert!(key.iter().any(|byte| *byte != key[0]), "random");
    }
    for bytes in [23, 65] {
        assert!(generate(Wanted { bytes: Some(bytes), ..wanted("standard_webhooks") }).is_err());
    }
}

#[test]
fn no_two_keys_are_alike() {
    for scheme in ["standard_webhooks", "jwt", "http_message_signatures", "bearer"] {
        let (one, two) = (generate(wanted(scheme)).unwrap(), generate(wanted(scheme)).unwrap());
        assert!(!one.value.is_same(&two.value), "{scheme}");
    }
}
