//! The response to a challenge (RFC 7616 section 3.4).

use aws_lc_rs::digest::{Context, SHA256, SHA512_256};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::auth::hex::hex;

/// A hash function of the registry "Hash Algorithms for HTTP Digest Authentication", the preferred
/// one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-512/256.
    Sha512Of256,
    /// MD5: broken, and only for servers that have nothing else.
    Md5,
}

/// A hash function, and whether its first value holds for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Algorithm {
    /// The function.
    pub hash: Hash,
    /// Whether both nonces go into the hash of the password.
    pub session: bool,
}

/// What the response covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Qop {
    /// The method and the URI.
    #[serde(rename = "auth")]
    Auth,
    /// The body too.
    #[serde(rename = "auth-int")]
    AuthInt,
}

impl Algorithm {
    /// Reads the value of `algorithm`; `None` if it is unknown.
    pub fn read(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let (name, session) =
            lower.strip_suffix("-sess").map_or((lower.as_str(), false), |name| (name, true));
        let hash = match name {
            "sha-256" => Hash::Sha256,
            "sha-512-256" => Hash::Sha512Of256,
            "md5" => Hash::Md5,
            _ => return None,
        };
        Some(Self { hash, session })
    }
}

impl Hash {
    /// The hash of parts with `:` between them, in hex.
    pub fn of(self, parts: &[&[u8]]) -> Zeroizing<String> {
        let joined = || parts.iter().enumerate().flat_map(|(i, part)| [separator(i), part]);
        let sha = |algorithm| {
            let mut hasher = Context::new(algorithm);
            joined().for_each(|part| hasher.update(part));
            hex(hasher.finish().as_ref())
        };
        Zeroizing::new(match self {
            Self::Sha256 => sha(&SHA256),
            Self::Sha512Of256 => sha(&SHA512_256),
            Self::Md5 => {
                let mut hasher = Md5::new();
                joined().for_each(|part| hasher.update(part));
                hex(&hasher.finalize())
            }
        })
    }
}

fn separator(index: usize) -> &'static [u8] {
    if index == 0 { b"" } else { b":" }
}

impl Qop {
    /// Reads one of the values of `qop`; `None` if it is unknown.
    pub fn read(text: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| qop.as_str().eq_ignore_ascii_case(text))
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// All that goes into a response.
pub struct Response<'r> {
    /// The hash function.
    pub algorithm: Algorithm,
    /// The user, never hashed.
    pub username: &'r str,
    /// The realm.
    pub realm: &'r str,
    /// The password.
    pub password: &'r [u8],
    /// The method.
    pub method: &'r str,
    /// The path and query, as they are sent.
    pub uri: &'r str,
    /// The body.
    pub body: &'r [u8],
    /// The server's nonce.
    pub nonce: &'r str,
    /// How often it was used, in 8 hex digits.
    pub nc: &'r str,
    /// The client's nonce.
    pub cnonce: &'r str,
    /// What is covered.
    pub qop: Qop,
}

impl Response<'_> {
    /// The value of `response`.
    pub fn compute(&self) -> Zeroizing<String> {
        let hash = |parts: &[&[u8]]| self.algorithm.hash.of(parts);
        let (nonce, cnonce) = (self.nonce.as_bytes(), self.cnonce.as_bytes());
        let mut a1 = hash(&[self.username.as_bytes(), self.realm.as_bytes(), self.password]);
        if self.algorithm.session {
            a1 = hash(&[a1.as_bytes(), nonce, cnonce]);
        }
        let (method, uri) = (self.method.as_bytes(), self.uri.as_bytes());
        let a2 = match self.qop {
            Qop::Auth => hash(&[method, uri]),
            Qop::AuthInt => hash(&[method, uri, hash(&[self.body]).as_bytes()]),
        };
        let (nc, qop) = (self.nc.as_bytes(), self.qop.as_str().as_bytes());
        hash(&[a1.as_bytes(), nonce, nc, cnonce, qop, a2.as_bytes()])
    }
}
