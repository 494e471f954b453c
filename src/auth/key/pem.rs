//! Keys in PEM (RFC 7468).

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use x509_parser::asn1_rs::{FromDer as _, Oid, Sequence};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};
use zeroize::Zeroizing;

use super::{Algorithm, KeyType, Loaded, Pair, Primitive, SigningKey, VerifyingKey};
use super::{refused, wrong_for_hmac};

const BEGIN: &str = "-----BEGIN ";
const DAMAGED: &str = "its PEM does not parse: expected a line -----BEGIN …-----, lines of base64, and \
                       a line -----END …-----";
const NOT_A_KEY: &str = "the key is damaged: it does not parse as what its PEM says it is";

/// Whether a text is meant to be PEM.
pub(super) fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN")
}

/// The one key in `text`.
///
/// # Errors
/// If there is none, more than one, or one that does not fit `algorithm`.
pub(super) fn load(algorithm: Algorithm, text: &str) -> Result<Loaded, String> {
    let label = only_label(text)?;
    if let Primitive::Hmac(_) = algorithm.primitive() {
        return Err(wrong_for_hmac(&format!("PEM ({label})"), algorithm));
    }
    if label == "ENCRYPTED PRIVATE KEY" || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("found an encrypted private key; expected an unencrypted one, as \
                    `openssl pkey` writes it"
            .to_owned());
    }
    if !matches!(label, "PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY" | "PUBLIC KEY") {
        return Err(format!(
            "found PEM of the kind {label}; expected PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY"
        ));
    }
    let (kind, der) = <(SectionKind, Vec<u8>)>::from_pem_slice(text.as_bytes())
        .map_err(|_| DAMAGED.to_owned())?;
    let der = Zeroizing::new(der);
    match kind {
        SectionKind::PrivateKey => pkcs8(algorithm, &der),
        SectionKind::EcPrivateKey => sec1(algorithm, &der),
        SectionKind::RsaPrivateKey => {
            algorithm.check_takes(KeyType::Rsa)?;
            rsa(algorithm, &der)
        }
        SectionKind::PublicKey => spki(algorithm, &der).map(Loaded::Verifying),
        _ => Err(DAMAGED.to_owned()),
    }
}

/// What the one item in the text is. Only known labels are repeated: what stands in the place of a
/// label may be a part of the key.
fn only_label(text: &str) -> Result<&'static str, String> {
    const KNOWN: [&str; 13] = [
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "PUBLIC KEY",
        "ENCRYPTED PRIVATE KEY",
        "CERTIFICATE",
        "RSA PUBLIC KEY",
        "DSA PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "CERTIFICATE REQUEST",
        "X509 CRL",
        "PGP PRIVATE KEY BLOCK",
        // `openssl ecparam -genkey` writes it before the key, which names the curve too.
        "EC PARAMETERS",
    ];
    let label = |rest: &str| {
        let label = rest.split("-----").next().unwrap_or_default();
        KNOWN.into_iter().find(|known| *known == label).unwrap_or("of an unknown name")
    };
    let labels: Vec<&str> =
        text.split(BEGIN).skip(1).map(label).filter(|label| *label != "EC PARAMETERS").collect();
    match labels[..] {
        [label] => Ok(label),
        [] => Err(DAMAGED.to_owned()),
        _ => Err(format!(
            "{} items in one PEM ({}); expected one private key",
            labels.len(),
            labels.join(", ")
        )),
    }
}

/// `PrivateKeyInfo` of RFC 5958.
fn pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Loaded, String> {
    let (identifier, inner) = private_key_info(der).ok_or(NOT_A_KEY)?;
    let found = key_type(&identifier);
    algorithm.check_takes(found)?;
    let pair = match algorithm.primitive() {
        Primitive::Rsa(..) => {
            // A key may say which hash it is for (RFC 4055 section 3.1); such keys are rare.
            if found == KeyType::RsaPss && identifier.parameters.is_some() {
                return Err("an RSA-PSS key restricted to one hash; expected an RSA key, or an \
                            RSA-PSS key without parameters"
                    .to_owned());
            }
            return rsa(algorithm, inner);
        }
        Primitive::Ecdsa(signing, _) => {
            Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(signing, der).map_err(refused)?)
        }
        Primitive::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(der).map_err(refused)?),
        Primitive::Hmac(_) => return Err(wrong_for_hmac("a private key", algorithm)),
    };
    Ok(Loaded::Signing(SigningKey { algorithm, pair }))
}

fn private_key_info(der: &[u8]) -> Option<(AlgorithmIdentifier<'_>, &[u8])> {
    let (_, info) = Sequence::from_der(der).ok()?;
    let content = match info.content {
        std::borrow::Cow::Borrowed(content) => content,
        std::borrow::Cow::Owned(_) => return None,
    };
    let (rest, _version) = u8::from_der(content).ok()?;
    let (rest, identifier) = AlgorithmIdentifier::from_der(rest).ok()?;
    let (_, inner) = <&[u8]>::from_der(rest).ok()?;
    Some((identifier, inner))
}

/// `RSAPrivateKey` of RFC 8017.
fn rsa(algorithm: Algorithm, der: &[u8]) -> Result<Loaded, String> {
    let pair = Pair::Rsa(RsaKeyPair::from_der(der).map_err(refused)?);
    Ok(Loaded::Signing(SigningKey { algorithm, pair }))
}

/// `ECPrivateKey` of RFC 5915.
fn sec1(algorithm: Algorithm, der: &[u8]) -> Result<Loaded, String> {
    let Primitive::Ecdsa(signing, _) = algorithm.primitive() else {
        return Err(format!("found an EC key; {algorithm} needs {}", algorithm.key_type()));
    };
    if let Some(curve) = sec1_curve(der) {
        algorithm.check_takes(curve)?;
    }
    let pair = EcdsaKeyPair::from_private_key_der(signing, der).map_err(refused)?;
    Ok(Loaded::Signing(SigningKey { algorithm, pair: Pair::Ecdsa(pair) }))
}

/// The curve that an `ECPrivateKey` names, if it names one.
fn sec1_curve(der: &[u8]) -> Option<KeyType> {
    let (_, key) = Sequence::from_der(der).ok()?;
    let (rest, _version) = u8::from_der(&key.content).ok()?;
    let (rest, _secret) = <&[u8]>::from_der(rest).ok()?;
    // [0] EXPLICIT, short form: an identifier of a curve is under 128 bytes.
    let (&[0xa0, _], tagged) = rest.split_first_chunk::<2>()? else { return None };
    Some(curve(&Oid::from_der(tagged).ok()?.1))
}

/// `SubjectPublicKeyInfo` of RFC 5280.
fn spki(algorithm: Algorithm, der: &[u8]) -> Result<VerifyingKey, String> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| NOT_A_KEY)?;
    algorithm.check_takes(key_type(&info.algorithm))?;
    if let Ok(PublicKey::RSA(key)) = info.parsed()
        && key.key_size() < 2048
    {
        return Err("an RSA key under 2048 bits; expected at least 2048".to_owned());
    }
    VerifyingKey::public(algorithm, &info.subject_public_key.data)
}

fn key_type(identifier: &AlgorithmIdentifier<'_>) -> KeyType {
    match identifier.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => KeyType::Rsa,
        "1.2.840.113549.1.1.10" => KeyType::RsaPss,
        "1.2.840.10045.2.1" => {
            let named = identifier.parameters.as_ref().and_then(|p| p.as_oid().ok());
            named.map_or(KeyType::Unknown, |oid| curve(&oid))
        }
        "1.3.101.110" => KeyType::X25519,
        "1.3.101.112" => KeyType::Ed25519,
        "1.3.101.113" => KeyType::Ed448,
        _ => KeyType::Unknown,
    }
}

fn curve(oid: &Oid<'_>) -> KeyType {
    match oid.to_id_string().as_str() {
        "1.2.840.10045.3.1.7" => KeyType::P256,
        "1.3.132.0.10" => KeyType::Secp256k1,
        "1.3.132.0.34" => KeyType::P384,
        "1.3.132.0.35" => KeyType::P521,
        _ => KeyType::Unknown,
    }
}
