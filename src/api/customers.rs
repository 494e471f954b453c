//! Customers as a whole: which there are, what there is of one, and its erasure.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::Shared;
use super::caller::Caller;
use super::input::{Named, Query};
use super::page::{self, Page, PageQuery};
use super::problem::{Answer, Code, Problem};
use crate::customer::{Asked, Erasure, NotErased, Overview, erase, overview};
use crate::domain::access::Action;
use crate::domain::ids::CustomerId;
use crate::vault::TenantKeyError;

/// How long one request erases: a request takes at most 30 seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A customer in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedCustomer {
    /// Its id.
    customer_id: CustomerId,
}

/// What may be lost with a customer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Loss {
    /// Most dead letters that may be lost with it; without it there may be none.
    #[param(value_type = Option<u64>)]
    purge: Option<u32>,
    /// Whether dead letters are taken out of the list whose jobs are not found. A job that somebody else has in
    /// hand just now stays in the queue then, and nothing lists it.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    forget: bool,
}

/// List the customers
///
/// Those that have an endpoint, a secret or a tenant key. On AWS they come in no particular order, and a page
/// looks at about 1,000 rows, so it may be short, or empty, and still name a next one.
#[utoipa::path(get, path = "/v1/customers", tag = "customers", operation_id = "listCustomers",
    params(PageQuery), responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<ListedCustomer>>> {
    caller.check(Action::Read, None, None)?;
    let (limit, after) = (page::limit(query.limit)?, page::after(query.cursor.as_deref())?);
    let found = api.app.customers.list(after.as_deref(), limit).await?;
    let customers = found.customers.into_iter();
    let listed = customers.map(|customer_id| ListedCustomer { customer_id }).collect();
    Ok(Json(Page::up_to(listed, found.next)))
}

/// Show what there is of a customer
///
/// Its endpoints with their states, the names of its secrets, at most 250 of each, and its tenant key.
#[utoipa::path(get, path = "/v1/customers/{customerId}", tag = "customers",
    operation_id = "getCustomer", params(("customerId" = String, Path)),
    responses((status = 200, description = "The customer")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
) -> Answer<Json<Overview>> {
    caller.check(Action::Read, Some(&customer), None)?;
    let found = overview(&api.app, &customer).await.map_err(of_key)?;
    if found.is_empty() {
        return Err(Problem::not_found(format!("customer {customer}")));
    }
    Ok(Json(found))
}

/// Erase a customer
///
/// Removes its endpoints, secrets, tenant key, tokens and keys of its own, dead letters and records, for good; `left`
/// says what stays and until when. A 202 says that there is more to do: ask again until it is a 200. A 409 says
/// how many dead letters would be lost: ask again with `purge`. Only a key of scope `operator` without limits may.
#[utoipa::path(delete, path = "/v1/customers/{customerId}", tag = "customers",
    operation_id = "eraseCustomer", params(("customerId" = String, Path), Loss),
    responses((status = 200, description = "All of it is removed"),
        (status = 202, description = "Some of it is removed: ask again")))]
pub async fn delete(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    Query(loss): Query<Loss>,
) -> Answer<(StatusCode, Json<Erasure>)> {
    caller.check(Action::Administer, None, None)?;
    let who = caller.0.id.clone();
    let Loss { purge, forget } = loss;
    let asked = Asked { purge: purge.map(u64::from), forget, who, patience: Some(PATIENCE) };
    let erased = erase(&api.app, &customer, &asked).await;
    // Whatever was withdrawn is refused at once, also after a failure.
    api.keys.forget_all();
    let erasure = erased.map_err(refused)?;
    let status = if erasure.complete { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(erasure)))
}

fn refused(error: NotErased) -> Problem {
    match error {
        NotErased::DeadLetters { found, .. } => {
            let detail = format!("{error}; to lose them, add ?purge={found}");
            Problem::new(Code::Conflict, detail)
        }
        NotErased::TenantKey(error) => of_key(error),
        NotErased::Ours(error) => error.into(),
    }
}

/// Whatever is not ours says what stands in the way.
pub fn of_key(error: TenantKeyError) -> Problem {
    match error {
        TenantKeyError::Ours(error) => error.into(),
        other => Problem::new(Code::Conflict, other.to_string()),
    }
}
