//! `Content-Digest` as RFC 9530 has it.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use proptest::prelude::*;
use sealpost::auth::http_message_signatures::content_digest::{
    DigestAlgorithm, Wrong, check, content_digest,
};

use crate::data::shared;

const BOTH: [DigestAlgorithm; 2] = [DigestAlgorithm::Sha256, DigestAlgorithm::Sha512];

#[test]
fn digests_are_written_as_the_cases_say() {
    let Some(file) = shared("rfc9530_content_digest.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        let body = BASE64_STANDARD.decode(case["body_base64"].as_str().unwrap()).unwrap();
        for (algorithm, key) in BOTH.into_iter().zip(["sha_256", "sha_512"]) {
            let written = content_digest(algorithm, &body);
            assert_eq!(Some(written.as_str()), case[key].as_str(), "{}", case["id"]);
            assert_eq!(check(&written, algorithm, &body), Ok(()));
        }
    }
}

#[test]
fn of_several_digests_none_may_be_wrong() {
    let [short, long] = BOTH.map(|algorithm| content_digest(algorithm, b"body"));
    let other = content_digest(DigestAlgorithm::Sha512, b"other");
    let wanted = DigestAlgorithm::Sha256;
    assert_eq!(check(&format!("{long}, {short}"), wanted, b"body"), Ok(()));
    assert_eq!(check(&format!("unixsum=:AAA=:, {short}"), wanted, b"body"), Ok(()));
    assert_eq!(check(&format!("{short}, {other}"), wanted, b"body"), Err(Wrong::Another));
    assert_eq!(check(&long, wanted, b"body"), Err(Wrong::Missing("sha-256")));
    assert_eq!(check("", wanted, b"body"), Err(Wrong::Missing("sha-256")));
    for malformed in ["sha-256=abc", "sha-256=\"a\"", "sha-256=(:AAA=:)", "SHA-256=:AAA=:"] {
        assert_eq!(check(malformed, wanted, b"body"), Err(Wrong::Malformed), "{malformed}");
    }
}

proptest! {
    #[test]
    fn a_digest_fits_one_body_alone(body: Vec<u8>, other: Vec<u8>) {
        for algorithm in BOTH {
            let value = content_digest(algorithm, &body);
            prop_assert_eq!(check(&value, algorithm, &other).is_ok(), body == other);
        }
    }
}
