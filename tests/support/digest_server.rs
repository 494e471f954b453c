//! A real server that asks for HTTP Digest authentication: Flask-HTTPAuth, and httpbin.

#![allow(dead_code, reason = "each suite uses its part")]

use serde_json::Value;

use crate::receivers::ForeignServer;

/// A running server, on plain http; ends when this is dropped.
pub struct DigestServer(ForeignServer);

impl DigestServer {
    /// `algorithm` and `qop`: MD5 or MD5-sess with `auth` or `none` (Flask-HTTPAuth, which takes each
    /// nonce three times and only those it gave); SHA-256 or SHA-512 with `auth`, and each but MD5-sess
    /// with `auth-int` (httpbin, which takes any nonce).
    pub fn start(algorithm: &str, qop: &str, user: &str, password: &str) -> Self {
        Self(ForeignServer::start("digest-server.py", &[algorithm, qop, user, password]))
    }

    /// Its origin; every path asks.
    pub fn origin(&self) -> String {
        self.0.origin()
    }

    /// The next request; waits for it: `path`, `status`, and `asked`, whether it had no `Authorization`.
    pub fn next(&mut self) -> Value {
        self.0.next()
    }
}
