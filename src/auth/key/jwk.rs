//! Keys as JSON Web Keys (RFC 7517; members of RFC 7518 section 6 and RFC 8037 section 2).

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair, RsaParameters};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{Algorithm, Half, KeyType, Loaded, Pair, Primitive, SigningKey, VerifyingKey};
use super::{hmac_key, refused, symmetric};

/// A member's value, where it stands in the secret: base64url needs no escapes, so nothing is copied.
type Text<'t> = Option<&'t str>;

/// The members that matter; others are allowed (RFC 7517 section 4).
#[derive(Deserialize)]
struct Jwk<'t> {
    #[serde(borrow)]
    kty: Text<'t>,
    crv: Text<'t>,
    alg: Text<'t>,
    #[serde(rename = "use")]
    purpose: Text<'t>,
    key_ops: Option<Vec<&'t str>>,
    k: Text<'t>,
    x: Text<'t>,
    y: Text<'t>,
    d: Text<'t>,
    n: Text<'t>,
    e: Text<'t>,
    p: Text<'t>,
    q: Text<'t>,
    dp: Text<'t>,
    dq: Text<'t>,
    qi: Text<'t>,
    oth: Option<Value>,
    keys: Option<Value>,
}

/// Whether a text is a JSON object.
pub(super) fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The key that `text` is.
///
/// # Errors
/// If it is no key for `algorithm`, or says itself that it is for something else.
pub(super) fn load(algorithm: Algorithm, text: &str) -> Result<Loaded, String> {
    // What serde says may hold a part of the value.
    let jwk: Jwk<'_> = serde_json::from_str(text).map_err(|_| {
        "JSON that is no JWK: expected an object with kty and the key's members, each once, as texts"
    })?;
    if jwk.keys.is_some() {
        return Err("found a set of JWKs; expected one JWK".to_owned());
    }
    let found = jwk.key_type()?;
    algorithm.check_takes(found)?;
    jwk.check_use(algorithm)?;
    match algorithm.primitive() {
        Primitive::Hmac(hash) => {
            let key = symmetric::make(hash, &decoded(jwk.k, "k")?)?;
            Ok(hmac_key(algorithm, key))
        }
        Primitive::Rsa(_, parameters) => jwk.rsa(algorithm, parameters),
        Primitive::Ecdsa(signing, _) => {
            let point = [&[4][..], &decoded(jwk.x, "x")?[..], &decoded(jwk.y, "y")?[..]].concat();
            if jwk.d.is_none() {
                return VerifyingKey::public(algorithm, &point).map(Loaded::Verifying);
            }
            let secret = decoded(jwk.d, "d")?;
            let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, &secret, &point);
            let pair = Pair::Ecdsa(pair.map_err(refused)?);
            Ok(Loaded::Signing(SigningKey { algorithm, pair }))
        }
        Primitive::Ed25519 => {
            let public = decoded(jwk.x, "x")?;
            if jwk.d.is_none() {
                return VerifyingKey::public(algorithm, &public).map(Loaded::Verifying);
            }
            let pair = Ed25519KeyPair::from_seed_and_public_key(&decoded(jwk.d, "d")?, &public);
            let pair = Pair::Ed25519(pair.map_err(refused)?);
            Ok(Loaded::Signing(SigningKey { algorithm, pair }))
        }
    }
}

impl Jwk<'_> {
    fn key_type(&self) -> Result<KeyType, String> {
        let kty = self.kty.ok_or("a JSON object without kty; expected a JWK")?;
        Ok(match (kty, self.crv) {
            ("oct", _) => KeyType::Symmetric,
            ("RSA", _) => KeyType::Rsa,
            ("EC", Some("P-256")) => KeyType::P256,
            ("EC", Some("P-384")) => KeyType::P384,
            ("EC", Some("P-521")) => KeyType::P521,
            ("EC", Some("secp256k1")) => KeyType::Secp256k1,
            ("OKP", Some("Ed25519")) => KeyType::Ed25519,
            ("OKP", Some("Ed448")) => KeyType::Ed448,
            ("OKP", Some("X25519")) => KeyType::X25519,
            _ => KeyType::Unknown,
        })
    }

    /// A key's own word on what it is for counts (RFC 7517 sections 4.2 to 4.4).
    fn check_use(&self, algorithm: Algorithm) -> Result<(), String> {
        // RFC 9864 names the curve where RFC 8037 does not.
        let same = |alg: &str| {
            alg == algorithm.name() || (algorithm == Algorithm::EdDsa && alg == "Ed25519")
        };
        if !self.alg.is_none_or(same) {
            return Err(format!("a JWK whose alg is for another algorithm than {algorithm}"));
        }
        let operations = self.key_ops.as_ref();
        let signs =
            operations.is_none_or(|all| all.iter().any(|o| matches!(*o, "sign" | "verify")));
        if self.purpose.is_some_and(|purpose| purpose != "sig") || !signs {
            return Err("a JWK whose use or key_ops do not include signatures".to_owned());
        }
        Ok(())
    }

    fn rsa(
        &self,
        algorithm: Algorithm,
        parameters: &'static RsaParameters,
    ) -> Result<Loaded, String> {
        let (n, e) = (decoded(self.n, "n")?, decoded(self.e, "e")?);
        let public_key = PublicKeyComponents { n: unpadded(&n), e: unpadded(&e) };
        if public_key.n.len() < 256 || public_key.n[0] < 0x80 && public_key.n.len() == 256 {
            return Err("an RSA key under 2048 bits; expected at least 2048".to_owned());
        }
        if self.d.is_none() {
            let key = public_key.to_parsed_public_key(parameters).map_err(refused)?;
            let half = Half::Public(key);
            return Ok(Loaded::Verifying(VerifyingKey { algorithm, half }));
        }
        if self.oth.is_some() {
            return Err("an RSA key of more than two primes; expected two".to_owned());
        }
        let (d, p, q) = (decoded(self.d, "d")?, decoded(self.p, "p")?, decoded(self.q, "q")?);
        let (dp, dq) = (decoded(self.dp, "dp")?, decoded(self.dq, "dq")?);
        let qi = decoded(self.qi, "qi")?;
        let components = KeyPairComponents {
            public_key,
            d: &d[..],
            p: &p[..],
            q: &q[..],
            dP: &dp[..],
            dQ: &dq[..],
            qInv: &qi[..],
        };
        let pair = RsaKeyPair::from_components(&components).map_err(refused)?;
        Ok(Loaded::Signing(SigningKey { algorithm, pair: Pair::Rsa(pair) }))
    }
}

/// The bytes of a member that has to be there.
fn decoded(member: Text<'_>, name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = member.ok_or_else(|| format!("a JWK without {name}"))?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
    bytes.map(Zeroizing::new).map_err(|_| {
        format!("a JWK whose {name} is not base64url without padding (RFC 7515 section 2)")
    })
}

/// A number without leading zero bytes.
fn unpadded(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
