//! Envelopes.

use sealpost::domain::secret::SecretBytes;
use sealpost::vault::context_bytes;
use sealpost::vault::envelope::Envelope;
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
