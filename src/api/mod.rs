//! The HTTP API: one file a resource.
//!
//! A request comes in at the [`edge`], where its caller is recognised; the handler looks at what the
//! caller may do before it reads the body. Endpoints and secrets go through [`crate::registration`],
//! as on the command line; of the vault only the half that seals is used. Whatever goes wrong is a
//! [`problem`] document. The OpenAPI document is made of the handlers' own descriptions.

pub(crate) mod api_keys;
mod bulk;
pub(crate) mod caller;
pub(crate) mod customers;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
mod edge;
pub(crate) mod endpoint_state;
pub(crate) mod endpoints;
mod event_types;
pub(crate) mod failures;
mod health;
pub(crate) mod input;
mod jobs;
pub mod openapi;
pub(crate) mod page;
pub mod problem;
mod reference;
pub(crate) mod replays;
mod secret_value;
pub(crate) mod secrets;
mod server;
pub(crate) mod tenant_keys;
pub(crate) mod test_calls;
pub(crate) mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::monitor::Monitor;
use caller::Keyring;
use failures::Failures;

pub use edge::PUBLIC;
pub use server::{bind, serve};

/// What every handler has at hand.
pub struct Api {
    /// The stores and the queue.
    pub app: Arc<App>,
    /// The keys in use.
    pub(crate) keys: Keyring,
    /// What is asked of the process itself.
    pub(crate) monitor: Arc<Monitor>,
    /// The OpenAPI document, and the page made of it.
    document: String,
    reference: String,
}

/// What handlers share.
pub(crate) type Shared = Arc<Api>;

impl Api {
    /// The API over the stores of this process.
    pub fn new(monitor: Arc<Monitor>) -> Self {
        let (app, document) = (Arc::clone(&monitor.app), openapi::document());
        app.tally.requests.begin(routes_of(&document));
        let settings = &app.config.api;
        // A reading costs next to nothing from a file, and money from AWS.
        let lifetime = Duration::from_secs(if app.config.is_aws() { 10 } else { 1 });
        let failures = Failures::new(settings.failed_authentications_per_minute);
        let proxies = settings.trusted_proxies.clone();
        let keys = Keyring::new(lifetime, settings.requests_per_second, failures, proxies);
        let reference = reference::page(&document);
        Self { keys, monitor, document: document.to_string(), reference, app }
    }

    /// Everything that the API serves.
    pub fn router(self: Arc<Self>) -> Router {
        let (router, _) = described().split_for_parts();
        router
            .fallback(|| async { problem::Problem::not_found("such path") })
            .layer(from_fn_with_state(Arc::clone(&self), edge::handle))
            .with_state(self)
    }
}

/// The methods and paths of a document.
fn routes_of(document: &Value) -> impl Iterator<Item = (String, String)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flat_map(|item| item.keys());
        methods.map(|method| (method.to_uppercase(), path.clone()))
    })
}

/// Every route with its description.
fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(customers::list))
        .routes(routes!(customers::get, customers::delete))
        .routes(routes!(tenant_keys::get, tenant_keys::create, tenant_keys::shred))
        .routes(routes!(tenant_keys::rotate))
        .routes(routes!(endpoints::list, endpoints::create))
        .routes(routes!(endpoints::get, endpoints::put, endpoints::delete))
        .routes(routes!(endpoint_state::pause))
        .routes(routes!(endpoint_state::enable))
        .routes(routes!(test_calls::ask))
        .routes(routes!(test_calls::verify))
        .routes(routes!(test_calls::get))
        .routes(routes!(event_types::list))
        .routes(routes!(event_types::get, event_types::put, event_types::delete))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::get, secrets::put, secrets::delete))
        .routes(routes!(secrets::rotate))
        .routes(routes!(secrets::roll_back))
        .routes(routes!(jobs::send))
        .routes(routes!(bulk::send))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::get))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::get))
        .routes(routes!(deliveries::resend))
        .routes(routes!(replays::recover))
        .routes(routes!(replays::list, replays::begin))
        .routes(routes!(replays::get))
        .routes(routes!(replays::pause))
        .routes(routes!(replays::resume))
        .routes(routes!(replays::cancel))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(tokens::mint))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(reference::document))
        .routes(routes!(reference::docs))
        .routes(routes!(reference::style))
}
