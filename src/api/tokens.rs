//! Customers' tokens: short-lived, for pages that a customer sees.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::input::{Body, Length, Named};
use super::problem::{Answer, Code, Problem};
use crate::access::{LONGEST_TOKEN, TOKEN_LIFETIME, issue_token};
use crate::domain::access::Action;
use crate::domain::field::FieldError;
use crate::domain::ids::CustomerId;
use crate::domain::timestamp::Timestamp;

/// How long a token is good.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// As in `15m`; by default `1h`, at most `24h`.
    #[schema(value_type = Option<String>)]
    expires_in: Option<Length>,
}

/// A customer's token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Its name, with which it can be revoked.
    id: String,
    /// Whose.
    #[schema(value_type = String)]
    customer_id: CustomerId,
    /// What its holder sends; shown once.
    pub token: String,
    /// From then on it is refused.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// Make a token for a customer
///
/// It sees and changes that customer's endpoints, secrets and dead letters, and nothing else. It ends with
/// the key that it is made with.
#[utoipa::path(post, path = "/v1/customers/{customerId}/tokens", tag = "keys",
    operation_id = "createToken", request_body = NewToken,
    params(("customerId" = String, Path)),
    responses((status = 201, description = "The token", body = Token)))]
pub async fn mint(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer_id): Named<CustomerId>,
    body: Body,
) -> Answer<(StatusCode, Json<Token>)> {
    caller.check(Action::Mint, Some(&customer_id), None)?;
    let NewToken { expires_in } = body.read()?;
    let lifetime = expires_in.map_or(TOKEN_LIFETIME, |length| length.0);
    if lifetime < Duration::from_secs(1) || lifetime > LONGEST_TOKEN {
        return Err(FieldError::new("expiresIn", "expected 1s to 24h").into());
    }
    let issued = issue_token(&api.app, customer_id.clone(), lifetime, &caller.0).await?;
    let Some(token) = issued.text.expose_str().map(str::to_owned) else {
        return Err(Problem::new(Code::Internal, Code::Internal.title()));
    };
    let (id, expires_at) = (issued.key.id, issued.key.expires_at);
    Ok((StatusCode::CREATED, Json(Token { id, customer_id, token, expires_at })))
}
