//! A customer's tenant key, for the operator: how it is, the first one, and its end.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::form::{Asked, Fields, Form};
use super::layout::{self, Area};
use super::parts::{self, Field, Tone, number};
use super::visit::Visit;
use super::{Console, Pages, edge};
use crate::api::caller::Caller;
use crate::api::input::{Named, Query};
use crate::api::problem::{Answer, Code, Problem};
use crate::api::tenant_keys::{self as api, Confirmation, TenantKeyState};
use crate::domain::access::Action;
use crate::domain::field::FieldError;
use crate::domain::ids::CustomerId;

/// The field that the customer's id is written into before its key is shredded.
const CONFIRM: &str = "customerId";

/// `GET …/tenant-key`
pub async fn show(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    page(&console, &visit, asked.get("done"), None).await
}

async fn page(
    console: &Console,
    visit: &Visit,
    done: &str,
    problem: Option<&Problem>,
) -> Answer<Response> {
    visit.session.caller.check(Action::Administer, Some(&visit.customer), None)?;
    let key = match api::get(State(console.api.clone()), caller(visit), customer(visit)).await {
        Ok(key) => Some(key.0),
        Err(problem) if problem.what() == Code::NotFound => None,
        Err(problem) => return Err(problem),
    };
    let hint = "A key pair of the customer's own, to which values and kept jobs can be sealed.";
    let is_usable = key.as_ref().is_some_and(|key| key.state == "usable");
    let body = html! {
        (parts::note(done))
        (parts::problem(problem, &[CONFIRM]))
        (parts::heading("Tenant key", Some(hint), html! {}))
        (state(visit, key.as_ref()))
        @if is_usable { (shredding(visit, problem)) } @else {
            (parts::post(&visit.session, &visit.link("/tenant-key/create"), "primary", "Make a tenant key"))
        }
    };
    Ok(layout::customer_page(visit, Area::TenantKey, "Tenant key", problem, &body))
}

fn state(visit: &Visit, key: Option<&TenantKeyState>) -> Markup {
    html! {
        section.card { @match key {
            None => (parts::empty("No tenant key", "Jobs of this customer are not kept, and its values are sealed in another way.", html! {})),
            Some(key) => dl.facts {
                dt { "State" } dd { (parts::badge(if key.state == "usable" { Tone::Good } else { Tone::Warn }, key.state)) }
                dt { "Generation" } dd { (number(key.generation)) ", " (parts::time(visit.session.now, key.at)) }
            },
        } }
    }
}

fn shredding(visit: &Visit, problem: Option<&Problem>) -> Markup {
    let hint = "Write the customer's id to confirm it.";
    let field = Field { name: CONFIRM, label: "Customer", hint, required: true };
    html! {
        details.danger open[problem.is_some()] {
            summary { "Shred the tenant key…" }
            form method="post" action=(visit.link("/tenant-key/shred")) {
                (parts::token(&visit.session))
                p { "Every value and every kept job that is sealed to it is lost for good. Workers use what they have opened until their caches end; backups hold the key until they expire." }
                (field.line("text", &Fields::default(), problem))
                button.bad type="submit" { "Shred the tenant key" }
            }
        }
    }
}

/// `POST …/tenant-key/create`
pub async fn create(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let made = api::create(State(console.api.clone()), caller(&visit), customer(&visit)).await;
    done(&console, &visit, made.map(drop), "key-made").await
}

/// `POST …/tenant-key/shred`
pub async fn shred(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    visit.session.caller.check(Action::Administer, Some(&visit.customer), None)?;
    if fields.get(CONFIRM) != visit.customer.as_str() {
        let problem = "expected the id of this customer: nothing was shredded";
        let problem = Problem::from(FieldError::new(CONFIRM, problem));
        return page(&console, &visit, "", Some(&problem)).await;
    }
    let confirmation = Query(Confirmation { confirm: visit.customer.to_string() });
    let (api, caller, customer) = (console.api.clone(), caller(&visit), customer(&visit));
    let shredded = api::shred(State(api), caller, customer, confirmation).await;
    done(&console, &visit, shredded.map(drop), "key-shredded").await
}

fn caller(visit: &Visit) -> Caller {
    visit.session.caller.clone()
}

fn customer(visit: &Visit) -> Named<CustomerId> {
    Named(visit.customer.clone())
}

async fn done(
    console: &Console,
    visit: &Visit,
    result: Answer<()>,
    note: &str,
) -> Answer<Response> {
    match result {
        Ok(()) => Ok(edge::see(&visit.link(&format!("/tenant-key?done={note}")))),
        Err(problem) if problem.what() == Code::Conflict => {
            page(console, visit, "", Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}
