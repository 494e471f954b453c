//! A real server that hears nobody without a certificate of its authority: Node's own `https`.

#![allow(dead_code, reason = "each suite uses its part")]

use serde_json::Value;
use tempfile::TempDir;

use crate::receivers::ForeignServer;

/// A running server; ends when this is dropped.
pub struct MtlsServer {
    server: ForeignServer,
    _files: TempDir,
}

impl MtlsServer {
    /// With a certificate and its key, and the authority of its clients, each in PEM. `version` is the one
    /// version of TLS that it speaks, `TLSv1.2` or `TLSv1.3`; both without.
    pub fn start(certificate: &str, key: &str, authority: &str, version: Option<&str>) -> Self {
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, pem: &str| {
            std::fs::write(files.path().join(name), pem).unwrap();
            files.path().join(name).to_str().unwrap().to_owned()
        };
        let mut arguments = vec![
            write("certificate.pem", certificate),
            write("key.pem", key),
            write("authority.pem", authority),
        ];
        arguments.extend(version.map(str::to_owned));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self { server: ForeignServer::start("mtls-server.mjs", &arguments), _files: files }
    }

    /// The port of 127.0.0.1 where it listens.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The next that came; waits for it. Of a request: `path`, the `subject` (`{"CN": …}`) and
    /// `fingerprint256` of the certificate, the `protocol`, and whether the session was `reused`. Of a
    /// handshake that it refused: `refused`, the error.
    pub fn next(&mut self) -> Value {
        self.server.next()
    }
}
