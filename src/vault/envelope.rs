//! The envelope: a value encrypted under a data key of its own, with key commitment.
//!
//! AES-256-GCM alone does not commit to its key: one ciphertext can be made to open under two keys,
//! to two values. So the data key is expanded with HKDF-SHA-512 into an encryption key and a
//! commitment, the commitment is kept in the envelope and compared before anything is decrypted.
//! The derivation is that of the AWS Encryption SDK's suite 0x0478 ("Algorithm Suites").
//!
//! Layout: `1 | message id (32) | length of wrapped key (2) | wrapped key | commitment (32) |
//! nonce (12) | ciphertext and tag`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hkdf};
use zeroize::Zeroizing;

use super::context::context_bytes;
use crate::domain::secret::{SealedKind, SecretBytes};
use crate::ports::Chance;
use crate::ports::keys::{Context, DataKey};

const FORMAT: u8 = SealedKind::Envelope as u8;
const MESSAGE_ID_LEN: usize = 32;
const COMMITMENT_LEN: usize = 32;
const KEY_LEN: usize = 32;
const SUITE: [u8; 2] = [0x04, 0x78];

/// Why an envelope cannot be made or opened. Says nothing about the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not an envelope, or cut short.
    #[error("the sealed value is not an envelope of a known format")]
    Malformed,
    /// The data key is not the one the value was sealed with.
    #[error("the data key is not the one the value was sealed with")]
    WrongKey,
    /// The value was altered, or sealed in another context.
    #[error(
        "the sealed value was altered, or belongs to another customer, secret, version or origin"
    )]
    Altered,
    /// The library refused; it does not say why.
    #[error("encryption failed")]
    Crypto,
}

/// An envelope taken apart.
pub struct Envelope<'a> {
    /// The data key, wrapped by the key service.
    pub wrapped_key: &'a [u8],
    /// Salts the derivation.
    pub message_id: &'a [u8; MESSAGE_ID_LEN],
    /// Proves the data key.
    pub commitment: &'a [u8; COMMITMENT_LEN],
    /// Of the one encryption.
    pub nonce: &'a [u8; NONCE_LEN],
    /// Ciphertext and tag.
    pub sealed: &'a [u8],
}

/// Seals `value` under `data_key`, bound to `context`.
pub fn seal(
    data_key: &DataKey,
    value: &SecretBytes,
    context: &Context,
    chance: &dyn Chance,
) -> Result<Vec<u8>, EnvelopeError> {
    let (mut message_id, mut nonce) = ([0; MESSAGE_ID_LEN], [0; NONCE_LEN]);
    chance.fill(&mut message_id);
    chance.fill(&mut nonce);
    let derived = Derived::new(&data_key.plain, &message_id)?;
    let mut sealed = value.expose().to_vec();
    derived
        .key
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context_bytes(context)),
            &mut sealed,
        )
        .map_err(|_| EnvelopeError::Crypto)?;
    let length = u16::try_from(data_key.wrapped.len()).map_err(|_| EnvelopeError::Malformed)?;
    let parts: [&[u8]; 7] = [
        &[FORMAT],
        &message_id,
        &length.to_be_bytes(),
        &data_key.wrapped,
        &derived.commitment,
        &nonce,
        &sealed,
    ];
    Ok(parts.concat())
}

/// Takes an envelope apart without opening it.
pub fn parse(bytes: &[u8]) -> Result<Envelope<'_>, EnvelopeError> {
    let parsed = || {
        let (format, rest) = bytes.split_first()?;
        let (message_id, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (wrapped_key, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (commitment, rest) = rest.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        (*format == FORMAT).then_some(Envelope {
            wrapped_key,
            message_id,
            commitment,
            nonce,
            sealed,
        })
    };
    parsed().ok_or(EnvelopeError::Malformed)
}

/// The same envelope with its data key wrapped in another way.
pub fn with_wrapped_key(bytes: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let envelope = parse(bytes).ok()?;
    let length = u16::try_from(wrapped.len()).ok()?.to_be_bytes();
    let rest = [envelope.commitment, &envelope.nonce[..], envelope.sealed].concat();
    Some([&[FORMAT], &envelope.message_id[..], &length, wrapped, &rest].concat())
}

impl Envelope<'_> {
    /// Opens the envelope with its data key, unwrapped.
    pub fn open(
        &self,
        data_key: &SecretBytes,
        context: &Context,
    ) -> Result<SecretBytes, EnvelopeError> {
        let derived = Derived::new(data_key, self.message_id)?;
        constant_time::verify_slices_are_equal(&derived.commitment, self.commitment)
            .map_err(|_| EnvelopeError::WrongKey)?;
        let mut buffer = Zeroizing::new(self.sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*self.nonce);
        let opened = derived
            .key
            .open_in_place(nonce, Aad::from(context_bytes(context)), &mut buffer)
            .map_err(|_| EnvelopeError::Altered)?;
        Ok(SecretBytes::new(opened.to_vec()))
    }
}

struct Derived {
    key: LessSafeKey,
    commitment: [u8; COMMITMENT_LEN],
}

impl Derived {
    fn new(data_key: &SecretBytes, message_id: &[u8]) -> Result<Self, EnvelopeError> {
        let crypto = |_| EnvelopeError::Crypto;
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, message_id).extract(data_key.expose());
        let mut key = Zeroizing::new([0; KEY_LEN]);
        let info = [&SUITE[..], b"DERIVEKEY"];
        prk.expand(&info, Length(KEY_LEN)).and_then(|okm| okm.fill(&mut *key)).map_err(crypto)?;
        let mut commitment = [0; COMMITMENT_LEN];
        prk.expand(&[b"COMMITKEY"], Length(COMMITMENT_LEN))
            .and_then(|okm| okm.fill(&mut commitment))
            .map_err(crypto)?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).map_err(crypto)?);
        Ok(Self { key, commitment })
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
