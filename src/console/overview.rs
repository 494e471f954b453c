//! The first page: what the worker of this process did in the last half hour, and what waits.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::chart::{self, Series};
use super::layout::{self, Area};
use super::parts::{self, Tone, number};
use super::session::Session;
use super::{Console, Pages, edge, samples};
use crate::api::problem::Answer;
use crate::domain::access::Action;
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::Depth;
use crate::telemetry::WorkerState;
use crate::telemetry::recent::{FailingEndpoint, Step};

/// Steps of ten seconds that are drawn as one.
const TOGETHER: usize = 3;
/// Endpoints that are shown as the worst.
const WORST: usize = 10;

/// `GET /console`
pub async fn show(State(console): State<Pages>, session: Session) -> Answer<Response> {
    if !session.may_everywhere(Action::Read) {
        // The numbers are of all customers together.
        return Ok(edge::see("/console/customers").into_response());
    }
    let (depth, oldest) = tokio::join!(samples::sample(&console), samples::oldest_due(&console));
    let body = html! {
        (parts::heading("Overview", Some("The last half hour, as this process has seen it."), html! {}))
        div #live data-live="5" { (live(&console, session.now, (depth, oldest))) }
    };
    Ok(layout::page(&session, Area::Overview, "Overview", &body))
}

fn live(
    console: &Console,
    now: Timestamp,
    (depth, oldest): (Option<Depth>, Option<Duration>),
) -> Markup {
    let tally = &console.api.app.tally;
    let steps = tally.recent().steps(now);
    let steps: Vec<Step> = steps.chunks(TOGETHER).map(sum).collect();
    let all = sum(&steps);
    let worker = console.api.monitor.has_worker().then(|| tally.worker());
    html! {
        (tiles(&all, worker, (depth, oldest)))
        @if worker.is_some() {
            div.charts {
                (deliveries(&steps, &all))
                (latency(&steps))
                (queue(console, now))
                (dead_letters(console, now))
            }
            (worst(now, &tally.recent().worst(now, WORST)))
        } @else {
            p.banner {
                "No worker runs in this process, so it has seen no deliveries. What the workers do is in "
                "their own metrics; deliveries that were recorded are at each customer."
            }
            div.charts { (queue(console, now)) (dead_letters(console, now)) }
        }
    }
}

fn sum(steps: &[Step]) -> Step {
    steps.iter().fold(Step::default(), |all, step| all.plus(step))
}

fn tiles(
    all: &Step,
    worker: Option<WorkerState>,
    (depth, oldest): (Option<Depth>, Option<Duration>),
) -> Markup {
    let attempts = all.delivered + all.failed;
    let tile = |name: &str, value: &str, hint: Markup| {
        html! { div.tile { dt { (name) } dd { (value) } dd.hint { (hint) } } }
    };
    let unknown = || "–".to_owned();
    html! {
        dl.tiles {
            @if let Some(worker) = worker {
                @let tone = match worker {
                    WorkerState::Receiving => Tone::Good,
                    WorkerState::Failing => Tone::Bad,
                    WorkerState::Stopped => Tone::Plain,
                };
                (tile("Delivered", &number(all.delivered),
                    html! { "worker " (parts::badge(tone, worker.word())) }))
                (tile("Success rate", &share(all.delivered, attempts).unwrap_or_else(unknown),
                    html! { (number(all.failed)) " of " (number(attempts)) " attempts failed" }))
                (tile("Latency", &all.latency(0.5).map_or_else(unknown, milliseconds),
                    html! { "half of them; 95 % within " (all.latency(0.95).map_or_else(unknown, milliseconds)) }))
            }
            (tile("In the queue", &depth.map_or_else(unknown, |depth| number(depth.pending)),
                html! { "waiting, delayed or in hand" }))
            // SQS cannot tell: its metrics can.
            @if let Some(oldest) = oldest {
                (tile("Oldest due job", &parts::span(oldest), html! { "overdue, and not taken yet" }))
            }
            (tile("Dead letters", &depth.map_or_else(unknown, |depth| number(depth.dead)),
                html! { a href="/console/dead-letters" { "Look at them" } }))
        }
    }
}

/// A share in percent, never rounded up to all of it.
fn share(part: u64, all: u64) -> Option<String> {
    if all == 0 {
        return None;
    }
    let tenths = part as u128 * 1000 / all as u128;
    Some(if tenths == 1000 {
        "100 %".to_owned()
    } else {
        format!("{}.{} %", tenths / 10, tenths % 10)
    })
}

/// The end of a class of latency.
fn milliseconds(ms: u64) -> String {
    match ms {
        u64::MAX => "> 30 s".to_owned(),
        0..1_000 => format!("{ms} ms"),
        _ => format!("{} s", ms as f64 / 1e3),
    }
}

fn deliveries(steps: &[Step], all: &Step) -> Markup {
    let of =
        |name, value: fn(&Step) -> u64| Series { name, values: steps.iter().map(value).collect() };
    let series = [of("delivered", |step| step.delivered), of("failed", |step| step.failed)];
    let summary = format!("{} delivered, {} attempts failed.", all.delivered, all.failed);
    chart::bars("Attempts per 30 s", &summary, &series)
}

fn latency(steps: &[Step]) -> Markup {
    let values: Vec<Option<u64>> =
        steps.iter().map(|step| step.latency(0.95).map(|ms| ms.min(60_000))).collect();
    let last = values.iter().rev().flatten().next();
    let summary = match last {
        Some(ms) => format!("95 % of the attempts took at most {} lately.", milliseconds(*ms)),
        None => "No attempts.".to_owned(),
    };
    chart::line("Latency, 95 % within", &summary, &values, milliseconds)
}

fn queue(console: &Console, now: Timestamp) -> Markup {
    depths("In the queue", console, now, |depth| depth.pending)
}

fn dead_letters(console: &Console, now: Timestamp) -> Markup {
    depths("Dead letters", console, now, |depth| depth.dead)
}

fn depths(title: &str, console: &Console, now: Timestamp, of: fn(Depth) -> u64) -> Markup {
    let steps = console.samples.steps(now);
    let values: Vec<Option<u64>> = steps
        .chunks(TOGETHER)
        .map(|chunk| chunk.iter().flatten().next_back().map(|d| of(*d)))
        .collect();
    let summary = match values.iter().rev().flatten().next() {
        Some(last) => format!("{} now.", number(*last)),
        None => "Not known yet.".to_owned(),
    };
    chart::line(title, &summary, &values, number)
}

fn worst(now: Timestamp, endpoints: &[FailingEndpoint]) -> Markup {
    html! {
        section.card {
            h2 { "Endpoints that fail most" }
            @if endpoints.is_empty() {
                (parts::empty("None has failed", "Endpoints with failures in the last quarter of an hour come here.", html! {}))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Endpoints that fail most" {
                    table {
                        thead { tr {
                            th { "Customer" } th { "Endpoint" } th.number { "Failed" }
                            th.number { "Delivered since" } th { "Last failure" }
                        } }
                        tbody { @for endpoint in endpoints { (row(now, endpoint)) } }
                    }
                }
            }
        }
    }
}

fn row(now: Timestamp, endpoint: &FailingEndpoint) -> Markup {
    let FailingEndpoint { customer_id, endpoint_id, failed, delivered, last_at, last } = endpoint;
    html! {
        tr {
            td { a href=(format!("/console/customers/{customer_id}")) { (customer_id) } }
            td { a href=(format!("/console/customers/{customer_id}/endpoints/{endpoint_id}")) { (endpoint_id) } }
            td.number { (number(*failed)) }
            td.number { (number(*delivered)) }
            td { (parts::outcome(last)) " " span.muted { (parts::time(now, *last_at)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_all_only_if_nothing_is_missing() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(99_999, 100_000).as_deref(), Some("99.9 %"));
        assert_eq!(share(5, 5).as_deref(), Some("100 %"));
    }

    #[test]
    fn a_latency_is_said_with_its_unit() {
        assert_eq!([5, 2_500, 10_000].map(milliseconds), ["5 ms", "2.5 s", "10 s"]);
    }
}
