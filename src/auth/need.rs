//! What steps need of others before they can be applied, and what they are granted.

use std::sync::Arc;

use super::oauth2_client_credentials::{Token, TokenRequest};
use crate::domain::aws_role::{AwsCredentials, AwsRole};

/// What a step needs.
pub enum Need<'s> {
    /// An access token.
    Token(&'s Arc<TokenRequest>),
    /// The credentials of an AWS role.
    AwsCredentials(&'s AwsRole),
    /// What the server asks of those who want to authenticate (RFC 9110 section 11.6.1).
    Challenge,
}

/// What a step was granted.
#[derive(Clone)]
pub enum Grant {
    /// An access token.
    Token(Token),
    /// The credentials of an AWS role.
    AwsCredentials(AwsCredentials),
    /// What the server asks.
    Challenge(Challenge),
}

/// A server's challenge in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The values of `WWW-Authenticate`, as they came.
    pub headers: Vec<String>,
    /// How often this challenge has been answered, this time included; from 1.
    pub count: u32,
}
