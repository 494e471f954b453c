//! Ways to authenticate and to sign a call.
//!
//! A scheme is one file here, one line in [`REGISTRY`], one folder of vectors in `fixtures/auth/` and
//! one heading in `docs/AUTH.md`; a test demands all four. An endpoint lists any number of steps,
//! applied in order. If any step cannot be applied, nothing is sent.
//!
//! Everything here is a function of its parameters. What a step has to ask of others first (an access
//! token, a role's credentials, a server's challenge) it names as a [`need::Need`]; the pipeline obtains
//! it and hands it back as a [`need::Grant`].

pub mod api_key;
pub mod aws_sigv4;
pub mod basic;
pub mod bearer;
mod chain;
pub mod digest;
mod hex;
pub mod hmac;
pub mod http_message_signatures;
pub mod jws;
pub mod jwt;
pub mod key;
pub mod mtls;
pub mod need;
pub mod none;
pub mod oauth2_client_credentials;
mod prepared;
mod scheme;
pub mod standard_webhooks;
pub mod verify;

pub use chain::Chain;
use scheme::read_settings;
pub use scheme::{AuthError, Call, Part, Scheme, Step};

/// Every scheme there is.
pub static REGISTRY: &[&dyn Scheme] = &[
    &none::None,
    &basic::Basic,
    &bearer::Bearer,
    &api_key::ApiKey,
    &standard_webhooks::StandardWebhooks,
    &mtls::Mtls,
    &oauth2_client_credentials::OAuth2ClientCredentials,
    &aws_sigv4::AwsSigV4,
    &digest::Digest,
    &hmac::Hmac,
    &jwt::Jwt,
    &http_message_signatures::HttpMessageSignatures,
];

/// The scheme of this name.
pub fn scheme(name: &str) -> Option<&'static dyn Scheme> {
    REGISTRY.iter().copied().find(|scheme| scheme.name() == name)
}

#[cfg(test)]
mod tests;
