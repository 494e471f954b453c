//! Keys that sign and keys that check: made of a secret's bytes for one algorithm, once.
//!
//! A secret holds a private key in PEM or as a JWK (RFC 7517), or for HMAC a text. What it holds has to
//! fit the algorithm exactly, so that no key is ever used in a way it was not made for.

mod algorithm;
mod jwk;
mod pem;
mod symmetric;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair,
    VerificationAlgorithm,
};
use aws_lc_rs::{error::KeyRejected, hmac};

use super::AuthError;
use crate::domain::ids::SecretId;
use crate::domain::secret::{Facts, SecretBytes};
pub use algorithm::Algorithm;
use algorithm::{KeyType, Primitive};

/// A key that signs with one algorithm. Has no `Debug`.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Hmac(Box<hmac::Key>),
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key that checks the signatures of one algorithm. Has no `Debug`.
pub struct VerifyingKey {
    algorithm: Algorithm,
    half: Half,
}

enum Half {
    Hmac(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl Algorithm {
    /// Whether a stored key, of which that much is known, could be one of this algorithm's.
    ///
    /// # Errors
    /// If it is of another kind; says what was found.
    pub fn check_kind(self, id: &SecretId, facts: &Facts) -> Result<(), AuthError> {
        let Some(found) = facts.key_type.as_deref().map(KeyType::known) else { return Ok(()) };
        self.check_takes(found).map_err(|problem| AuthError::of_secret(id, problem))
    }
}

/// What a secret can hold.
enum Loaded {
    Signing(SigningKey),
    Verifying(VerifyingKey),
}

impl SigningKey {
    /// The private key that the secret `id` holds in `value`: PEM (`PRIVATE KEY` of PKCS#8,
    /// `EC PRIVATE KEY` of SEC 1, `RSA PRIVATE KEY` of PKCS#1) or a JWK; for HMAC a text, `base64:`
    /// and the key in base64, or a JWK of `kty` `oct`. Takes up to a millisecond: see
    /// [`super::prepared::Prepared`].
    ///
    /// # Errors
    /// If it holds anything else than one private key for `algorithm`; says what was found.
    pub fn parse(
        algorithm: Algorithm,
        id: &SecretId,
        value: &SecretBytes,
    ) -> Result<Self, AuthError> {
        match load(algorithm, value).map_err(|e| AuthError::of_secret(id, e))? {
            Loaded::Signing(key) => Ok(key),
            Loaded::Verifying(_) => {
                let problem = "found a public key, which cannot sign; expected the private key";
                Err(AuthError::of_secret(id, problem))
            }
        }
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// If the cryptography fails, which it does for no reason that is known.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AuthError> {
        let failed = |_| AuthError::new("the signature could not be computed");
        match (&self.pair, self.algorithm.primitive()) {
            (Pair::Rsa(pair), Primitive::Rsa(encoding, _)) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            (Pair::Rsa(_), _) => unreachable!("an RSA pair is made for RSA algorithms alone"),
            (Pair::Hmac(key), _) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            (Pair::Ecdsa(pair), _) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            (Pair::Ed25519(pair), _) => {
                Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec())
            }
        }
    }

    /// The key that checks what this one signs.
    fn verifying(self) -> Result<VerifyingKey, String> {
        let public = |bytes: &[u8]| VerifyingKey::public(self.algorithm, bytes);
        match &self.pair {
            Pair::Rsa(pair) => public(pair.public_key().as_ref()),
            Pair::Ecdsa(pair) => public(pair.public_key().as_ref()),
            Pair::Ed25519(pair) => public(pair.public_key().as_ref()),
            Pair::Hmac(key) => {
                Ok(VerifyingKey { algorithm: self.algorithm, half: Half::Hmac(key.clone()) })
            }
        }
    }
}

impl VerifyingKey {
    /// The key that checks what the key in the secret `id` signs: its public half where `value` holds
    /// a private key, or else the public key (PEM `PUBLIC KEY`, or a JWK) that it holds.
    ///
    /// # Errors
    /// If it holds anything else than one key for `algorithm`; says what was found.
    pub fn parse(
        algorithm: Algorithm,
        id: &SecretId,
        value: &SecretBytes,
    ) -> Result<Self, AuthError> {
        let loaded = load(algorithm, value).and_then(|loaded| match loaded {
            Loaded::Signing(key) => key.verifying(),
            Loaded::Verifying(key) => Ok(key),
        });
        loaded.map_err(|e| AuthError::of_secret(id, e))
    }

    /// What it checks.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// For HMAC, the keys that the secret is if it is read in another way, each with the name of that
    /// way: to say so where a signature does not fit.
    pub fn other_readings(
        algorithm: Algorithm,
        value: &SecretBytes,
    ) -> impl Iterator<Item = (&'static str, Self)> {
        let keys = match algorithm.primitive() {
            Primitive::Hmac(hash) => symmetric::other_readings(hash, value),
            Primitive::Rsa(..) | Primitive::Ecdsa(..) | Primitive::Ed25519 => Vec::new(),
        };
        let verifying = move |key| Self { algorithm, half: Half::Hmac(Box::new(key)) };
        keys.into_iter().map(move |(reading, key)| (reading, verifying(key)))
    }

    /// Whether `signature` is one of `message`.
    pub fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.half {
            Half::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Half::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }

    /// From a public key's own bytes: `RSAPublicKey` of RFC 8017, a point of SEC 1, or the 32 bytes of
    /// RFC 8032.
    fn public(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, String> {
        let scheme: &'static dyn VerificationAlgorithm = match algorithm.primitive() {
            Primitive::Rsa(_, parameters) => parameters,
            Primitive::Ecdsa(_, verification) => verification,
            Primitive::Ed25519 => &signature::ED25519,
            Primitive::Hmac(_) => return Err(wrong_for_hmac("a public key", algorithm)),
        };
        let key = ParsedPublicKey::new(scheme, bytes).map_err(refused)?;
        Ok(Self { algorithm, half: Half::Public(key) })
    }
}

fn load(algorithm: Algorithm, value: &SecretBytes) -> Result<Loaded, String> {
    let text = value.expose_str().unwrap_or_default().trim();
    if pem::is_pem(text) {
        return pem::load(algorithm, text);
    }
    if jwk::is_object(text) {
        return jwk::load(algorithm, text);
    }
    match algorithm.primitive() {
        Primitive::Hmac(hash) => {
            symmetric::load(hash, value).map(|key| hmac_key(algorithm, key)).map_err(str::to_owned)
        }
        Primitive::Rsa(..) | Primitive::Ecdsa(..) | Primitive::Ed25519 => Err(format!(
            "neither PEM nor a JWK; {algorithm} needs {}, in PEM or as a JWK",
            algorithm.key_type()
        )),
    }
}

fn hmac_key(algorithm: Algorithm, key: hmac::Key) -> Loaded {
    Loaded::Signing(SigningKey { algorithm, pair: Pair::Hmac(Box::new(key)) })
}

/// A public key as an HMAC secret would let everybody sign.
fn wrong_for_hmac(found: &str, algorithm: Algorithm) -> String {
    format!("found {found}; {algorithm} needs {}", KeyType::Symmetric)
}

/// Why the cryptography refused a key: one word, without a part of the key.
fn refused(error: KeyRejected) -> String {
    match error.to_string().as_str() {
        "TooSmall" => "an RSA key under 2048 bits; expected at least 2048".to_owned(),
        "TooLarge" => "an RSA key over 8192 bits; expected at most 8192".to_owned(),
        "InconsistentComponents" => {
            "its parts do not belong together: expected the public half of the same key".to_owned()
        }
        _ => "the key is damaged: it does not parse as what it says it is".to_owned(),
    }
}

#[cfg(test)]
mod tests;
