//! The HTTP API: one file a resource.
//!
//! A request comes in at the [`edge`], where its caller is recognised; the handler looks at what the
//! caller may do before it reads the body. Endpoints and secrets go through [`crate::registration`],
//! as on the command line; of the vault only the half that seals is used. Whatever goes wrong is a
//! [`problem`] document. The OpenAPI document is made of the handlers' own descriptions.

mod api_keys;
mod bulk;
mod caller;
mod dead_letters;
mod deliveries;
mod edge;
mod endpoint_state;
mod endpoints;
mod event_types;
mod health;
mod input;
mod jobs;
pub mod openapi;
mod page;
pub mod problem;
mod reference;
mod replays;
mod secret_value;
mod secrets;
mod server;
mod test_calls;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use caller::Keyring;

pub use edge::PUBLIC;
pub use server::{bind, serve};

/// What every handler has at hand.
pub struct Api {
    /// The stores and the queue.
    pub app: Arc<App>,
    /// The keys in use.
    keys: Keyring,
    /// Whether a worker runs in this process.
    has_worker: bool,
    /// The OpenAPI document, and the page made of it.
    document: String,
    reference: String,
}

type Shared = Arc<Api>;

impl Api {
    /// The API over these stores; `has_worker` if a worker runs beside it in this process.
    pub fn new(app: Arc<App>, has_worker: bool) -> Self {
        let document = openapi::document();
        let settings = &app.config.api;
        // A reading costs next to nothing from a file, and money from AWS.
        let lifetime = Duration::from_secs(if app.config.is_aws() { 10 } else { 1 });
        let keys = Keyring::new(lifetime, settings.requests_per_second);
        let reference = reference::page(&document);
        Self { keys, has_worker, document: document.to_string(), reference, app }
    }

    /// Everything that is served.
    pub fn router(self) -> Router {
        let api = Arc::new(self);
        let (router, _) = described().split_for_parts();
        router
            .fallback(|| async { problem::Problem::not_found("such path") })
            .layer(from_fn_with_state(Arc::clone(&api), edge::handle))
            .with_state(api)
    }
}

/// Every route with its description.
fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
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
        .routes(routes!(reference::document))
        .routes(routes!(reference::docs))
        .routes(routes!(reference::style))
}
