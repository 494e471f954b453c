//! All failures of an endpoint since a time, sent again.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;

use super::form::{Form, body};
use super::visit::Visit;
use super::{Pages, edge, endpoints, parts};
use crate::api::problem::{Answer, Code};
use crate::api::replays as api;
use crate::domain::access::Action;
use crate::domain::ids::EndpointId;

/// The form on an endpoint's page.
pub fn form(visit: &Visit, id: &EndpointId) -> Markup {
    html! {
        section.card {
            h2 { "Recover" }
            p { "Sends all that it failed to take since a time again: its dead letters, and the kept jobs of failures that have none any more." }
            form.row method="post" action=(visit.link(&format!("/endpoints/{id}/recover"))) {
                (parts::token(&visit.session))
                label for="f-since" { "Failures since, UTC" }
                input #f-since name="since" type="datetime-local" required;
                button type="submit" { "Recover" }
            }
        }
    }
}

/// `POST …/endpoints/{id}/recover`
pub async fn begin(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let (caller, customer) = (&visit.session.caller, visit.customer.clone());
    caller.check(Action::Change, Some(&customer), Some(&id))?;
    let begun = async {
        let asked = body(&json!({"since": fields.full("since")})).read()?;
        api::start_recovery(&console.api, caller, (customer, id.clone()), asked).await
    };
    match begun.await {
        Ok(replay) => Ok(edge::see(&visit.link(&format!("/replays/{}", replay.id)))),
        Err(problem) if matches!(problem.what(), Code::ValidationFailed | Code::Conflict) => {
            endpoints::page(&console, &visit, &id, "", Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}
