//! A customer's tenant key: the key pair that its values and kept jobs can be sealed to. Its private half
//! never leaves the key service's wrapping.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::caller::Caller;
use super::customers::of_key;
use super::input::{Named, Query};
use super::problem::{Answer, Problem};
use crate::customer;
pub(crate) use crate::customer::TenantKeyState;
use crate::domain::access::Action;
use crate::domain::field::FieldError;
use crate::domain::ids::CustomerId;

/// What has to be said before a key is shredded.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Confirmation {
    /// The customer's id, once more: what is sealed to the key is lost for good.
    pub confirm: String,
}

/// Show a customer's tenant key
///
/// Whether it can be used, its generation, and its public half, which writers seal to.
#[utoipa::path(get, path = "/v1/customers/{customerId}/tenant-key", tag = "customers",
    operation_id = "getTenantKey", params(("customerId" = String, Path)),
    responses((status = 200, description = "The tenant key")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
) -> Answer<Json<TenantKeyState>> {
    caller.check(Action::Read, Some(&customer), None)?;
    let key = customer::tenant_key(&api.app, &customer).await.map_err(of_key)?;
    let key = key.ok_or_else(|| Problem::not_found(format!("tenant key of customer {customer}")));
    key.map(Json)
}

/// Make a customer's tenant key
///
/// The first one, or a new one after a shredding. A 409 says that there is one that can be used.
#[utoipa::path(post, path = "/v1/customers/{customerId}/tenant-key", tag = "customers",
    operation_id = "createTenantKey", params(("customerId" = String, Path)),
    responses((status = 201, description = "The tenant key")))]
pub async fn create(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
) -> Answer<(StatusCode, Json<TenantKeyState>)> {
    caller.check(Action::Administer, Some(&customer), None)?;
    let key = api.app.vault.create_tenant_key(&customer).await.map_err(of_key)?;
    Ok((StatusCode::CREATED, Json(key.into())))
}

/// Rotate a customer's tenant key
///
/// Makes the next generation: new values are sealed to it, and what was sealed before opens as it did. A 409
/// says that there is none that can be used.
#[utoipa::path(post, path = "/v1/customers/{customerId}/tenant-key/rotate", tag = "customers",
    operation_id = "rotateTenantKey", params(("customerId" = String, Path)),
    responses((status = 200, description = "The tenant key")))]
pub async fn rotate(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
) -> Answer<Json<TenantKeyState>> {
    caller.check(Action::Administer, Some(&customer), None)?;
    let key = api.app.vault.rotate_tenant_key(&customer).await.map_err(of_key)?;
    Ok(Json(key.into()))
}

/// Shred a customer's tenant key
///
/// Removes the private halves of all its generations: every value and every kept job that is sealed to it is
/// lost for good. Workers use what they have opened until their caches end; backups hold the key until they
/// expire. A 409 says that there is none.
#[utoipa::path(delete, path = "/v1/customers/{customerId}/tenant-key", tag = "customers",
    operation_id = "shredTenantKey", params(("customerId" = String, Path), Confirmation),
    responses((status = 200, description = "What is left of the tenant key")))]
pub async fn shred(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    Query(Confirmation { confirm }): Query<Confirmation>,
) -> Answer<Json<TenantKeyState>> {
    caller.check(Action::Administer, Some(&customer), None)?;
    if confirm != customer.as_str() {
        let problem = "expected the id of this customer: nothing was shredded";
        return Err(FieldError::new("confirm", problem).into());
    }
    let key = api.app.vault.shred_tenant_key(&customer).await.map_err(of_key)?;
    Ok(Json(key.into()))
}
