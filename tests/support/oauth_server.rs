//! A real OAuth 2.0 authorization server, with a resource that takes its tokens: oidc-provider.

#![allow(dead_code, reason = "each suite uses its part")]

use serde_json::Value;

use crate::receivers::ForeignServer;

/// A running server, on plain http; ends when this is dropped.
pub struct OAuthServer(ForeignServer);

impl OAuthServer {
    /// Settings: `clients`, a list of client metadata (RFC 7591: `client_id`, `client_secret`,
    /// `token_endpoint_auth_method`, `jwks`, or `public_key` in PEM); `lifetime` of a token in seconds (60); `scopes` that exist;
    /// `resource`, the one resource indicator it knows (RFC 8707): then [`Self::resource`] wants it.
    pub fn start(settings: &Value) -> Self {
        Self(ForeignServer::start("oauth-server.mjs", &[&settings.to_string()]))
    }

    /// The issuer, which is also its origin.
    pub fn issuer(&self) -> String {
        self.0.origin()
    }

    /// Where tokens are to be had. A client may be any of `client_secret_basic` (the default),
    /// `client_secret_post`, `client_secret_jwt` and `private_key_jwt`.
    pub fn token_url(&self) -> String {
        format!("{}/token", self.0.origin())
    }

    /// A URL that answers 204 to a bearer token that the server says is active (RFC 7662), and 401 else.
    pub fn resource(&self) -> String {
        format!("{}/resource", self.0.origin())
    }

    /// The next request that it answered; waits for it. Of the token URL: `path`, `status`, `client`,
    /// `error`; of the resource: `path`, `status`, and the token's `client`, `scope` and `aud`.
    pub fn next(&mut self) -> Value {
        self.0.next()
    }

    /// Every token it gave is revoked; everything that came before must have been asked for with `next`.
    pub fn revoke_all(&mut self) {
        self.0.tell("revoke");
        assert_eq!(self.0.next(), serde_json::json!({"revoked": true}));
    }
}
