//! Recorded deliveries, searched.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::form::{Asked, Fields};
use super::layout::{self, Area};
use super::parts::{self, Field, choices, number};
use super::visit::Visit;
use super::{Console, Pages};
use crate::api::deliveries as api;
use crate::api::input::{Named, Query};
use crate::api::problem::Answer;
use crate::domain::access::Action;
use crate::domain::delivery_record::{DeliveryRecord, DeliveryStatus, Recording};
use crate::domain::ids::EndpointId;
use crate::domain::reason::Reason;

/// What a search is made of: the API's own names.
const FILTERS: [&str; 6] = ["endpointId", "status", "type", "reason", "since", "until"];

/// `GET …/deliveries`
pub async fn list(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    let limited = visit.session.caller.check(Action::Read, Some(&visit.customer), None).is_err();
    if limited && asked.get("endpointId").is_empty() {
        // A key that is limited to endpoints names one.
        return Ok(choose_endpoint(&visit));
    }
    let which = asked.read_as(&[&FILTERS[..], &["cursor"]].concat())?;
    let (caller, customer) = (visit.session.caller.clone(), visit.customer.clone());
    let page =
        api::list(State(console.api.clone()), caller, Named(customer), Query(which)).await?.0;
    let path = visit.link("/deliveries");
    let body = html! {
        (parts::heading("Deliveries", Some(recorded(console.api.app.config.deliveries.record)), html! {}))
        (filters(&path, &asked))
        section.card {
            @if page.data.is_empty() {
                @if page.next_cursor.is_some() {
                    (parts::empty("None on this page", "The search goes on where this page ends.", html! {}))
                } @else {
                    (parts::empty("No deliveries", nothing(console.api.app.config.deliveries.record), html! {}))
                }
            } @else { (table(&visit, &page.data)) }
            (parts::more(&path, &asked, &FILTERS, page.next_cursor.as_deref()))
        }
    };
    Ok(layout::customer_page(&visit, Area::Deliveries, "Deliveries", None, &body))
}

fn choose_endpoint(visit: &Visit) -> Response {
    let body = html! {
        (parts::heading("Deliveries", None, html! {}))
        (filters(&visit.link("/deliveries"), &Fields::default()))
        section.card { (parts::empty("Which endpoint?", "This key is limited to endpoints: name one of them above.", html! {})) }
    };
    layout::customer_page(visit, Area::Deliveries, "Deliveries", None, &body)
}

fn recorded(recording: Recording) -> &'static str {
    match recording {
        Recording::None => "New deliveries are not recorded: deliveries.record is none.",
        Recording::Failures => "Deliveries of which an attempt failed are recorded.",
        Recording::All => "Every delivery is recorded.",
    }
}

fn nothing(recording: Recording) -> &'static str {
    match recording {
        Recording::None => "Set deliveries.record to failures or all to see what happens here.",
        Recording::Failures => "Nothing that matches has failed.",
        Recording::All => "Nothing that matches has been delivered.",
    }
}

fn filters(path: &str, asked: &Fields) -> Markup {
    let field = |name, label| Field { name, label, hint: "", required: true };
    let statuses = choices("any status", DeliveryStatus::ALL.map(DeliveryStatus::name));
    let reasons = choices("any reason", Reason::ALL.iter().map(|reason| reason.code()));
    html! {
        form.filters method="get" action=(path) {
            (optional(&field("endpointId", "Endpoint"), "text", asked))
            (field("status", "Status").choice(&statuses, asked, None))
            (optional(&field("type", "Event type"), "text", asked))
            (field("reason", "Reason").choice(&reasons, asked, None))
            (optional(&field("since", "Since, UTC"), "datetime-local", asked))
            (optional(&field("until", "Until, UTC"), "datetime-local", asked))
            div.buttons {
                button type="submit" { "Search" }
                a href=(path) { "Reset" }
            }
        }
    }
}

/// A filter may always be left empty: that is not said at each.
pub fn optional(field: &Field<'_>, kind: &str, asked: &Fields) -> Markup {
    let value = asked.get(field.name);
    let value = if kind == "datetime-local" { value.get(..16).unwrap_or(value) } else { value };
    let id = format!("f-{}", field.name);
    html! {
        div.field {
            label for=(id) { (field.label) }
            input id=(id) name=(field.name) type=(kind) value=(value) autocomplete="off" spellcheck="false";
        }
    }
}

fn table(visit: &Visit, found: &[DeliveryRecord]) -> Markup {
    let now = visit.session.now;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Deliveries" { table {
            thead { tr {
                th { "Job" } th { "Endpoint" } th { "Event" } th { "Status" } th { "Last answer" }
                th.number { "Attempts" } th { "Accepted" }
            } }
            tbody { @for delivery in found {
                tr {
                    td.long { a href=(visit.link(&format!("/deliveries/{}", delivery.id))) { (delivery.job_id) } }
                    td { (delivery.endpoint_id) }
                    td { @match &delivery.event_type { Some(kind) => (kind), None => span.muted { "–" } } }
                    td { (parts::status(delivery.status)) }
                    td { (parts::outcome(&delivery.last)) }
                    td.number { (number(delivery.attempts.into())) }
                    td { (parts::time(now, delivery.accepted_at)) }
                }
            } }
        } }
    }
}

/// The latest deliveries of an endpoint, for its own page.
///
/// # Errors
/// If the store fails.
pub async fn recent(console: &Console, visit: &Visit, endpoint: &EndpointId) -> Answer<Markup> {
    let mut asked = Fields::default();
    asked.set("endpointId", endpoint.as_str());
    asked.set("limit", "8");
    let which = asked.read_as(&["endpointId", "limit"])?;
    let (caller, customer) = (visit.session.caller.clone(), visit.customer.clone());
    let page =
        api::list(State(console.api.clone()), caller, Named(customer), Query(which)).await?.0;
    let hint = nothing(console.api.app.config.deliveries.record);
    Ok(if page.data.is_empty() {
        parts::empty("No deliveries", hint, html! {})
    } else {
        table(visit, &page.data)
    })
}
