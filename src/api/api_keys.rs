//! The operator's keys.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::input::{Body, Length, Named, Query};
use super::page::{self, Page, PageQuery};
use super::problem::{Answer, Problem};
use crate::access::{check_name, issue_key};
use crate::domain::access::{Action, ApiKey, Grant, Scope};
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::timestamp::Timestamp;

/// A key as it is made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// `read_only`, `producer` (sends jobs, nothing else) or `operator`.
    #[schema(value_type = String)]
    scope: Scope,
    /// Only these customers.
    #[schema(value_type = Option<Vec<String>>)]
    customers: Option<BTreeSet<CustomerId>>,
    /// Only these endpoints of them.
    #[schema(value_type = Option<Vec<String>>)]
    endpoints: Option<BTreeSet<EndpointId>>,
    /// How long it is good, as in `90days`; without it, until it is revoked.
    #[schema(value_type = Option<String>)]
    expires_in: Option<Length>,
}

/// A key as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownKey {
    /// Its name in the store.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is for.
    #[schema(value_type = String)]
    pub scope: Option<Scope>,
    /// Only these customers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub customers: Option<BTreeSet<CustomerId>>,
    /// Only these endpoints of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub endpoints: Option<BTreeSet<EndpointId>>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// From then on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// What its holder sends; shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl From<ApiKey> for ShownKey {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, name, grant, created_at, expires_at, revoked_at, .. } = key;
        let (scope, customers, endpoints) = match grant {
            Grant::Operator { scope, customers, endpoints } => (Some(scope), customers, endpoints),
            Grant::Customer { customer_id } => (None, Some([customer_id].into()), None),
        };
        Self {
            id,
            name,
            scope,
            customers,
            endpoints,
            created_at,
            expires_at,
            revoked_at,
            key: None,
        }
    }
}

/// List the operator's keys, oldest first
#[utoipa::path(get, path = "/v1/api-keys", tag = "keys", operation_id = "listApiKeys",
    params(PageQuery), responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<ShownKey>>> {
    caller.check(Action::Administer, None, None)?;
    let (limit, after) = (page::limit(query.limit)?, page::after(query.cursor.as_deref())?);
    let keys = api.app.control.list_keys(after.as_deref(), limit + 1).await?;
    let shown: Vec<ShownKey> = keys.into_iter().map(ShownKey::from).collect();
    Ok(Json(Page::of(shown, limit, |key| key.id.clone())))
}

/// Make a key
///
/// It is shown once. Only a key of scope `operator` without limits makes, lists and revokes keys.
#[utoipa::path(post, path = "/v1/api-keys", tag = "keys", operation_id = "createApiKey",
    request_body = NewKey,
    responses((status = 201, description = "The key, with its text", body = ShownKey)))]
pub async fn create(
    State(api): State<Shared>,
    caller: Caller,
    body: Body,
) -> Answer<(StatusCode, Json<ShownKey>)> {
    caller.check(Action::Administer, None, None)?;
    let NewKey { name, scope, customers, endpoints, expires_in } = body.read()?;
    check_name(&name)?;
    let empty = |path, is_empty| {
        let problem = "expected at least one; leave it out for all";
        if is_empty { Err(FieldError::new(path, problem)) } else { Ok(()) }
    };
    empty("customers", customers.as_ref().is_some_and(BTreeSet::is_empty))?;
    empty("endpoints", endpoints.as_ref().is_some_and(BTreeSet::is_empty))?;
    let expires_at = expires_in.map(|length| api.app.clock.now().plus(length.0));
    let grant = Grant::Operator { scope, customers, endpoints };
    let issued = issue_key(&api.app, name, grant, expires_at).await?;
    let text = issued.text.expose_str().map(str::to_owned);
    Ok((StatusCode::CREATED, Json(ShownKey { key: text, ..issued.key.into() })))
}

/// Revoke a key, or a customer's token
///
/// Customers' tokens that were made with the key end with it. Other processes notice within 10 seconds.
#[utoipa::path(delete, path = "/v1/api-keys/{keyId}", tag = "keys", operation_id = "revokeApiKey",
    params(("keyId" = String, Path)),
    responses((status = 204, description = "It is revoked")))]
pub async fn revoke(
    State(api): State<Shared>,
    caller: Caller,
    Named(id): Named<String>,
) -> Answer<StatusCode> {
    caller.check(Action::Administer, None, None)?;
    if !api.app.control.revoke_key(&id, api.app.clock.now()).await? {
        return Err(Problem::not_found("such key"));
    }
    api.keys.forget(&id).await;
    Ok(StatusCode::NO_CONTENT)
}
