//! The customers that have endpoints.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::form::{Asked, Fields};
use super::layout::{self, Area};
use super::parts::{self, Field, number};
use super::session::Session;
use super::{Pages, edge};
use crate::api::problem::Answer;
use crate::domain::access::{Action, Grant};
use crate::domain::ids::CustomerId;

/// Customers on one page.
const PAGE: usize = 100;

/// What is shown of a customer.
#[derive(Default)]
struct Customer {
    endpoints: u64,
    disabled: u64,
}

/// `GET /console/customers`
pub async fn list(
    State(console): State<Pages>,
    session: Session,
    Asked(asked): Asked,
) -> Answer<Response> {
    session.caller.check_scope(Action::Read)?;
    // Somebody who knows the whole name goes there, whether it has endpoints or not.
    if let Ok(customer) = asked.get("go").parse::<CustomerId>() {
        return Ok(edge::see(&format!("/console/customers/{customer}")));
    }
    let mut found: BTreeMap<CustomerId, Customer> = BTreeMap::new();
    if let Grant::Operator { customers: Some(customers), .. } = &session.caller.0.grant {
        found.extend(customers.iter().map(|customer| (customer.clone(), Customer::default())));
    }
    for stored in console.api.app.endpoints.list(None).await? {
        let endpoint = &stored.endpoint;
        let (customer, id) = (&endpoint.customer_id, &endpoint.endpoint_id);
        if session.caller.check(Action::Read, Some(customer), Some(id)).is_ok() {
            let seen = found.entry(customer.clone()).or_default();
            seen.endpoints += 1;
            seen.disabled += u64::from(!endpoint.enabled);
        }
    }
    let (begins, after) = (asked.get("q"), asked.get("after"));
    let begin = if after.is_empty() { begins } else { after };
    let wanted = found.iter().filter(|(id, _)| {
        id.as_str().starts_with(begins) && id.as_str() >= begin && id.as_str() != after
    });
    let shown: Vec<_> = wanted.take(PAGE + 1).collect();
    Ok(layout::page(&session, Area::Customers, "Customers", &body(&asked, &shown)))
}

fn body(asked: &Fields, shown: &[(&CustomerId, &Customer)]) -> Markup {
    let begins = Field { name: "q", label: "Begins with", hint: "", required: false };
    let next = shown.get(PAGE).and(shown.get(PAGE - 1)).map(|(id, _)| *id);
    html! {
        (parts::heading("Customers", Some("Those that have endpoints."), html! {}))
        form.filters method="get" action="/console/customers" {
            (begins.line("search", asked, None))
            button type="submit" { "Find" }
        }
        section.card {
            @if shown.is_empty() {
                (parts::empty("No customer yet", "A customer comes here with its first endpoint.", html! {}))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Customers" { table {
                    thead { tr { th { "Customer" } th.number { "Endpoints" } th.number { "Disabled" } } }
                    tbody {
                        @for (id, customer) in shown.iter().take(PAGE) {
                            tr {
                                td { a href=(format!("/console/customers/{id}")) { (id) } }
                                td.number { (number(customer.endpoints)) }
                                td.number { @if customer.disabled > 0 { (number(customer.disabled)) } @else { "–" } }
                            }
                        }
                    }
                } }
                @if let Some(last) = next {
                    p.more { a.button href=(format!("/console/customers?{}&after={last}", asked.query(&["q"]))) { "Next page" } }
                }
            }
        }
        section.card.narrow {
            h2 { "Another customer" }
            p.muted { "Register the first endpoint of a customer, or look at one whose name you know." }
            form.row method="get" action="/console/customers" {
                label.hidden for="f-go" { "Customer's id" }
                input #f-go name="go" placeholder="customer-123" autocomplete="off" spellcheck="false" required pattern="[A-Za-z0-9_.:@\\-]{1,128}" title="1 to 128 letters, digits, - _ . : @";
                button type="submit" { "Go there" }
            }
        }
    }
}
