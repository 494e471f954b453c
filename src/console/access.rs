//! The customer's page, as the operator opens it to a customer: a link with a token, shown once.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::Response;
use maud::html;
use serde_json::json;

use super::Pages;
use super::form::{Fields, Form, body};
use super::layout::{self, Area};
use super::parts::{self, Field};
use super::session::is_local;
use super::visit::Visit;
use crate::api::input::Named;
use crate::api::problem::{Answer, Code, Problem};
use crate::api::tokens::{self as api, Token};
use crate::domain::access::Action;

/// `GET …/access`
pub async fn ask(visit: Visit) -> Answer<Response> {
    visit.session.caller.check(Action::Mint, Some(&visit.customer), None)?;
    let mut fields = Fields::default();
    fields.set("expiresIn", "1h");
    Ok(page(&visit, &fields, None))
}

fn page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let field = Field {
        name: "expiresIn",
        label: "Good for",
        hint: "From 1s to 24h. The link ends with the key that you are signed in with.",
        required: true,
    };
    let hint =
        "A page of their own, with their endpoints, secrets, deliveries, dead letters and replays.";
    let body = html! {
        (parts::heading("Customer's page", Some(hint), html! {}))
        (parts::problem(problem, &["expiresIn"]))
        form.card.narrow method="post" action=(visit.link("/access")) {
            (parts::token(&visit.session))
            p { "Whoever has the link sees and changes what is " strong { (visit.customer) } "'s, and nothing else." }
            (field.line("text", fields, problem))
            button.primary type="submit" { "Make a link" }
        }
    };
    layout::customer_page(visit, Area::Access, "Customer's page", problem, &body)
}

/// `POST …/access`
pub async fn create(
    State(console): State<Pages>,
    visit: Visit,
    headers: HeaderMap,
    Form(fields): Form,
) -> Answer<Response> {
    let caller = visit.session.caller.clone();
    let asked = body(&json!({"expiresIn": fields.get("expiresIn")}));
    let name = Named(visit.customer.clone());
    match api::mint(State(console.api.clone()), caller, name, asked).await {
        Ok((_, token)) => Ok(made(&visit, &headers, &token)),
        Err(problem) if matches!(problem.what(), Code::ValidationFailed | Code::InvalidRequest) => {
            Ok(page(&visit, &fields, Some(&problem)))
        }
        Err(problem) => Err(problem),
    }
}

/// Shows a new link: once, and not again. The token stands behind the `#`, which no server sees.
fn made(visit: &Visit, headers: &HeaderMap, token: &Token) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let scheme = if is_local(headers) { "http" } else { "https" };
    let link = format!("{scheme}://{host}/customer/enter#{}", token.token);
    let body = html! {
        (parts::heading("The link is made", None, html! {}))
        section.card.narrow {
            p { "It opens the page of " strong { (visit.customer) }
                @if let Some(end) = token.expires_at { ", and ends " (parts::time(visit.session.now, end)) } "." }
            (parts::copyable("made", &link))
            p.warning { strong { "It is shown this once." } " Whoever has it may change what is theirs." }
            p { a.button.primary href=(visit.link("")) { "Continue" } }
        }
    };
    layout::customer_page(visit, Area::Access, "The link is made", None, &body)
}
