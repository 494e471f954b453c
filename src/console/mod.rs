//! The console: pages for people, made on the server, over the handlers of the HTTP API.
//!
//! There are two realms. The operator's console lies under `/console` and is entered with an API key; the
//! customer's page lies under `/customer` and is entered with a customer's token. Both exchange it for a
//! [`session`], and what they show and do goes through the API's own functions with the caller that the
//! session stands for: nothing here can do more than the key may ([`crate::domain::access`]).
//!
//! A request comes in at the [`edge`], which recognises the session and sets the headers that keep the
//! page to itself. A form is read by [`form`], which looks at its anti-forgery token first. Pages are put
//! together in [`layout`] out of [`parts`]; everything that is written into them is escaped. They work
//! without scripts; `assets/console.js` only refreshes what is marked as live.

mod access;
mod assets;
mod chart;
mod customers;
mod dead_letters;
mod deliveries;
mod delivery;
mod edge;
mod endpoint_fields;
mod endpoint_form;
mod endpoints;
mod form;
mod keys;
mod layout;
mod login;
mod overview;
mod parts;
mod recovery;
mod replays;
mod samples;
mod secrets;
mod session;
mod tenant_key;
mod test_call;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use tokio_util::sync::CancellationToken;

use crate::api::problem::Problem;
use crate::api::{Api, Shared};
use samples::Samples;
use session::Realm;

/// What the pages have at hand.
struct Console {
    api: Shared,
    /// How deep the queue was lately.
    samples: Samples,
}

/// The state of every handler here.
type Pages = Arc<Console>;

/// The HTTP API, and the pages beside it where the settings want them. The queue's depth is sampled for
/// them until `stop`.
pub fn site(api: Arc<Api>, stop: CancellationToken) -> Router {
    let router = Arc::clone(&api).router();
    if !api.app.config.console.enabled {
        return router;
    }
    let console = Arc::new(Console { samples: Samples::default(), api });
    tokio::spawn(samples::keep(Arc::clone(&console), stop));
    router.merge(pages(&console))
}

/// Every page and every form's target: method, path under its realm, handler.
fn pages(console: &Pages) -> Router {
    let operator = Router::new()
        .route("/console", get(overview::show))
        .route("/console/login", get(login::ask).post(login::enter))
        .route("/console/logout", post(login::leave))
        .route("/console/customers", get(customers::list))
        .route("/console/dead-letters", get(dead_letters::list_all))
        .route("/console/keys", get(keys::list).post(keys::create))
        .route("/console/keys/{id}/revoke", post(keys::revoke))
        .route("/console/customers/{customer}/access", get(access::ask).post(access::create))
        .route("/console/customers/{customer}/tenant-key", get(tenant_key::show))
        .route("/console/customers/{customer}/tenant-key/create", post(tenant_key::create))
        .route("/console/customers/{customer}/tenant-key/shred", post(tenant_key::shred))
        .nest("/console/customers/{customer}", of_customer())
        .route("/console/{*rest}", missing());
    let customer = Router::new()
        .route("/customer/enter", get(login::ask_customer))
        .route("/customer/session", post(login::enter_customer))
        .route("/customer/logout", post(login::leave))
        .nest("/customer", of_customer())
        .route("/customer/{*rest}", missing());
    let edge = |realm| from_fn_with_state((Arc::clone(console), realm), edge::handle);
    Router::new()
        .merge(operator.layer(edge(Realm::Operator)))
        .merge(customer.layer(edge(Realm::Customer)))
        .merge(assets::router())
        .with_state(Arc::clone(console))
}

/// What is there of one customer, in both realms.
fn of_customer() -> Router<Pages> {
    Router::new()
        .route("/", get(endpoints::list))
        .route("/endpoints/new", get(endpoint_form::new).post(endpoint_form::create))
        .route("/endpoints/{id}", get(endpoints::show))
        .route("/endpoints/{id}/edit", get(endpoint_form::edit).post(endpoint_form::save))
        .route("/endpoints/{id}/pause", post(endpoints::pause))
        .route("/endpoints/{id}/enable", post(endpoints::enable))
        .route("/endpoints/{id}/disable", post(endpoints::disable))
        .route("/endpoints/{id}/delete", post(endpoints::delete))
        .route("/endpoints/{id}/verify", post(test_call::verify))
        .route("/endpoints/{id}/recover", post(recovery::begin))
        .route("/endpoints/{id}/test", get(test_call::ask).post(test_call::run))
        .route("/secrets", get(secrets::list))
        .route("/secrets/new", get(secrets::new).post(secrets::create))
        .route("/secrets/{id}", get(secrets::show))
        .route("/secrets/{id}/rotate", post(secrets::rotate))
        .route("/secrets/{id}/rollback", post(secrets::roll_back))
        .route("/secrets/{id}/delete", post(secrets::delete))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/{id}", get(delivery::show))
        .route("/deliveries/{id}/resend", post(delivery::resend))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/{id}", get(dead_letters::show))
        .route("/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/replays", get(replays::list).post(replays::begin))
        .route("/replays/new", get(replays::plan))
        .route("/replays/{id}", get(replays::show))
        .route("/replays/{id}/pause", post(replays::pause))
        .route("/replays/{id}/resume", post(replays::resume))
        .route("/replays/{id}/cancel", post(replays::cancel))
}

fn missing() -> MethodRouter<Pages> {
    axum::routing::any(|| async { Problem::not_found("such page") })
}
