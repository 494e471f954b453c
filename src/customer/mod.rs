//! A customer as a whole: what there is of it, and how that is erased.

mod erasure;
mod left;
mod work;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;

use crate::app::App;
use crate::domain::endpoint::Health;
use crate::domain::ids::{CustomerId, EndpointId, SecretId};
use crate::domain::timestamp::Timestamp;
use crate::vault::{TenantKey, TenantKeyError};

pub use erasure::{Asked, Counts, Erasure, Left, NotErased, erase};

/// Most endpoints, and most secrets, that an overview names.
pub const MOST_NAMED: usize = 250;

/// What there is of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Which customer.
    pub customer_id: CustomerId,
    /// How many endpoints it has.
    pub endpoint_count: usize,
    /// The first of them by id, at most [`MOST_NAMED`].
    pub endpoints: Vec<EndpointState>,
    /// How many secrets it has.
    pub secret_count: usize,
    /// The names of the first of them, at most [`MOST_NAMED`].
    pub secrets: Vec<SecretId>,
    /// Its tenant key, if it ever had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_key: Option<TenantKeyState>,
}

/// How an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointState {
    /// Which endpoint.
    pub endpoint_id: EndpointId,
    /// Whether it is called at all.
    pub enabled: bool,
    /// What is known of it.
    pub health: Health,
}

/// How a tenant key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantKeyState {
    /// `usable` or `shredded`.
    pub state: &'static str,
    /// Which generation is current.
    pub generation: u64,
    /// When that was made, or the key was shredded.
    pub at: Timestamp,
    /// What writers seal to, in base64; `None` once it was shredded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

impl From<TenantKey> for TenantKeyState {
    fn from(key: TenantKey) -> Self {
        Self {
            state: if key.public.is_some() { USABLE } else { "shredded" },
            generation: key.generation,
            at: key.at,
            public_key: key.public.map(|public| BASE64_STANDARD.encode(public)),
        }
    }
}

impl Overview {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        let key = self.tenant_key.as_ref().is_some_and(|key| key.state == USABLE);
        self.endpoint_count == 0 && self.secret_count == 0 && !key
    }
}

const USABLE: &str = "usable";

/// What there is of a customer.
///
/// # Errors
/// If a store fails, or its tenant key is damaged.
pub async fn overview(app: &App, customer: &CustomerId) -> Result<Overview, TenantKeyError> {
    let stored = app.endpoints.list(Some(customer)).await?;
    let health = app.health.list(customer).await?;
    let health_of = |endpoint: &EndpointId, version: u64| {
        let own = health.iter().find(|known| known.endpoint_id == *endpoint);
        let own = own.filter(|known| known.version == version);
        own.map_or(Health::Active, |known| known.record.health.clone())
    };
    let endpoints = stored.iter().take(MOST_NAMED).map(|stored| EndpointState {
        endpoint_id: stored.endpoint.endpoint_id.clone(),
        enabled: stored.endpoint.enabled,
        health: health_of(&stored.endpoint.endpoint_id, stored.version),
    });
    let endpoints = endpoints.collect();
    let mut secrets: Vec<SecretId> =
        app.secrets.list(Some(customer)).await?.into_iter().map(|(_, id, _)| id).collect();
    secrets.retain(|id| !id.is_reserved());
    let secret_count = secrets.len();
    secrets.truncate(MOST_NAMED);
    let tenant_key = tenant_key(app, customer).await?;
    let (customer_id, endpoint_count) = (customer.clone(), stored.len());
    Ok(Overview { customer_id, endpoint_count, endpoints, secret_count, secrets, tenant_key })
}

/// How a customer's tenant key is; `None` if it never had one.
///
/// # Errors
/// If the store fails, or the key is damaged.
pub async fn tenant_key(
    app: &App,
    customer: &CustomerId,
) -> Result<Option<TenantKeyState>, TenantKeyError> {
    let key = app.vault.tenant_keys(Some(customer)).await?.into_iter().next();
    Ok(key.map(TenantKeyState::from))
}
