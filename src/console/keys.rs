//! The operator's API keys: listed, made (and shown once), revoked.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::{Asked, Fields, Form, body};
use super::layout::{self, Area};
use super::parts::{self, Field, Tone};
use super::session::Session;
use super::{Pages, edge};
use crate::api::api_keys::{self as api, ShownKey};
use crate::api::input::{Named, Query};
use crate::api::page::PageQuery;
use crate::api::problem::{Answer, Code, Problem};
use crate::domain::access::{Action, Scope};
use crate::domain::timestamp::Timestamp;

const SHOWN: [&str; 5] = ["name", "scope", "customers", "endpoints", "expiresIn"];

/// `GET /console/keys`
pub async fn list(
    State(console): State<Pages>,
    session: Session,
    Asked(asked): Asked,
) -> Answer<Response> {
    session.caller.check(Action::Administer, None, None)?;
    let mut fields = Fields::default();
    fields.set("scope", "read_only");
    page(&console, &session, &asked, &fields, None).await
}

async fn page(
    console: &Pages,
    session: &Session,
    asked: &Fields,
    fields: &Fields,
    problem: Option<&Problem>,
) -> Answer<Response> {
    let query = PageQuery { cursor: asked.read_as::<PageQuery>(&["cursor"])?.cursor, limit: None };
    let caller = session.caller.clone();
    let keys = api::list(State(console.api.clone()), caller, Query(query)).await?.0;
    let hint = "For the API and for this console. Customers' tokens are made at each customer.";
    let body = html! {
        (parts::note(asked.get("done")))
        (parts::heading("API keys", Some(hint), html! {}))
        (parts::problem(problem, &SHOWN))
        section.card {
            (table(session, &keys.data))
            (parts::more("/console/keys", &Fields::default(), &[], keys.next_cursor.as_deref()))
        }
        (form(session, fields, problem))
    };
    let mut response = layout::page(session, Area::Keys, "API keys", &body);
    if let Some(problem) = problem {
        *response.status_mut() = problem.what().status();
    }
    Ok(response)
}

fn table(session: &Session, keys: &[ShownKey]) -> Markup {
    let names =
        |names: Vec<String>| if names.is_empty() { "all".to_owned() } else { names.join(", ") };
    html! {
        div.scroll tabindex="0" role="region" aria-label="API keys" { table {
            thead { tr { th { "Name" } th { "May" } th { "Customers" } th { "Endpoints" } th { "Made" } th { "State" } th { span.hidden { "Action" } } } }
            tbody { @for key in keys { tr {
                td { strong { (key.name) } br; code.muted { (key.id) } }
                td { (key.scope.map_or("", scope_in_words)) }
                td { (names(key.customers.iter().flatten().map(ToString::to_string).collect())) }
                td { (names(key.endpoints.iter().flatten().map(ToString::to_string).collect())) }
                td { (parts::time(session.now, key.created_at)) }
                td { (state(session.now, key)) }
                td {
                    @if key.revoked_at.is_none() {
                        (parts::danger(session, &format!("/console/keys/{}/revoke", key.id), "Revoke",
                            if key.id == session.caller.0.id {
                                "This is the key that you are signed in with: you are signed out. Sessions and customers' tokens that were made with it end."
                            } else {
                                "Sessions and customers' tokens that were made with it end, too."
                            }))
                    }
                }
            } } }
        } }
    }
}

fn scope_in_words(scope: Scope) -> &'static str {
    match scope {
        Scope::ReadOnly => "look",
        Scope::Producer => "send jobs",
        Scope::Operator => "do everything",
    }
}

fn state(now: Timestamp, key: &ShownKey) -> Markup {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => {
            html! { (parts::badge(Tone::Plain, "revoked")) " " span.muted { (parts::time(now, at)) } }
        }
        (None, Some(end)) if end <= now => parts::badge(Tone::Plain, "ended"),
        (None, Some(end)) => {
            html! { (parts::badge(Tone::Good, "good")) " " span.muted { "ends " (parts::time(now, end)) } }
        }
        (None, None) => parts::badge(Tone::Good, "good"),
    }
}

fn form(session: &Session, fields: &Fields, problem: Option<&Problem>) -> Markup {
    let scopes = [Scope::ReadOnly, Scope::Producer, Scope::Operator].map(|scope| {
        let name = json!(scope).as_str().unwrap_or_default().to_owned();
        (name, scope_in_words(scope).to_owned())
    });
    let field = |name, label, hint, required| Field { name, label, hint, required };
    html! {
        section.card {
            h2 { "Make a key" }
            form method="post" action="/console/keys" {
                (parts::token(session))
                div.columns {
                    (field("name", "Name", "What people call it.", true).line("text", fields, problem))
                    (field("scope", "It may", "", true).choice(&scopes, fields, problem))
                    (field("customers", "Only these customers", "Separated by commas; empty for all.", false).line("text", fields, problem))
                    (field("endpoints", "Only these endpoints", "Of them; separated by commas, empty for all.", false).line("text", fields, problem))
                    (field("expiresIn", "Good for", "As 90days; until it is revoked if this stays empty.", false).line("text", fields, problem))
                }
                button.primary type="submit" { "Make key" }
            }
        }
    }
}

/// `POST /console/keys`
pub async fn create(
    State(console): State<Pages>,
    session: Session,
    Form(fields): Form,
) -> Answer<Response> {
    session.caller.check(Action::Administer, None, None)?;
    let mut asked = json!({"name": fields.get("name"), "scope": fields.get("scope")});
    for name in ["customers", "endpoints"] {
        let listed: Vec<&str> =
            fields.get(name).split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
        if !listed.is_empty() {
            asked[name] = json!(listed);
        }
    }
    if !fields.get("expiresIn").is_empty() {
        asked["expiresIn"] = Value::from(fields.get("expiresIn"));
    }
    let caller = session.caller.clone();
    match api::create(State(console.api.clone()), caller, body(&asked)).await {
        Ok((_, key)) => Ok(made(&session, &key)),
        Err(problem) if matches!(problem.what(), Code::ValidationFailed | Code::InvalidRequest) => {
            page(&console, &session, &Fields::default(), &fields, Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

/// Shows a new key: once, and not again.
fn made(session: &Session, key: &ShownKey) -> Response {
    let body = html! {
        (parts::heading("The key is made", None, html! {}))
        section.card.narrow {
            p { "This is " strong { (key.name) } "." }
            (parts::copyable("made", key.key.as_deref().unwrap_or("")))
            p.warning { strong { "It is shown this once." } " Keep it where secrets are kept." }
            p { a.button.primary href="/console/keys" { "Continue" } }
        }
    };
    layout::page(session, Area::Keys, "The key is made", &body)
}

/// `POST /console/keys/{id}/revoke`
pub async fn revoke(
    State(console): State<Pages>,
    session: Session,
    axum::extract::Path(id): axum::extract::Path<String>,
    _: Form,
) -> Answer<Response> {
    api::revoke(State(console.api.clone()), session.caller.clone(), Named(id)).await?;
    Ok(edge::see("/console/keys?done=revoked"))
}
