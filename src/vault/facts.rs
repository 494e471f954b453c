//! What a secret's value says that is no secret: what kind of key it is, and its public half.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING,
    ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, ParsedPublicKey,
    RsaKeyPair, VerificationAlgorithm,
};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::Value;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use crate::domain::certificate;
use crate::domain::secret::{Facts, SecretBytes};

/// The prefix of a Standard Webhooks key pair: base64 of seed and public key follows.
const WEBHOOK_PAIR: &str = "whsk_";
const CURVES: [&EcdsaSigningAlgorithm; 3] = [
    &ECDSA_P256_SHA256_ASN1_SIGNING,
    &ECDSA_P384_SHA384_ASN1_SIGNING,
    &ECDSA_P521_SHA512_ASN1_SIGNING,
];

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    der: Vec<u8>,
    kind: &'static str,
    bits: u32,
    /// The members of the JWK (RFC 7518 section 6, RFC 8037 section 2), sorted by name.
    members: BTreeMap<&'static str, String>,
}

/// What is to be kept beside the sealed value; `None` if it is neither a certificate nor an asymmetric
/// key.
pub fn facts(value: &SecretBytes) -> Option<Facts> {
    let (certificate, public) = match certificate::facts(value.expose()) {
        Some(facts) => {
            let der = certificate::public_key(value.expose());
            (facts, der.and_then(Public::from_der))
        }
        None => (Facts::default(), Some(Public::of(value)?)),
    };
    Some(Facts {
        key_type: public.as_ref().map(|public| public.kind.to_owned()),
        key_bits: public.as_ref().map(|public| public.bits),
        public_key: public.as_ref().map(Public::pem),
        jwk_thumbprint: public.as_ref().map(Public::thumbprint),
        ..certificate
    })
}

impl Public {
    /// The public half of the one asymmetric key that a value holds: in PEM, as a JWK, or `whsk_…`.
    pub fn of(value: &SecretBytes) -> Option<Self> {
        let text = value.expose_str()?.trim();
        if let Some(pair) = text.strip_prefix(WEBHOOK_PAIR) {
            let pair = Zeroizing::new(BASE64_STANDARD.decode(pair).ok()?);
            let (_, public) = pair.split_first_chunk::<32>()?;
            return Self::parsed(&ED25519, public);
        }
        if text.starts_with('{') {
            return Self::of_jwk(&serde_json::from_str(text).ok()?);
        }
        let mut keys = PrivateKeyDer::pem_slice_iter(text.as_bytes());
        match (keys.next(), keys.next()) {
            (Some(Ok(key)), None) => Self::of_private(&key),
            (None, _) => {
                let public = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).ok()?;
                Self::from_der(public.to_vec())
            }
            (Some(_), _) => None,
        }
    }

    fn of_private(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let ec = |pair: EcdsaKeyPair| der(pair.public_key());
        let found = match key {
            PrivateKeyDer::Pkcs8(key) => {
                let key = key.secret_pkcs8_der();
                let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).ok();
                let curve = |curve| EcdsaKeyPair::from_pkcs8(curve, key).ok();
                let rsa = || RsaKeyPair::from_pkcs8(key).ok();
                (CURVES.into_iter().find_map(curve).and_then(ec))
                    .or_else(|| ed25519().and_then(|pair| der(pair.public_key())))
                    .or_else(|| rsa().and_then(|pair| der(pair.public_key())))
            }
            PrivateKeyDer::Sec1(key) => {
                let key = key.secret_sec1_der();
                let curve = |curve| EcdsaKeyPair::from_private_key_der(curve, key).ok();
                CURVES.into_iter().find_map(curve).and_then(ec)
            }
            PrivateKeyDer::Pkcs1(key) => {
                let pair = RsaKeyPair::from_der(key.secret_pkcs1_der()).ok()?;
                der(pair.public_key())
            }
            // The type may grow; what it grows by is no key that is known here.
            _ => None,
        };
        Self::from_der(found?)
    }

    fn of_jwk(jwk: &Value) -> Option<Self> {
        let member = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        let point = || Some([&[4][..], &member("x")?, &member("y")?].concat());
        match (jwk["kty"].as_str()?, jwk["crv"].as_str()) {
            ("EC", Some("P-256")) => Self::parsed(&ECDSA_P256_SHA256_ASN1, &point()?),
            ("EC", Some("P-384")) => Self::parsed(&ECDSA_P384_SHA384_ASN1, &point()?),
            ("EC", Some("P-521")) => Self::parsed(&ECDSA_P521_SHA512_ASN1, &point()?),
            ("OKP", Some("Ed25519")) => Self::parsed(&ED25519, &member("x")?),
            ("RSA", _) => {
                let (n, e) = (member("n")?, member("e")?);
                let public = PublicKeyComponents { n: unpadded(&n), e: unpadded(&e) };
                Self::from_der(der(&public)?)
            }
            _ => None,
        }
    }

    /// From a public key's own bytes.
    fn parsed(algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Option<Self> {
        Self::from_der(der(&ParsedPublicKey::new(algorithm, bytes).ok()?)?)
    }

    /// From a `SubjectPublicKeyInfo` (RFC 5280).
    pub fn from_der(der: Vec<u8>) -> Option<Self> {
        let (_, info) = SubjectPublicKeyInfo::from_der(&der).ok()?;
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (kind, bits, members) = match info.parsed().ok()? {
            PublicKey::RSA(key) => {
                let (n, e) = (unpadded(key.modulus), unpadded(key.exponent));
                let members = [("kty", "RSA".to_owned()), ("n", text(n)), ("e", text(e))];
                ("RSA", u32::try_from(key.key_size()).ok()?, members.to_vec())
            }
            PublicKey::EC(point) => {
                let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
                let (kind, crv, bits) = match curve.as_str() {
                    "1.2.840.10045.3.1.7" => ("EC P-256", "P-256", 256),
                    "1.3.132.0.34" => ("EC P-384", "P-384", 384),
                    "1.3.132.0.35" => ("EC P-521", "P-521", 521),
                    _ => return None,
                };
                let (&4, numbers) = point.data().split_first()? else { return None };
                let (x, y) = numbers.split_at(numbers.len() / 2);
                let members = [("kty", "EC".to_owned()), ("crv", crv.to_owned())];
                (kind, bits, [&members[..], &[("x", text(x)), ("y", text(y))]].concat())
            }
            _ if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => {
                let x = text(&info.subject_public_key.data);
                let members = [("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", x)];
                ("Ed25519", 256, members.to_vec())
            }
            _ => return None,
        };
        Some(Self { kind, bits, members: members.into_iter().collect(), der })
    }

    /// In PEM (RFC 7468 section 13).
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.der)
    }

    /// As a JWK.
    pub fn jwk(&self) -> Value {
        self.members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(value.clone())))
            .collect()
    }

    /// The thumbprint of the JWK: SHA-256 over its required members, sorted (RFC 7638 section 3).
    pub fn thumbprint(&self) -> String {
        let members: Vec<String> =
            self.members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        let json = format!("{{{}}}", members.join(","));
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, json.as_bytes()))
    }
}

/// Bytes in PEM, in lines of 64 characters.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn der(public: &impl AsDer<PublicKeyX509Der<'static>>) -> Option<Vec<u8>> {
    public.as_der().ok().map(|der| der.as_ref().to_vec())
}

/// A number without leading zero bytes.
fn unpadded(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256};

    fn of(text: &str) -> Option<Facts> {
        facts(&SecretBytes::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn thumbprints_are_those_that_the_standards_give_as_examples() {
        let examples = [
            // RFC 7638 section 3.1.
            (
                r#"{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#,
                ("RSA", 2048, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            ),
            // RFC 8037 appendix A.3.
            (
                r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
                ("Ed25519", 256, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
            ),
        ];
        for (jwk, (kind, bits, thumbprint)) in examples {
            let facts = of(jwk).unwrap();
            assert_eq!(facts.key_type.as_deref(), Some(kind));
            assert_eq!(facts.key_bits, Some(bits));
            assert_eq!(facts.jwk_thumbprint.as_deref(), Some(thumbprint));
            let public = facts.public_key.unwrap();
            assert_eq!(
                of(&public).unwrap().jwk_thumbprint.as_deref(),
                Some(thumbprint),
                "{public}"
            );
        }
    }

    #[test]
    fn a_private_key_shows_its_kind_and_its_public_half_alone() {
        let kinds = [
            (KeyPair::generate().unwrap(), "EC P-256", 256),
            (KeyPair::generate_for(&PKCS_ED25519).unwrap(), "Ed25519", 256),
            (KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), "RSA", 2048),
        ];
        for (pair, kind, bits) in kinds {
            let facts = of(&pair.serialize_pem()).unwrap();
            assert_eq!((facts.key_type.as_deref(), facts.key_bits), (Some(kind), Some(bits)));
            let expected = pair.public_key_pem().replace("\r\n", "\n");
            assert_eq!(facts.public_key.as_deref(), Some(expected.as_str()));
            assert_eq!(facts.not_after, None);
        }
    }

    #[test]
    fn a_certificate_shows_whom_it_is_for_who_vouches_for_it_and_when() {
        let (authority, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name.push(DnType::CommonName, "an authority");
        let mut client = CertificateParams::default();
        client.distinguished_name.push(DnType::CommonName, "acme");
        client.not_before = time::macros::datetime!(2026-11-01 0:00 UTC);
        client.not_after = time::macros::datetime!(2026-12-01 0:00 UTC);
        let signed = client.signed_by(&key, &Issuer::new(issuer, authority)).unwrap();
        let facts = of(&(signed.pem() + &key.serialize_pem())).unwrap();
        assert_eq!(facts.certificate_subject.as_deref(), Some("CN=acme"));
        assert!(facts.certificate_issuer.as_deref().unwrap().contains("CN=an authority"));
        let at = |time: Option<crate::domain::timestamp::Timestamp>| time.unwrap().to_string();
        assert!(at(facts.not_before).starts_with("2026-11-01T00:00:00"));
        assert!(at(facts.not_after).starts_with("2026-12-01T00:00:00"));
        assert_eq!(facts.certificate_fingerprint.unwrap().len(), 64);
        assert_eq!(facts.public_key, of(&key.serialize_pem()).unwrap().public_key);
    }

    #[test]
    fn what_is_no_asymmetric_key_says_nothing_not_even_its_length() {
        for value in ["hunter2", "whsec_AAAA", "{}", r#"{"kty":"oct","k":"AAAA"}"#, "whsk_AAAA"] {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
