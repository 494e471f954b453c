//! The bytes that stand for an encryption context.

use crate::ports::keys::Context;

/// The context as associated data: the number of pairs, then each name and value with its length
/// before it, sorted by name. No two contexts give the same bytes. (The layout of the AWS Encryption
/// SDK specification, "Message Header", "Additional Authenticated Data".)
pub fn context_bytes(context: &Context) -> Vec<u8> {
    if context.is_empty() {
        return Vec::new();
    }
    let mut pairs: Vec<(&[u8], &[u8])> =
        context.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    pairs.sort_unstable();
    let mut bytes = length(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend(length(name.len()));
        bytes.extend(name);
        bytes.extend(length(value.len()));
        bytes.extend(value);
    }
    bytes
}

/// Names and values are ids, digests and numbers of at most a few hundred bytes.
fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}
