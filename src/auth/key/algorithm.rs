//! Signature algorithms, and the kinds of keys that they take.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, RsaParameters, RsaSignatureEncoding,
};
use serde::Deserialize;

/// A signature algorithm, by its name in JOSE (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub enum Algorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "HS384")]
    Hs384,
    #[serde(rename = "HS512")]
    Hs512,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// How an algorithm is computed. ECDSA signatures are the two numbers in fixed length (RFC 7518
/// section 3.4, RFC 9421 section 3.3.4).
pub(super) enum Primitive {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaSignatureEncoding, &'static RsaParameters),
    Ecdsa(&'static EcdsaSigningAlgorithm, &'static EcdsaVerificationAlgorithm),
    Ed25519,
}

impl Algorithm {
    /// The name in the header of a JWS.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(super) fn primitive(self) -> Primitive {
        match self {
            Self::Hs256 => Primitive::Hmac(hmac::HMAC_SHA256),
            Self::Hs384 => Primitive::Hmac(hmac::HMAC_SHA384),
            Self::Hs512 => Primitive::Hmac(hmac::HMAC_SHA512),
            Self::Rs256 => {
                Primitive::Rsa(&signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256)
            }
            Self::Rs384 => {
                Primitive::Rsa(&signature::RSA_PKCS1_SHA384, &signature::RSA_PKCS1_2048_8192_SHA384)
            }
            Self::Rs512 => {
                Primitive::Rsa(&signature::RSA_PKCS1_SHA512, &signature::RSA_PKCS1_2048_8192_SHA512)
            }
            Self::Ps256 => {
                Primitive::Rsa(&signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256)
            }
            Self::Ps384 => {
                Primitive::Rsa(&signature::RSA_PSS_SHA384, &signature::RSA_PSS_2048_8192_SHA384)
            }
            Self::Ps512 => {
                Primitive::Rsa(&signature::RSA_PSS_SHA512, &signature::RSA_PSS_2048_8192_SHA512)
            }
            Self::Es256 => Primitive::Ecdsa(
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &signature::ECDSA_P256_SHA256_FIXED,
            ),
            Self::Es384 => Primitive::Ecdsa(
                &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                &signature::ECDSA_P384_SHA384_FIXED,
            ),
            Self::EdDsa => Primitive::Ed25519,
        }
    }

    /// The kind of key it takes.
    pub(super) fn key_type(self) -> KeyType {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => KeyType::Symmetric,
            Self::Rs256 | Self::Rs384 | Self::Rs512 => KeyType::Rsa,
            Self::Ps256 | Self::Ps384 | Self::Ps512 => KeyType::RsaPss,
            Self::Es256 => KeyType::P256,
            Self::Es384 => KeyType::P384,
            Self::EdDsa => KeyType::Ed25519,
        }
    }

    /// Whether it can be computed with a key of this kind.
    fn takes(self, found: KeyType) -> bool {
        // An RSA key that names no use serves both paddings; one made for PSS serves PSS alone
        // (RFC 4055 section 1.2).
        let wanted = self.key_type();
        found == wanted || (found == KeyType::Rsa && wanted == KeyType::RsaPss)
    }

    pub(super) fn check_takes(self, found: KeyType) -> Result<(), String> {
        if self.takes(found) {
            return Ok(());
        }
        Err(format!("found {found}; {self} needs {}", self.key_type()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl KeyType {
    /// The kind that is kept of a stored key, by its name there. Which padding an RSA key is made for is
    /// not kept.
    pub(super) fn known(name: &str) -> Self {
        match name {
            "RSA" => Self::Rsa,
            "EC P-256" => Self::P256,
            "EC P-384" => Self::P384,
            "EC P-521" => Self::P521,
            "Ed25519" => Self::Ed25519,
            _ => Self::Unknown,
        }
    }
}

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyType {
    Symmetric,
    Rsa,
    RsaPss,
    P256,
    P384,
    P521,
    Secp256k1,
    Ed25519,
    Ed448,
    X25519,
    Unknown,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symmetric => "a symmetric key (a text, base64: and base64, or a JWK of kty oct)",
            Self::Rsa => "an RSA key",
            Self::RsaPss => "an RSA-PSS key",
            Self::P256 => "an EC key on the curve P-256",
            Self::P384 => "an EC key on the curve P-384",
            Self::P521 => "an EC key on the curve P-521",
            Self::Secp256k1 => "an EC key on the curve secp256k1",
            Self::Ed25519 => "an Ed25519 key",
            Self::Ed448 => "an Ed448 key",
            Self::X25519 => "an X25519 key, which cannot sign",
            Self::Unknown => "a key of a type that is not supported",
        })
    }
}
