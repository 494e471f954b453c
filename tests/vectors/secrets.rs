//! Envelopes.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::context_bytes;
use sealpost::vault::envelope::{Envelope, EnvelopeError};
use serde_json::Value;

use crate::data::shared;

fn hex(case: &Value, key: &str) -> Vec<u8> {
    let text = case[key].as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn context(case: &Value) -> Vec<(&'static str, String)> {
    let pairs = case["context"].as_object().unwrap();
    // Test data lives as long as the test.
    pairs.iter().map(|(k, v)| (&*k.clone().leak(), v.as_str().unwrap().to_owned())).collect()
}

#[test]
fn envelopes_open_and_refuse_as_the_cases_say() {
    let Some(file) = shared("envelope_vectors.json") else { return };
    let mut seen = 0;
    for case in file["cases"].as_array().unwrap() {
        match case["kind"].as_str().unwrap() {
            "context-serialisation" => {
                assert_eq!(context_bytes(&context(case)), hex(case, "serialised_hex"))
            }
            "decrypt" => {
                let (message_id, commitment) =
                    (hex(case, "message_id_hex"), hex(case, "commit_key_hex"));
                let (nonce, sealed) = (hex(case, "nonce_hex"), hex(case, "ciphertext_and_tag_hex"));
                let envelope = Envelope {
                    wrapped_key: &[],
                    message_id: message_id.first_chunk().unwrap(),
                    commitment: commitment.first_chunk().unwrap(),
                    nonce: nonce.first_chunk().unwrap(),
                    sealed: &sealed,
                };
                let opened =
                    envelope.open(&SecretBytes::new(hex(case, "data_key_hex")), &context(case));
                assert_eq!(opened.is_ok(), case["accept"].as_bool().unwrap(), "{}", case["id"]);
                if let (Ok(opened), Some(plain)) = (opened, case["plaintext_utf8"].as_str()) {
                    assert_eq!(opened.expose(), plain.as_bytes());
                }
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen > 10);
}

/// A value sealed under a key that somebody else derived, as an envelope carries it.
fn sealed_under(derived: &[u8], nonce: [u8; 12]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived).unwrap());
    let mut value = b"value".to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut value).unwrap();
    value
}

#[test]
fn keys_and_commitments_are_derived_as_the_aws_encryption_sdk_does_and_another_key_is_refused_first()
 {
    let Some(file) = shared("envelope_vectors.json") else { return };
    let cases = file["cases"].as_array().unwrap().iter();
    let cases = cases.filter(|case| case["kind"] == "hkdf-derive-and-commit");
    let (ours, others): (Vec<_>, Vec<_>) =
        cases.partition(|case| case["algorithm_suite_id"] == "0478");
    assert!(ours.len() >= 3 && others.len() >= 3);
    let other = SecretBytes::new(vec![7; 32]);
    for (case, is_ours) in ours.iter().map(|c| (c, true)).chain(others.iter().map(|c| (c, false))) {
        let (message_id, commitment) = (hex(case, "message_id_hex"), hex(case, "commit_key_hex"));
        let sealed = sealed_under(&hex(case, "derived_key_hex"), [1; 12]);
        let envelope = Envelope {
            wrapped_key: &[],
            message_id: message_id.first_chunk().unwrap(),
            commitment: commitment.first_chunk().unwrap(),
            nonce: &[1; 12],
            sealed: &sealed,
        };
        let opened = envelope.open(&SecretBytes::new(hex(case, "data_key_hex")), &[]);
        assert_eq!(opened.is_ok(), is_ours, "{}", case["id"]);
        assert_eq!(envelope.open(&other, &[]).err(), Some(EnvelopeError::WrongKey));
    }
}

/// What key commitment is for: plain AES-GCM opens one ciphertext under two keys, to two values.
#[test]
fn a_ciphertext_that_opens_under_two_keys_does_not_open_under_the_one_that_is_not_committed_to() {
    let Some(file) = shared("envelope_vectors.json") else { return };
    let cases = file["cases"].as_array().unwrap().iter();
    let cases: Vec<_> = cases.filter(|case| case["kind"] == "key-commitment").collect();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let nonce: [u8; 12] = hex(case, "nonce_hex").try_into().unwrap();
        let sealed = [hex(case, "ciphertext_hex"), hex(case, "tag_hex")].concat();
        for name in ["key_1_hex", "key_2_hex"] {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &hex(case, name)).unwrap());
            let (mut buffer, aad) = (sealed.clone(), Aad::from(hex(case, "aad_hex")));
            let nonce = Nonce::assume_unique_for_key(nonce);
            assert!(key.open_in_place(nonce, aad, &mut buffer).is_ok(), "{}", case["id"]);
        }
        // Neither is what the envelope derives of its data key, whichever of the two is given as that.
        let committed = [9; 32];
        let envelope = Envelope {
            wrapped_key: &[],
            message_id: &[0; 32],
            commitment: &committed,
            nonce: &nonce,
            sealed: &sealed,
        };
        for name in ["key_1_hex", "key_2_hex"] {
            let refused = envelope.open(&SecretBytes::new(hex(case, name)), &[]).err();
            assert_eq!(refused, Some(EnvelopeError::WrongKey));
        }
    }
}
