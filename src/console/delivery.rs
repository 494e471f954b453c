//! One recorded delivery: what happened to it, what was sent and came back, and who had it sent again.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::form::{Asked, Form};
use super::layout::{self, Area};
use super::parts::{self, Tone, number};
use super::visit::Visit;
use super::{Console, Pages, edge};
use crate::api::deliveries::{self as api, WithAttempts};
use crate::api::input::Named;
use crate::api::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::delivery_record::{AttemptRow, DeliveryRecord, DeliveryStatus};
use crate::domain::resend::{ResendLine, ResendOutcome};
use crate::domain::timeline::Moment;
use crate::domain::timestamp::Timestamp;

/// `GET …/deliveries/{id}`
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
    let (caller, id) = (visit.session.caller.clone(), visit.named::<String>()?);
    let name = Named((visit.customer.clone(), id));
    let WithAttempts { delivery, attempt_list, resends, timeline } =
        api::get(State(console.api.clone()), caller, name).await?.0;
    let now = visit.session.now;
    let next = delivery.next_round_id();
    let next = console.api.app.records.header(&next, now).await?.map(|next| next.id);
    let body = html! {
        (parts::note(done))
        (parts::problem(problem, &[]))
        (parts::heading("Delivery", None, actions(visit, &delivery)))
        (facts(visit, &delivery, next.as_deref()))
        section.card {
            h2 { "Attempts" }
            ol.timeline { @for row in &attempt_list { (attempt(now, row)) } }
        }
        (happened(now, &timeline))
        @if !resends.is_empty() { (audit(now, &resends)) }
    };
    Ok(layout::customer_page(visit, Area::Deliveries, "Delivery", problem, &body))
}

fn actions(visit: &Visit, delivery: &DeliveryRecord) -> Markup {
    let own = |rest: &str| visit.link(&format!("/deliveries/{}{rest}", delivery.id));
    let letter = visit.link(&format!("/dead-letters/{}", delivery.dead_letter_id()));
    let has_ended = delivery.status != DeliveryStatus::Retrying;
    html! {
        @if has_ended && visit.may(Action::Change, Some(&delivery.endpoint_id)) {
            (parts::post(&visit.session, &own("/resend"), "primary", "Send again"))
        }
        @if delivery.status == DeliveryStatus::DeadLetter { a.button href=(letter) { "To its dead letter" } }
    }
}

fn facts(visit: &Visit, delivery: &DeliveryRecord, next: Option<&str>) -> Markup {
    let now = visit.session.now;
    let endpoint = visit.link(&format!("/endpoints/{}", delivery.endpoint_id));
    html! {
        section.card {
            dl.facts {
                dt { "Job" } dd.long { code { (delivery.job_id) } }
                dt { "Endpoint" } dd { a href=(endpoint) { (delivery.endpoint_id) } }
                @if let Some(kind) = &delivery.event_type { dt { "Event" } dd { (kind) } }
                dt { "Status" } dd { (parts::status(delivery.status)) @if let Some(at) = delivery.retry_at { " next attempt " (parts::time(now, at)) } }
                @if let Some(reason) = delivery.reason { dt { "Given up" } dd { code { (reason) } " " span.muted { (parts::sentence(reason.advice())) } } }
                dt { "Accepted" } dd { (parts::time(now, delivery.accepted_at)) }
                dt { "Round" } dd { (delivery.round)
                    @if let Some(next) = next { ", " a href=(visit.link(&format!("/deliveries/{next}"))) { "to the next one" } } }
            }
        }
    }
}

fn happened(now: Timestamp, timeline: &[Moment]) -> Markup {
    html! {
        section.card {
            h2 { "What happened" }
            ol.timeline { @for moment in timeline {
                li { div.what { span { (parts::sentence(&moment.detail)) } span.muted { (parts::time(now, moment.at)) } } }
            } }
        }
    }
}

fn audit(now: Timestamp, resends: &[ResendLine]) -> Markup {
    html! {
        section.card {
            h2 { "Who had it sent again" }
            ol.timeline { @for line in resends {
                li { div.what { span { (in_words(line.what)) " by " code { (line.who) } } span.muted { (parts::time(now, line.at)) } } }
            } }
        }
    }
}

fn in_words(what: ResendOutcome) -> &'static str {
    match what {
        ResendOutcome::Ordered => "Ordered",
        ResendOutcome::Sent => "Sent, as ordered",
        ResendOutcome::AlreadySent => "Not sent: the next round is there already; ordered",
        ResendOutcome::Gone => {
            "Not sent: the record or the kept job is not there any more; ordered"
        }
        ResendOutcome::TenantKeyShredded => "Not sent: the tenant key was shredded; ordered",
        ResendOutcome::BodyNotOpened => "Not sent: the kept job does not open; ordered",
        ResendOutcome::CrashLoop => "Not sent: workers died of it, or could not do it; ordered",
    }
}

/// `POST …/deliveries/{id}/resend`
pub async fn resend(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let (caller, id) = (visit.session.caller.clone(), visit.named::<String>()?);
    let name = Named((visit.customer.clone(), id.clone()));
    match api::resend(State(console.api.clone()), caller, name).await {
        Ok(_) => Ok(edge::see(&visit.link(&format!("/deliveries/{id}?done=sent-again")))),
        Err(problem) if problem.what() == Code::Conflict => {
            page(&console, &visit, "", Some(&problem)).await
        }
        Err(problem) => Err(problem),
    }
}

fn attempt(now: Timestamp, row: &AttemptRow) -> Markup {
    let attempt = &row.attempt;
    let tone = if attempt.outcome.is_success() { Tone::Good } else { Tone::Bad };
    html! {
        li {
            div.what {
                (parts::badge(tone, parts::outcome(&attempt.outcome)))
                span { "Attempt " (attempt.number) ", " (parts::time(now, attempt.at)) }
                span.muted { (number(attempt.duration_ms)) " ms"
                    @if let Some(address) = &attempt.address { ", to " (address) } }
            }
            @if !attempt.detail.is_empty() { pre tabindex="0" aria-label="What came back" { (attempt.detail) } }
            @if !row.request.is_empty() {
                details { summary { "What was sent" } pre tabindex="0" { (sent(&row.request)) } }
            }
        }
    }
}

/// What was sent, as people read it; as it was kept, if it was too long to be kept whole.
fn sent(request: &str) -> String {
    let shown = serde_json::from_str::<Value>(request).ok().and_then(|request| {
        let (method, url) = (request["method"].as_str()?, request["url"].as_str()?);
        let mut text = format!("{method} {url}\n");
        for header in request["headers"].as_array()? {
            text += &format!("{}: {}\n", header[0].as_str()?, header[1].as_str()?);
        }
        let body = &request["body"];
        let body = body["text"].as_str().or(body["base64"].as_str()).unwrap_or("");
        Some(if body.is_empty() { text } else { format!("{text}\n{body}") })
    });
    shown.unwrap_or_else(|| request.to_owned())
}
