//! Tenant keys: a key pair of each customer. What is sealed to its public half only its private half
//! opens, which the key service wraps.
//!
//! A generation is one pair. The store keeps the generations as the versions of a secret under a
//! reserved id: writers read the public half there. docs/SEALED-FORMAT.md has every byte.

use crate::domain::ids::CustomerId;
use crate::domain::secret::SealedKind;

/// Length of a public and of a private half, and of what HPKE puts before a ciphertext (X25519).
pub const HALF: usize = 32;

/// The first byte of a stored pair; no [`SealedKind`] has it, so that a pair never opens as a secret.
const PAIR: u8 = 0x20;
/// The byte that stands in its place once it was shredded.
const SHREDDED: u8 = 0x21;
const GENERATION_LEN: usize = 4;

/// A customer's tenant key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// It can be used.
    Pair {
        /// What is sealed to.
        public: [u8; HALF],
        /// The private half, wrapped by the key service.
        wrapped: Vec<u8>,
    },
    /// It was removed on purpose, and nothing that was sealed to it opens again.
    Shredded,
}

impl StoredKey {
    /// The bytes that a store keeps.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Pair { public, wrapped } => [&[PAIR][..], public, wrapped].concat(),
            Self::Shredded => vec![SHREDDED],
        }
    }

    /// What the bytes say; `None` if they are no tenant key.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&PAIR, rest) => {
                let (public, wrapped) = rest.split_first_chunk()?;
                Some(Self::Pair { public: *public, wrapped: wrapped.to_vec() })
            }
            (&SHREDDED, []) => Some(Self::Shredded),
            _ => None,
        }
    }
}

/// What a private half is wrapped under. It names the public half, so that one that was put in its
/// place is noticed as soon as the pair is opened.
pub fn context(
    customer: &CustomerId,
    generation: u32,
    public: &[u8; HALF],
) -> Vec<(&'static str, String)> {
    vec![
        ("customerId", customer.to_string()),
        ("generation", generation.to_string()),
        ("publicKey", public.iter().map(|byte| format!("{byte:02x}")).collect()),
        ("purpose", "sealpost-tenant-key".to_owned()),
    ]
}

/// A value that was sealed to a tenant key, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Which generation opens it, from 1.
    pub generation: u32,
    /// The encapsulated secret of HPKE.
    pub enc: &'a [u8; HALF],
    /// Ciphertext and tag.
    pub ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Takes a sealed value apart, its kind included; `None` if it is of another kind or cut short.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (SealedKind::TenantKey, rest) = SealedKind::split(bytes)? else { return None };
        let (generation, rest) = rest.split_first_chunk::<GENERATION_LEN>()?;
        let (enc, ciphertext) = rest.split_first_chunk()?;
        let generation = u32::from_be_bytes(*generation);
        (generation > 0).then_some(Self { generation, enc, ciphertext })
    }

    /// The bytes that [`Sealed::parse`] takes apart.
    pub fn bytes(&self) -> Vec<u8> {
        [&head(self.generation)[..], self.enc, self.ciphertext].concat()
    }
}

/// How a value begins that is sealed to a generation.
fn head(generation: u32) -> [u8; 1 + GENERATION_LEN] {
    let [a, b, c, d] = generation.to_be_bytes();
    [SealedKind::TenantKey.byte(), a, b, c, d]
}

/// What HPKE binds a value to (its `info`): how the value begins, then the bytes of its context.
pub fn info(generation: u32, context: &[u8]) -> Vec<u8> {
    [&head(generation)[..], context].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_read_as_it_was_written_and_no_secret_is_taken_for_one() {
        let pair = StoredKey::Pair { public: [7; HALF], wrapped: vec![1, 2] };
        for key in [pair.clone(), StoredKey::Shredded] {
            assert_eq!(StoredKey::parse(&key.bytes()), Some(key.clone()));
            assert_eq!(SealedKind::split(&key.bytes()), None, "it is no secret");
        }
        let mut long = StoredKey::Shredded.bytes();
        long.push(0);
        for bytes in [&pair.bytes()[..32], &long, &[], &[SealedKind::TenantKey.byte(), 0, 0, 0, 1]]
        {
            assert_eq!(StoredKey::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_sealed_value_is_taken_apart_as_it_was_put_together() {
        let sealed = Sealed { generation: 0x0102_0304, enc: &[9; HALF], ciphertext: &[1; 17] };
        let bytes = sealed.bytes();
        assert_eq!(bytes[..5], [4, 1, 2, 3, 4]);
        assert_eq!(Sealed::parse(&bytes), Some(sealed));
        assert_eq!(Sealed::parse(&bytes[..36]), None);
        let none = Sealed { generation: 0, ..sealed };
        assert_eq!(Sealed::parse(&none.bytes()), None, "generations count from 1");
    }
}
