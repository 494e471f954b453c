//! A customer's endpoints: the list, and one with its health, its configuration and what can be done.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;

use super::form::{Asked, Fields, Form, body};
use super::layout::{self, Area};
use super::parts::{self, Tone, number};
use super::visit::Visit;
use super::{Console, Pages, deliveries, edge, recovery};
use crate::api::endpoint_state;
use crate::api::endpoints::{self as api, ShownEndpoint};
use crate::api::input::{Expected, Named, Query};
use crate::api::page::PageQuery;
use crate::api::problem::{Answer, Problem};
use crate::domain::access::Action;
use crate::domain::authorization::Authorization;
use crate::domain::endpoint::{Endpoint, Health};
use crate::domain::ids::EndpointId;

/// `GET …/`
pub async fn list(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    let (caller, customer) = (visit.session.caller.clone(), visit.customer.clone());
    let query = PageQuery { cursor: asked.read_as::<PageQuery>(&["cursor"])?.cursor, limit: None };
    let page =
        api::list(State(console.api.clone()), caller, Named(customer), Query(query)).await?.0;
    let (shown, next) = (page.data, page.next_cursor);
    let add = html! {
        @if visit.may_reach(Action::Change) {
            a.button.primary href=(visit.link("/endpoints/new")) { "Add endpoint" }
        }
    };
    let hint = "Where this customer's events are delivered.";
    let body = html! {
        (parts::note(asked.get("done")))
        (parts::heading("Endpoints", Some(hint), if shown.is_empty() { html! {} } else { add.clone() }))
        section.card {
            @if shown.is_empty() {
                (parts::empty("No endpoint yet", "Register the URL that is called, and how calls are authenticated.", add))
            } @else {
                (table(&visit, &shown))
                (parts::more(&visit.link(""), &Fields::default(), &[], next.as_deref()))
            }
        }
    };
    Ok(layout::customer_page(&visit, Area::Endpoints, "Endpoints", None, &body))
}

fn table(visit: &Visit, shown: &[ShownEndpoint]) -> Markup {
    let now = visit.session.now;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Endpoints" { table {
            thead { tr { th { "Endpoint" } th { "URL" } th { "Events" } th { "State" } th { "Changed" } } }
            tbody { @for shown in shown {
                @let Endpoint { endpoint_id, url, event_types, enabled, .. } = &shown.endpoint;
                tr {
                    td { a href=(visit.link(&format!("/endpoints/{endpoint_id}"))) { (endpoint_id) } }
                    td.long { code { (url.as_str()) } }
                    td { @match event_types {
                        None => span.muted { "all" },
                        Some(types) => (types.iter().map(|t| String::from(t.clone())).collect::<Vec<_>>().join(", ")),
                    } }
                    td { (parts::health(*enabled, &shown.health)) }
                    td { (parts::time(now, shown.updated_at)) }
                }
            } }
        } }
    }
}

/// `GET …/endpoints/{id}`
pub async fn show(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    page(&console, &visit, &id, asked.get("done"), None).await
}

/// The page of an endpoint.
///
/// # Errors
/// If there is no such endpoint, the visitor may not see it, or a store fails.
pub async fn page(
    console: &Console,
    visit: &Visit,
    id: &EndpointId,
    done: &str,
    problem: Option<&Problem>,
) -> Answer<Response> {
    visit.session.caller.check(Action::Read, Some(&visit.customer), Some(id))?;
    let shown = api::read(&console.api, &visit.customer, id).await?;
    let recent = deliveries::recent(console, visit, id).await?;
    let may_change = visit.may(Action::Change, Some(id));
    let actions = html! {
        @if may_change {
            a.button.primary href=(visit.link(&format!("/endpoints/{id}/test"))) { "Test" }
            a.button href=(visit.link(&format!("/endpoints/{id}/edit"))) { "Edit" }
        }
    };
    let body = html! {
        (parts::note(done))
        (parts::problem(problem, &[]))
        (parts::heading(id.as_str(), None, actions))
        (state(visit, &shown, may_change))
        (facts(visit, &shown))
        section.card {
            div.heading { h2 { "Latest deliveries" }
                a href=(visit.link(&format!("/deliveries?endpointId={id}"))) { "All of them" } }
            (recent)
        }
        @if may_change { (recovery::form(visit, id)) (removal(visit, &shown)) }
    };
    Ok(layout::customer_page(visit, Area::Endpoints, id.as_str(), problem, &body))
}

/// How it is, why, and what can be done about it.
fn state(visit: &Visit, shown: &ShownEndpoint, may_change: bool) -> Markup {
    let (now, id) = (visit.session.now, &shown.endpoint.endpoint_id);
    let post = |verb: &str, class: &str, label: &str| {
        let target = visit.link(&format!("/endpoints/{id}/{verb}"));
        parts::post(&visit.session, &target, class, label)
    };
    let is_on = shown.endpoint.enabled && !shown.health.is_disabled();
    html! {
        section.card.state {
            div {
                (parts::health(shown.endpoint.enabled, &shown.health)) " "
                @match &shown.health {
                    _ if !shown.endpoint.enabled => span { "It was switched off. Jobs for it are given up." },
                    Health::Active => span { "Deliveries are made." },
                    Health::Paused { until } => span { "Deliveries go on " (parts::time(now, *until)) "." },
                    Health::Deauthorized { why, probe_at } =>
                        span { (parts::sentence(why)) " It is tried again " (parts::time(now, *probe_at)) "." },
                    Health::Disabled { why } => span { (parts::sentence(why)) },
                }
                (authorization(visit, shown))
            }
            @if may_change {
                div.actions {
                    @if shown.endpoint.verification.is_some() { (post("verify", "", "Verify")) }
                    @if shown.health != Health::Active || !shown.endpoint.enabled {
                        (post("enable", "primary", "Enable"))
                    }
                    @if is_on {
                        @if !matches!(shown.health, Health::Paused { .. }) { (pause_form(visit, id)) }
                        (post("disable", "", "Disable"))
                    }
                }
            }
        }
    }
}

/// Whether it takes our credentials, and agreed to be called where it is asked.
fn authorization(visit: &Visit, shown: &ShownEndpoint) -> Markup {
    let now = visit.session.now;
    let is_asked = shown.endpoint.verification.is_some();
    html! {
        div { @match &shown.authorization {
            Authorization::Unverified if is_asked =>
                { (parts::badge(Tone::Warn, "unverified")) " " span { "It has not agreed to be called: deliveries wait." } },
            Authorization::Unverified =>
                { (parts::badge(Tone::Plain, "unverified")) " " span { "No call has shown yet whether it takes these credentials." } },
            Authorization::Authorizing { until } =>
                { (parts::badge(Tone::Warn, "authorizing")) " " span { "A handshake is being made, until " (parts::time(now, *until)) " at most." } },
            Authorization::Authorized { at } =>
                { (parts::badge(Tone::Good, "authorized")) " " span { "It takes our calls, since " (parts::time(now, *at)) "." } },
            Authorization::Deauthorized { at, why } =>
                { (parts::badge(Tone::Bad, "deauthorized")) " " span { (parts::sentence(why)) @if let Some(at) = at { " Since " (parts::time(now, *at)) "." } } },
        } }
    }
}

fn pause_form(visit: &Visit, id: &EndpointId) -> Markup {
    let lengths = [
        ("15m", "15 minutes"),
        ("1h", "1 hour"),
        ("6h", "6 hours"),
        ("1day", "1 day"),
        ("7days", "7 days"),
    ];
    html! {
        form.row method="post" action=(visit.link(&format!("/endpoints/{id}/pause"))) {
            (parts::token(&visit.session))
            label.hidden for="f-for" { "For how long" }
            select #f-for name="for" {
                @for (value, label) in lengths { option value=(value) selected[value == "1h"] { (label) } }
            }
            button type="submit" { "Pause" }
        }
    }
}

fn facts(visit: &Visit, shown: &ShownEndpoint) -> Markup {
    let endpoint = &shown.endpoint;
    let schemes: Vec<&str> = endpoint.auth.iter().map(|step| step.scheme.as_str()).collect();
    let configuration = serde_json::to_string_pretty(endpoint).unwrap_or_default();
    html! {
        section.card {
            h2 { "Configuration" }
            dl.facts {
                dt { "Calls" } dd.long { code { (endpoint.method) " " (endpoint.url.as_str()) } }
                dt { "Authentication" }
                dd { @if schemes.is_empty() { (parts::badge(Tone::Warn, "none")) } @else { (schemes.join(", then ")) } }
                dt { "Events" }
                dd { @match &endpoint.event_types {
                    None => "all",
                    Some(types) => (types.iter().map(|t| String::from(t.clone())).collect::<Vec<_>>().join(", ")),
                } }
                dt { "Timeout" } dd { (humantime_serde::re::humantime::format_duration(endpoint.timeout())) }
                dt { "Version" }
                dd { (number(shown.version)) ", " (parts::time(visit.session.now, shown.updated_at)) }
            }
            details { summary { "As JSON" } pre tabindex="0" { (configuration) } }
        }
    }
}

fn removal(visit: &Visit, shown: &ShownEndpoint) -> Markup {
    let target = visit.link(&format!("/endpoints/{}/delete", shown.endpoint.endpoint_id));
    let happens = "Jobs that name it are given up from then on. Its secrets stay.";
    parts::danger(&visit.session, &target, "Remove endpoint", happens)
}

/// Back to the endpoint, which says what was done.
fn back(visit: &Visit, id: &EndpointId, done: &str) -> Response {
    edge::see(&visit.link(&format!("/endpoints/{id}?done={done}")))
}

/// `POST …/endpoints/{id}/pause`
pub async fn pause(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let length = humantime_serde::re::humantime::parse_duration(fields.get("for"));
    let length = length.unwrap_or(Duration::from_secs(3600));
    let until = body(&json!({"until": visit.session.now.plus(length)}));
    let (caller, name) =
        (visit.session.caller.clone(), Named((visit.customer.clone(), id.clone())));
    endpoint_state::pause(State(console.api.clone()), caller, name, until).await?;
    Ok(back(&visit, &id, "paused"))
}

/// `POST …/endpoints/{id}/enable`
pub async fn enable(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let (caller, name) =
        (visit.session.caller.clone(), Named((visit.customer.clone(), id.clone())));
    endpoint_state::enable(State(console.api.clone()), caller, name).await?;
    Ok(back(&visit, &id, "enabled"))
}

/// `POST …/endpoints/{id}/disable`
pub async fn disable(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let (caller, customer) = (&visit.session.caller, &visit.customer);
    caller.check(Action::Change, Some(customer), Some(&id))?;
    let stored = api::stored(&console.api, customer, &id).await?;
    let endpoint = Endpoint { enabled: false, ..stored.endpoint };
    let (expected, body) = (Expected::Version(stored.version), body(&json!(endpoint)));
    api::replace(&console.api, caller, (customer, &id), expected, &body).await?;
    Ok(back(&visit, &id, "disabled"))
}

/// `POST …/endpoints/{id}/delete`
pub async fn delete(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let (caller, name) = (visit.session.caller.clone(), Named((visit.customer.clone(), id)));
    api::delete(State(console.api.clone()), caller, name, Default::default()).await?;
    Ok(edge::see(&visit.link("?done=removed")))
}
