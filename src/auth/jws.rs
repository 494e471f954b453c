//! JSON Web Signatures in the compact form (RFC 7515 section 3.1), as JSON Web Tokens are sent.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::AuthError;
use super::key::{SigningKey, VerifyingKey};

/// The header of a JWS: the members that we write, and `crit`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Header {
    /// The algorithm.
    pub alg: String,
    /// The type of the whole, `JWT` as a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<String>,
    /// Which key signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Extensions that a receiver must understand (RFC 7515 section 4.1.11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crit: Option<Value>,
}

/// Signs claims as a JWT. The header's members are `alg`, `typ`, `kid` in this order, the claims are
/// ordered by name; both without white space. The result is a credential.
///
/// # Errors
/// If the signature cannot be computed.
pub fn sign(
    key: &SigningKey,
    kid: Option<&str>,
    typ: Option<&str>,
    claims: &Map<String, Value>,
) -> Result<String, AuthError> {
    let header = Header {
        alg: key.algorithm().name().to_owned(),
        typ: typ.map(str::to_owned),
        kid: kid.map(str::to_owned),
        crit: None,
    };
    let failed = |e: serde_json::Error| AuthError::new(format!("the token is no JSON: {e}"));
    let header = serde_json::to_vec(&header).map_err(failed)?;
    compact(key, &header, &serde_json::to_vec(claims).map_err(failed)?)
}

/// Signs a header and a payload byte for byte. The header has to name the key's algorithm.
///
/// # Errors
/// If the signature cannot be computed.
pub fn compact(key: &SigningKey, header: &[u8], payload: &[u8]) -> Result<String, AuthError> {
    let mut token = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 700);
    BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// A token as it was read; nothing in it is to be believed before [`Token::is_signed_by`].
pub struct Token<'t> {
    /// The header.
    pub header: Header,
    /// The payload, byte for byte.
    pub payload: Vec<u8>,
    signed: &'t str,
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// Reads a token in the compact form.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(text: &'t str) -> Result<Self, &'static str> {
        let decode = |part: &str| {
            BASE64_URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| "a part is not base64url without padding")
        };
        let (signed, signature) = text.rsplit_once('.').ok_or("it has no dots")?;
        let (header, payload) = signed.split_once('.').ok_or("it has one dot; expected two")?;
        if payload.contains('.') {
            return Err("it has more than two dots");
        }
        let header: Header = serde_json::from_slice(&decode(header)?)
            .map_err(|_| "its header is not a JSON object with alg, each member once")?;
        if header.crit.is_some() {
            return Err("its header demands extensions (crit), of which none are supported");
        }
        Ok(Self { header, payload: decode(payload)?, signed, signature: decode(signature)? })
    }

    /// Whether `key` signed it, with the key's algorithm and no other: a header that names another one,
    /// or `none`, is never followed (RFC 8725 section 3.1).
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        self.header.alg == key.algorithm().name()
            && key.is_signature(self.signed.as_bytes(), &self.signature)
    }

    /// The claims of a JWT (RFC 7519 section 4).
    ///
    /// # Errors
    /// If the payload is not a JSON object.
    pub fn claims(&self) -> Result<Map<String, Value>, &'static str> {
        serde_json::from_slice(&self.payload).map_err(|_| "its payload is not a JSON object")
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::Algorithm;
    use super::*;
    use crate::domain::secret::SecretBytes;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsifQ.eyJhIjoxLCJiIjoyfQ.";

    fn secret() -> SecretBytes {
        SecretBytes::new(b"secret".to_vec())
    }

    fn verifying(algorithm: Algorithm) -> VerifyingKey {
        VerifyingKey::parse(algorithm, &"s".parse().unwrap(), &secret()).unwrap()
    }

    #[test]
    fn the_same_claims_give_the_same_token_whatever_their_order() {
        let key = SigningKey::parse(Algorithm::Hs256, &"s".parse().unwrap(), &secret()).unwrap();
        let sign = |claims| sign(&key, Some("k"), Some("JWT"), &claims).unwrap();
        let mut claims = Map::from_iter([("b".to_owned(), 2.into())]);
        claims.insert("a".to_owned(), 1.into());
        let token = sign(claims);
        assert!(token.starts_with(TOKEN), "{token}");
        assert!(Token::parse(&token).unwrap().is_signed_by(&verifying(Algorithm::Hs256)));
        assert!(!Token::parse(&token).unwrap().is_signed_by(&verifying(Algorithm::Hs384)));
    }

    #[test]
    fn what_a_header_says_of_the_algorithm_is_not_followed() {
        let key = SigningKey::parse(Algorithm::Hs256, &"s".parse().unwrap(), &secret()).unwrap();
        for alg in ["none", "None", "", "HS384", "hs256"] {
            let token = compact(&key, format!(r#"{{"alg":"{alg}"}}"#).as_bytes(), b"{}").unwrap();
            assert!(!Token::parse(&token).unwrap().is_signed_by(&verifying(Algorithm::Hs256)));
            let unsigned = &token[..=token.rfind('.').unwrap()];
            assert!(!Token::parse(unsigned).unwrap().is_signed_by(&verifying(Algorithm::Hs256)));
        }
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        let encode = |header: &str| format!("{}.e30.AA", BASE64_URL_SAFE_NO_PAD.encode(header));
        assert!(Token::parse(&encode(r#"{"alg":"HS256"}"#)).is_ok());
        for bad in [
            "",
            "a",
            "a.b",
            "..",
            "e30.e30.AA",
            "eyJhbGciOiJIUzI1NiJ9.e30.A=",
            "eyJhbGciOiJIUzI1NiJ9.e30.AA.AA",
            &encode(r#"{"alg":"HS256","alg":"HS256"}"#),
            &encode(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#),
            &encode(r#"[]"#),
        ] {
            assert!(Token::parse(bad).is_err(), "{bad}");
        }
    }
}
