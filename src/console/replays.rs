//! Replays of a customer's dead letters: planned, begun, watched and steered.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::dead_letters::{FILTERS, filter_fields};
use super::form::{Asked, Fields, Form};
use super::layout::{self, Area};
use super::parts::{self, Field, Tone, number};
use super::visit::Visit;
use super::{Pages, edge};
use crate::api::input::{Named, Query};
use crate::api::page::PageQuery;
use crate::api::problem::{Answer, Code, Problem};
use crate::api::replays::{self as api, NewReplay, Planned};
use crate::domain::access::Action;
use crate::domain::dead_letter::DeadLetterFilter;
use crate::domain::replay::{Replay, Standing};

const SHOWN: [&str; 2] = ["to", "rate"];

/// `GET …/replays`
pub async fn list(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    let query = PageQuery { cursor: asked.read_as::<PageQuery>(&["cursor"])?.cursor, limit: None };
    let (caller, customer) = (visit.session.caller.clone(), visit.customer.clone());
    let page =
        api::list(State(console.api.clone()), caller, Named(customer), Query(query)).await?.0;
    let (replays, next) = (page.data, page.next_cursor);
    let add = html! {
        @if visit.may_reach(Action::Change) {
            a.button.primary href=(visit.link("/replays/new")) { "Plan a replay" }
        }
    };
    let hint = "Dead letters that were sent again together.";
    let body = html! {
        (parts::heading("Replays", Some(hint), if replays.is_empty() { html! {} } else { add.clone() }))
        section.card {
            @if replays.is_empty() {
                (parts::empty("No replay yet", "Mend what was wrong, then send its dead letters again.", add))
            } @else {
                div #live data-live="3" { (table(&visit, &replays)) }
                (parts::more(&visit.link("/replays"), &Fields::default(), &[], next.as_deref()))
            }
        }
    };
    Ok(layout::customer_page(&visit, Area::Replays, "Replays", None, &body))
}

fn table(visit: &Visit, replays: &[Replay]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Replays" { table {
            thead { tr { th { "Begun" } th { "Which" } th { "State" } th.number { "Sent" } th.number { "Of" } } }
            tbody { @for replay in replays { tr {
                td { a href=(visit.link(&format!("/replays/{}", replay.id))) { (parts::time(visit.session.now, replay.created_at)) } }
                td { (which(&replay.request.filter)) }
                td { (standing(replay.state)) }
                td.number { (number(replay.done.replayed)) }
                td.number { (number(replay.planned.count)) }
            } } }
        } }
    }
}

fn standing(state: Standing) -> Markup {
    let tone = match state {
        Standing::Running | Standing::Finished => Tone::Good,
        Standing::Paused => Tone::Warn,
        Standing::Cancelled => Tone::Plain,
    };
    parts::badge(tone, state)
}

/// What was asked for, in words.
fn which(filter: &DeadLetterFilter) -> String {
    let mut asked = json!(filter);
    if let Some(members) = asked.as_object_mut() {
        members.remove("customerId");
        let words = members.iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        });
        let words: Vec<String> = words.collect();
        if !words.is_empty() {
            return words.join(", ");
        }
    }
    "all of them".to_owned()
}

/// `GET …/replays/new`: the plan for what is asked, before anything is sent.
pub async fn plan(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    visit.session.caller.check_reach(Action::Change, Some(&visit.customer))?;
    plan_page(&console, &visit, &asked, None).await
}

async fn plan_page(
    console: &Pages,
    visit: &Visit,
    asked: &Fields,
    problem: Option<&Problem>,
) -> Answer<Response> {
    let limited = visit.session.caller.check(Action::Change, Some(&visit.customer), None).is_err();
    let planned = if limited && asked.get("endpointId").is_empty() {
        Err(Problem::new(Code::Forbidden, "this key is limited to endpoints: name one of them"))
    } else {
        // How fast, and whereto, changes nothing of what there is to send.
        let mut filter = asked.clone();
        filter.set("to", "");
        filter.set("rate", "");
        match request(&filter) {
            Ok(request) => {
                let (caller, customer) = (&visit.session.caller, visit.customer.clone());
                api::plan(&console.api, caller, customer, request).await
            }
            Err(problem) => Err(problem),
        }
    };
    let (planned, refused) = match planned {
        Ok(planned) => (Some(planned), None),
        Err(problem) if problem.what() == Code::Unavailable => return Err(problem),
        Err(problem) => (None, Some(problem)),
    };
    let path = visit.link("/replays/new");
    let body = html! {
        (parts::heading("Plan a replay", Some("Which dead letters are sent again. Nothing is sent by looking."), html! {}))
        (parts::problem(problem.or(refused.as_ref()), &SHOWN))
        form.filters method="get" action=(path) {
            (filter_fields(asked))
            div.buttons { button type="submit" { "Count" } a href=(path) { "Reset" } }
        }
        @if let Some(planned) = &planned { (offer(visit, planned, asked, problem)) }
    };
    Ok(layout::customer_page(visit, Area::Replays, "Plan a replay", problem, &body))
}

/// What would be sent, and the button that sends it.
fn offer(visit: &Visit, planned: &Planned, asked: &Fields, problem: Option<&Problem>) -> Markup {
    let plan = &planned.plan;
    if plan.count == 0 {
        let hint = "No dead letter matches: there is nothing to send.";
        return html! { section.card { (parts::empty("Nothing to send", hint, html! {})) } };
    }
    let field = |name, label, hint| Field { name, label, hint, required: false };
    let seconds = std::time::Duration::from_secs(planned.estimated_seconds);
    html! {
        section.card {
            dl.tiles {
                div.tile { dt { "Dead letters" } dd { (number(plan.count)) } dd.hint { (parts::bytes(plan.bytes)) " of jobs" } }
                div.tile { dt { "Takes about" } dd { (parts::span(seconds)) } dd.hint { "to put them into the queue" } }
                @if let Some(oldest) = plan.oldest {
                    div.tile { dt { "Oldest" } dd { (parts::time(visit.session.now, oldest)) } dd.hint { "given up" } }
                }
            }
            h2 { "Why they were given up" }
            ul.reasons { @for (reason, count) in &plan.reasons {
                li { span { code { (reason) } " " (parts::sentence(reason.advice())) } strong { (number(*count)) } }
            } }
            form method="post" action=(visit.link("/replays")) {
                (parts::token(&visit.session))
                @for name in FILTERS { @if !asked.get(name).is_empty() {
                    input type="hidden" name=(name) value=(asked.get(name));
                } }
                div.columns {
                    (field("to", "To another endpoint", "Of the same customer; to their own if this stays empty.").line("text", asked, problem))
                    (field("rate", "Most in a second", "1 to 100,000; as fast as the queue takes them if this stays empty.").line("number", asked, problem))
                }
                button.primary type="submit" { "Send " (number(plan.count)) " again" }
            }
        }
    }
}

/// What is asked of a replay, as the API takes it.
fn request(asked: &Fields) -> Answer<NewReplay> {
    let filter: DeadLetterFilter = asked.read_as(&FILTERS)?;
    let Value::Object(mut members) = json!(filter) else {
        return super::form::body(&json!({})).read();
    };
    optional_members(asked, &mut members);
    super::form::body(&Value::Object(members)).read()
}

fn optional_members(asked: &Fields, members: &mut Map<String, Value>) {
    if !asked.get("to").is_empty() {
        members.insert("to".to_owned(), json!(asked.get("to")));
    }
    if !asked.get("rate").is_empty() {
        let rate = asked.get("rate");
        let rate = rate.parse::<u64>().map_or_else(|_| json!(rate), |rate| json!(rate));
        members.insert("rate".to_owned(), rate);
    }
}

/// `POST …/replays`
pub async fn begin(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    visit.session.caller.check_reach(Action::Change, Some(&visit.customer))?;
    let begun = async {
        let (caller, customer) = (&visit.session.caller, visit.customer.clone());
        api::start(&console.api, caller, customer, request(&fields)?).await
    };
    match begun.await {
        Ok(replay) => Ok(edge::see(&visit.link(&format!("/replays/{}", replay.id)))),
        Err(problem)
            if matches!(
                problem.what(),
                Code::ValidationFailed | Code::InvalidRequest | Code::Conflict
            ) =>
        {
            plan_page(&console, &visit, &fields, Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

/// `GET …/replays/{id}`
pub async fn show(State(console): State<Pages>, visit: Visit) -> Answer<Response> {
    let (caller, id) = (visit.session.caller.clone(), visit.named::<String>()?);
    let name = Named((visit.customer.clone(), id));
    let replay = api::get(State(console.api.clone()), caller, name).await?.0;
    let may_change = visit.may(Action::Change, replay.request.filter.endpoint_id.as_ref());
    let is_live = matches!(replay.state, Standing::Running | Standing::Paused);
    let body = html! {
        (parts::heading("Replay", Some(&which(&replay.request.filter)), html! {}))
        div #live data-live=[is_live.then_some("2")] { (progress(&visit, &replay, may_change)) }
    };
    Ok(layout::customer_page(&visit, Area::Replays, "Replay", None, &body))
}

fn progress(visit: &Visit, replay: &Replay, may_change: bool) -> Markup {
    let (now, done, planned) = (visit.session.now, &replay.done, replay.planned.count);
    let dealt_with = done.replayed + done.gone + done.held + done.unfit + done.not_found;
    html! {
        section.card.state {
            div {
                (standing(replay.state)) " "
                span { (number(done.replayed)) " of " (number(planned)) " sent again" }
                @if let Some(to) = &replay.request.to { span { ", to " strong { (to) } } }
            }
            @if may_change { (steering(visit, replay)) }
            progress max=(planned.max(1)) value=(dealt_with.min(planned)) aria-label="Dead letters dealt with" {}
            @if let Some(problem) = &replay.problem { p.warning { (parts::sentence(problem)) } }
        }
        section.card {
            h2 { "What became of them" }
            dl.facts {
                dt { "Sent again" } dd { (number(done.replayed)) ", " (parts::bytes(done.bytes)) }
                dt { "Gone already" } dd { (number(done.gone)) span.muted { " sent or removed before" } }
                dt { "In other hands" } dd { (number(done.held)) span.muted { " another replay sends them" } }
                dt { "Unfit" } dd { (number(done.unfit)) span.muted { " no job, so not for another endpoint" } }
                dt { "Not found" } dd { (number(done.not_found)) span.muted { " they stay in the list" } }
            }
        }
        section.card {
            h2 { "Who did what" }
            ol.timeline { @for line in &replay.audit {
                li { div.what { span { strong { (line.what) } " by " code { (line.who) } } span.muted { (parts::time(now, line.at)) } } }
            } }
        }
    }
}

fn steering(visit: &Visit, replay: &Replay) -> Markup {
    let post = |verb: &str, class: &str, label: &str| {
        let target = visit.link(&format!("/replays/{}/{verb}", replay.id));
        parts::post(&visit.session, &target, class, label)
    };
    html! { div.actions { @match replay.state {
        Standing::Running => { (post("pause", "", "Pause")) (post("cancel", "bad", "Give up")) },
        Standing::Paused => { (post("resume", "primary", "Resume")) (post("cancel", "bad", "Give up")) },
        Standing::Cancelled | Standing::Finished => {},
    } } }
}

/// `POST …/replays/{id}/pause`
pub async fn pause(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let (state, caller, name) = steer(&console, &visit)?;
    Ok(steered(&visit, &api::pause(state, caller, name).await?.0))
}

/// `POST …/replays/{id}/resume`
pub async fn resume(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let (state, caller, name) = steer(&console, &visit)?;
    Ok(steered(&visit, &api::resume(state, caller, name).await?.0))
}

/// `POST …/replays/{id}/cancel`
pub async fn cancel(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let (state, caller, name) = steer(&console, &visit)?;
    Ok(steered(&visit, &api::cancel(state, caller, name).await?.0))
}

type Steering = (
    State<crate::api::Shared>,
    crate::api::caller::Caller,
    Named<(crate::domain::ids::CustomerId, String)>,
);

fn steer(console: &Pages, visit: &Visit) -> Answer<Steering> {
    let name = Named((visit.customer.clone(), visit.named::<String>()?));
    Ok((State(console.api.clone()), visit.session.caller.clone(), name))
}

fn steered(visit: &Visit, replay: &Replay) -> Response {
    edge::see(&visit.link(&format!("/replays/{}", replay.id)))
}
