//! Dead letters: found by what they have in common, looked at, and sent again.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::deliveries::optional;
use super::form::{Asked, Fields, Form};
use super::layout::{self, Area};
use super::parts::{self, Field, Tone, choices, number};
use super::session::Session;
use super::visit::Visit;
use super::{Pages, edge};
use crate::api::dead_letters as api;
use crate::api::input::Named;
use crate::api::page::Page;
use crate::api::problem::{Answer, Problem};
use crate::domain::access::Action;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::outcome::{Attempt, Phase};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;

/// What a search, and a replay, is made of: the API's own names.
pub const FILTERS: [&str; 8] =
    ["endpointId", "reason", "eventType", "phase", "since", "until", "minAttempts", "maxAttempts"];
const PAGE: [&str; 2] = ["limit", "cursor"];

#[derive(serde::Deserialize)]
struct Which {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /console/dead-letters`: of all customers.
pub async fn list_all(
    State(console): State<Pages>,
    session: Session,
    Asked(asked): Asked,
) -> Answer<Response> {
    let names = [&FILTERS[..], &["customerId"]].concat();
    let needs_customer = asked.get("customerId").is_empty()
        && session.caller.check(Action::Read, None, None).is_err()
        && session.caller.0.grant.only_customer().is_none();
    let page = if needs_customer {
        None
    } else {
        let filter: DeadLetterFilter = asked.read_as(&names)?;
        let Which { limit, cursor } = asked.read_as(&PAGE)?;
        Some(api::find(&console.api, &session.caller, filter, limit, cursor.as_deref()).await?)
    };
    let path = "/console/dead-letters";
    let customer = Field { name: "customerId", label: "Customer", hint: "", required: true };
    let body = html! {
        (parts::heading("Dead letters", Some("Jobs that were given up, oldest first."), html! {}))
        (filters(path, &asked, Some(&customer)))
        section.card {
            @match &page {
                None => (parts::empty("Which customer?", "This key is limited to customers: name one of them above.", html! {})),
                Some(page) => (found(session.now, page, path, &asked, &names, true, |letter| match &letter.customer_id {
                    Some(customer) => format!("/console/customers/{customer}/dead-letters/{}", letter.id),
                    None => String::new(),
                })),
            }
        }
    };
    Ok(layout::page(&session, Area::AllDeadLetters, "Dead letters", &body))
}

/// `GET …/dead-letters`
pub async fn list(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    let mut filter: DeadLetterFilter = asked.read_as(&FILTERS)?;
    filter.customer_id = Some(visit.customer.clone());
    let Which { limit, cursor } = asked.read_as(&PAGE)?;
    let limited = visit.session.caller.check(Action::Read, Some(&visit.customer), None).is_err();
    let page = if limited && filter.endpoint_id.is_none() {
        None
    } else {
        let caller = &visit.session.caller;
        Some(api::find(&console.api, caller, filter, limit, cursor.as_deref()).await?)
    };
    let path = visit.link("/dead-letters");
    let query = asked.query(&FILTERS);
    let plan = visit.link(&format!("/replays/new?{query}"));
    let has_any = page.as_ref().is_some_and(|page| !page.data.is_empty());
    let action = html! {
        @if has_any && visit.may_reach(Action::Change) {
            a.button.primary href=(plan) { @if query.is_empty() { "Replay all" } @else { "Replay these" } }
        }
    };
    let body = html! {
        (parts::note(asked.get("done")))
        (parts::heading("Dead letters", Some("Jobs that were given up, oldest first."), action))
        (filters(&path, &asked, None))
        section.card {
            @match &page {
                None => (parts::empty("Which endpoint?", "This key is limited to endpoints: name one of them above.", html! {})),
                Some(page) => (found(visit.session.now, page, &path, &asked, &FILTERS, false, |letter|
                    visit.link(&format!("/dead-letters/{}", letter.id)))),
            }
        }
    };
    Ok(layout::customer_page(&visit, Area::DeadLetters, "Dead letters", None, &body))
}

fn filters(path: &str, asked: &Fields, customer: Option<&Field<'_>>) -> Markup {
    html! {
        form.filters method="get" action=(path) {
            @if let Some(customer) = customer { (optional(customer, "text", asked)) }
            (filter_fields(asked))
            div.buttons {
                button type="submit" { "Search" }
                a href=(path) { "Reset" }
            }
        }
    }
}

/// The fields of a search; a replay asks for the same.
pub fn filter_fields(asked: &Fields) -> Markup {
    let field = |name, label| Field { name, label, hint: "", required: true };
    let reasons = choices("any reason", Reason::ALL.iter().map(|reason| reason.code()));
    let phases = choices("any end", Phase::ALL.map(Phase::name));
    html! {
        (optional(&field("endpointId", "Endpoint"), "text", asked))
        (field("reason", "Reason").choice(&reasons, asked, None))
        (optional(&field("eventType", "Event type"), "text", asked))
        (field("phase", "Last call ended in").choice(&phases, asked, None))
        (optional(&field("since", "Given up since, UTC"), "datetime-local", asked))
        (optional(&field("until", "Given up until, UTC"), "datetime-local", asked))
        (optional(&field("minAttempts", "Attempts, at least"), "number", asked))
        (optional(&field("maxAttempts", "Attempts, at most"), "number", asked))
    }
}

fn found(
    now: Timestamp,
    page: &Page<DeadLetter>,
    path: &str,
    asked: &Fields,
    names: &[&str],
    with_customer: bool,
    link: impl Fn(&DeadLetter) -> String,
) -> Markup {
    if page.data.is_empty() {
        let hint = if asked.query(names).is_empty() {
            "What cannot be delivered comes here, with its reason, and can be sent again."
        } else {
            "No dead letter matches. Take a filter away to see more."
        };
        return parts::empty("No dead letters", hint, html! {});
    }
    html! {
        div.scroll tabindex="0" role="region" aria-label="Dead letters" { table {
            thead { tr {
                th { "Job" } @if with_customer { th { "Customer" } } th { "Endpoint" } th { "Reason" }
                th.number { "Attempts" } th { "Given up" }
            } }
            tbody { @for letter in &page.data {
                @let place = link(letter);
                @let name = letter.job_id.as_ref().map_or("(not a job)", |id| id.as_str());
                tr {
                    td.long { @if place.is_empty() { (name) } @else { a href=(place) { (name) } } }
                    @if with_customer { td { (or_dash(letter.customer_id.as_ref())) } }
                    td { (or_dash(letter.endpoint_id.as_ref())) }
                    td { (parts::badge(Tone::Bad, letter.reason.code().replace('_', " "))) }
                    td.number { (number(letter.attempts.into())) }
                    td { (parts::time(now, letter.dead_at)) }
                }
            } }
        } }
        (parts::more(path, asked, names, page.next_cursor.as_deref()))
    }
}

fn or_dash(text: Option<&impl std::fmt::Display>) -> Markup {
    html! { @match text { Some(text) => (text.to_string()), None => span.muted { "–" } } }
}

/// `GET …/dead-letters/{id}`
pub async fn show(State(console): State<Pages>, visit: Visit) -> Answer<Response> {
    let (caller, id) = (visit.session.caller.clone(), visit.named::<String>()?);
    let letter = api::get(State(console.api.clone()), caller, Named(id)).await?.0;
    let letter = own(&visit, letter)?;
    let now = visit.session.now;
    let replay = visit.link(&format!("/dead-letters/{}/replay", letter.id));
    let may_change = visit.may(Action::Change, letter.endpoint_id.as_ref());
    let actions = html! { @if may_change { (parts::post(&visit.session, &replay, "primary", "Send again")) } };
    let body = html! {
        (parts::heading("Dead letter", None, actions))
        section.card {
            p { (parts::badge(Tone::Bad, letter.reason.code().replace('_', " "))) " " (parts::sentence(&letter.message)) }
            p.muted { "What to do: " (parts::sentence(letter.reason.advice())) }
            dl.facts {
                dt { "Job" } dd.long { code { (or_dash(letter.job_id.as_ref())) } }
                dt { "Endpoint" } dd { @match &letter.endpoint_id {
                    Some(id) => a href=(visit.link(&format!("/endpoints/{id}"))) { (id) },
                    None => span.muted { "–" },
                } }
                @if let Some(kind) = &letter.event_type { dt { "Event" } dd { (kind) } }
                dt { "Given up" } dd { (parts::time(now, letter.dead_at)) " after " (letter.attempts) " attempts in round " (letter.round) }
                dt { "Accepted" } dd { (parts::time(now, letter.accepted_at)) }
                dt { "Size" } dd { (parts::bytes(letter.job_size as u64)) }
            }
        }
        @if !letter.history.is_empty() {
            section.card {
                h2 { "Last attempts" }
                ol.timeline { @for attempt in &letter.history { (history(now, attempt)) } }
            }
        }
    };
    Ok(layout::customer_page(&visit, Area::DeadLetters, "Dead letter", None, &body))
}

/// A letter of this customer's: an operator's page of one customer shows no other's.
fn own(visit: &Visit, letter: DeadLetter) -> Answer<DeadLetter> {
    if letter.customer_id.as_ref() == Some(&visit.customer) {
        return Ok(letter);
    }
    Err(Problem::not_found("such dead letter"))
}

fn history(now: Timestamp, attempt: &Attempt) -> Markup {
    html! {
        li {
            div.what {
                (parts::badge(Tone::Bad, parts::outcome(&attempt.outcome)))
                span { "Attempt " (attempt.number) ", " (parts::time(now, attempt.at)) }
                span.muted { (number(attempt.duration_ms)) " ms"
                    @if let Some(address) = &attempt.address { ", to " (address) } }
            }
            @if !attempt.detail.is_empty() { pre tabindex="0" aria-label="What came back" { (attempt.detail) } }
        }
    }
}

/// `POST …/dead-letters/{id}/replay`
pub async fn replay(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let id = visit.named::<String>()?;
    let caller = || visit.session.caller.clone();
    let letter = api::get(State(console.api.clone()), caller(), Named(id.clone())).await?.0;
    own(&visit, letter)?;
    let (_status, _replayed) = api::replay(State(console.api.clone()), caller(), Named(id)).await?;
    Ok(edge::see(&visit.link("/dead-letters?done=replayed")))
}
