//! Keys as their owners make them: the private one in PEM for the sender, the public one for the receiver.

use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};

/// Two keys of one kind: one that the receiver knows, and a stranger's.
pub struct TwoKeys {
    pub public: String,
    pub private: String,
    pub other: String,
}

/// Keys for an algorithm by its name in JOSE (RFC 7518) or of HTTP Message Signatures (RFC 9421).
pub fn two_keys(algorithm: &str) -> TwoKeys {
    let kind = match algorithm {
        "ES256" | "ecdsa-p256-sha256" => &PKCS_ECDSA_P256_SHA256,
        "ES384" | "ecdsa-p384-sha384" => &PKCS_ECDSA_P384_SHA384,
        "EdDSA" | "ed25519" => &PKCS_ED25519,
        "HS256" | "hmac-sha256" => return texts(),
        _ => &PKCS_RSA_SHA256,
    };
    let (key, other) = (KeyPair::generate_for(kind).unwrap(), KeyPair::generate_for(kind).unwrap());
    TwoKeys {
        public: key.public_key_pem(),
        private: key.serialize_pem(),
        other: other.serialize_pem(),
    }
}

fn texts() -> TwoKeys {
    let text = |end: &str| format!("a key of nobody with over 32 bytes, known to {end}");
    TwoKeys { public: text("both"), private: text("both"), other: text("one") }
}
