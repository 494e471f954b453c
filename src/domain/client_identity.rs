//! Who we are to a server that asks for a client certificate.

use std::fmt;

use crate::domain::ids::CustomerId;
use crate::domain::secret::SecretBytes;

/// A client certificate with its key, and whom the server may be vouched for by.
#[derive(Clone)]
pub struct ClientIdentity {
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The certificate chain and the private key, in PEM.
    pub certificate: SecretBytes,
    /// The certificate authorities that the server is checked against, in PEM; the machine's own where
    /// there are none.
    pub authorities: Option<String>,
    /// Tells this identity from every other: SHA-256 over all of the above.
    pub fingerprint: [u8; 32],
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientIdentity of {}", self.customer_id)
    }
}
