//! HPKE (RFC 9180), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.

use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};

use crate::domain::secret::SecretBytes;
use crate::domain::tenant_key::{HALF, Sealed, info};

/// The library refused; it does not say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("encryption failed")]
pub struct Refused;

/// A new pair: the public and the private half.
pub fn generate() -> Result<([u8; HALF], SecretBytes), Refused> {
    let (public, private) = SUITE.generate_key_pair().map_err(|_| Refused)?;
    let public = public.0.try_into().map_err(|_| Refused)?;
    Ok((public, SecretBytes::new(private.secret_bytes().to_vec())))
}

/// Seals `value` to a public half, bound to the bytes of its context.
pub fn seal(
    generation: u32,
    public: &[u8; HALF],
    value: &[u8],
    context: &[u8],
) -> Result<Vec<u8>, Refused> {
    let (info, public) = (info(generation, context), HpkePublicKey(public.to_vec()));
    let sealed = SUITE.seal(&info, &[], value, &public).map_err(|_| Refused)?;
    let (EncapsulatedSecret(enc), ciphertext) = sealed;
    let enc = enc.first_chunk().ok_or(Refused)?;
    Ok(Sealed { generation, enc, ciphertext: &ciphertext }.bytes())
}

/// Opens what was sealed to the public half of this private one.
pub fn open(
    sealed: Sealed<'_>,
    private: &SecretBytes,
    context: &[u8],
) -> Result<SecretBytes, Refused> {
    let enc = EncapsulatedSecret(sealed.enc.to_vec());
    // Its copy is wiped when it is dropped.
    let private = HpkePrivateKey::from(private.expose().to_vec());
    let info = info(sealed.generation, context);
    let opened = SUITE.open(&enc, &info, &[], sealed.ciphertext, &private).map_err(|_| Refused)?;
    Ok(SecretBytes::new(opened))
}
