//! A test call: a worker makes one real call of an endpoint, and tells every step of it.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::Pages;
use super::form::{Fields, Form, body};
use super::layout::{self, Area};
use super::parts::{self, Field, Tone, number};
use super::visit::Visit;
use crate::api::problem::{Answer, Code, Problem};
use crate::api::test_calls as api;
use crate::domain::access::Action;
use crate::domain::field::FieldError;
use crate::domain::ids::EndpointId;
use crate::domain::test_call::{TEST_TYPE, TestKind, TestRecord};
use crate::domain::test_report::{ShownResponse, ShownTls, Step, StepName, StepResult, TestReport};

/// How long the page waits for the answer.
const WAIT: &str = "20s";

/// `GET …/endpoints/{id}/test`
pub async fn ask(visit: Visit) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    visit.session.caller.check(Action::Change, Some(&visit.customer), Some(&id))?;
    Ok(page(&visit, &id, &usual(), None, None))
}

/// What a test sends where nobody says.
fn usual() -> Fields {
    let mut fields = Fields::default();
    fields.set("type", TEST_TYPE);
    fields.set("data", "{\n  \"test\": true\n}");
    fields
}

fn page(
    visit: &Visit,
    id: &EndpointId,
    fields: &Fields,
    problem: Option<&Problem>,
    record: Option<&TestRecord>,
) -> Response {
    let back = visit.link(&format!("/endpoints/{id}"));
    let field = |name, label, hint, required| Field { name, label, hint, required };
    let hint = "A worker makes one real call, marked as a test, and tells every step of it.";
    let title = format!("Test {id}");
    let body = html! {
        (parts::heading(&title, Some(hint), html! {}))
        (parts::problem(problem, &["type", "data", "pathParameters"]))
        @if let Some(record) = record { (answer(visit, record)) }
        form.card.wide method="post" action=(format!("{back}/test")) {
            (parts::token(&visit.session))
            (field("type", "Event type", "", false).line("text", fields, problem))
            (field("data", "Data", "Any JSON.", true).lines(6, fields, problem))
            (field("pathParameters", "Path parameters", "One for each * of the URL, separated by commas.", false).line("text", fields, problem))
            div.buttons { button.primary type="submit" { "Send a test" } a href=(back) { "Back to the endpoint" } }
        }
    };
    layout::customer_page(visit, Area::Endpoints, &title, problem, &body)
}

/// `POST …/endpoints/{id}/test`
pub async fn run(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let (caller, customer) = (&visit.session.caller, &visit.customer);
    caller.check(Action::Change, Some(customer), Some(&id))?;
    let asked = async {
        let test = body(&test(&fields)?).read()?;
        api::make(&console.api, caller, (customer, &id), TestKind::Test, test).await
    };
    match asked.await {
        Ok(record) => Ok(page(&visit, &id, &fields, None, Some(&record))),
        Err(problem)
            if matches!(
                problem.what(),
                Code::ValidationFailed | Code::InvalidRequest | Code::RateLimited
            ) =>
        {
            Ok(page(&visit, &id, &fields, Some(&problem), None))
        }
        Err(problem) => Err(problem),
    }
}

/// `POST …/endpoints/{id}/verify`
pub async fn verify(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let (caller, customer) = (&visit.session.caller, &visit.customer);
    caller.check(Action::Change, Some(customer), Some(&id))?;
    let asked = body(&json!({"wait": WAIT})).read()?;
    let kind = TestKind::Handshake;
    match api::make(&console.api, caller, (customer, &id), kind, asked).await {
        Ok(record) => Ok(page(&visit, &id, &usual(), None, Some(&record))),
        Err(problem) if matches!(problem.what(), Code::Conflict | Code::RateLimited) => {
            Ok(page(&visit, &id, &usual(), Some(&problem), None))
        }
        Err(problem) => Err(problem),
    }
}

/// What is asked, as the API takes it.
fn test(fields: &Fields) -> Result<Value, FieldError> {
    let data: Value = serde_json::from_str(fields.get("data"))
        .map_err(|e| FieldError::new("data", format!("expected JSON: {e}")))?;
    let mut test = json!({"data": data, "wait": WAIT});
    if !fields.get("type").is_empty() {
        test["type"] = json!(fields.get("type"));
    }
    let parameters: Vec<&str> =
        fields.get("pathParameters").split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
    if !parameters.is_empty() {
        test["pathParameters"] = json!(parameters);
    }
    Ok(test)
}

fn answer(visit: &Visit, record: &TestRecord) -> Markup {
    let Some(report) = &record.report else {
        return html! {
            div.problem role="alert" {
                p { strong { "No worker answered in time." } " See whether one is running, and send the test again." }
            }
        };
    };
    let (tone, said) = match report.failure() {
        None if record.call.kind == TestKind::Handshake => {
            (Tone::Good, "The endpoint agrees to be called.".to_owned())
        }
        None => (Tone::Good, "The endpoint took it.".to_owned()),
        Some(step) => (Tone::Bad, format!("It failed at: {}.", in_words(step.step))),
    };
    html! {
        section.card role="status" {
            div.heading { h2 { (parts::badge(tone, if tone == Tone::Good { "passed" } else { "failed" })) " " (said) }
                span.muted { (parts::time(visit.session.now, report.finished_at)) } }
            ol.timeline.steps { @for step in &report.steps { (shown(step)) } }
            @if let Some(follows) = &report.follows { p.muted { (parts::sentence(follows)) } }
            (exchange(report))
        }
    }
}

fn shown(step: &Step) -> Markup {
    let (tone, word) = match step.result {
        StepResult::Passed => (Tone::Good, "passed"),
        StepResult::Failed => (Tone::Bad, "failed"),
        StepResult::Skipped => (Tone::Plain, "skipped"),
    };
    html! {
        li {
            div.what {
                (parts::badge(tone, word)) strong { (in_words(step.step)) }
                @if let Some(ms) = step.ms { span.muted { (number(ms)) " ms" } }
            }
            p { (parts::sentence(&step.says)) }
            @if let Some(advice) = &step.advice { p.warning { "What to do: " (parts::sentence(advice)) } }
        }
    }
}

fn in_words(step: StepName) -> &'static str {
    match step {
        StepName::Endpoint => "Configuration",
        StepName::Secrets => "Secrets",
        StepName::Request => "Request",
        StepName::Auth => "Authentication",
        StepName::Dns => "Name",
        StepName::Guard => "Addresses may be called",
        StepName::Connect => "Connection",
        StepName::Tls => "TLS",
        StepName::Response => "Answer",
        StepName::Handshake => "Handshake",
    }
}

/// What went over the wire.
fn exchange(report: &TestReport) -> Markup {
    html! {
        @if let Some(ShownTls { chain, version, cipher, protocol }) = &report.tls {
            details { summary { "Certificates" }
                p.muted { @for word in [version, cipher, protocol].into_iter().flatten() { (word) " " } }
                @for certificate in chain { pre tabindex="0" { (certificate.to_string()) } }
            }
        }
        @if let Some(request) = &report.request {
            details open { summary { "What was sent" } pre tabindex="0" aria-label="What was sent" { (request.to_string()) } }
        }
        @if let Some(ShownResponse { status, headers, body }) = &report.response {
            details open { summary { "What came back" }
                pre tabindex="0" aria-label="What came back" {
                    (status) "\n" @for (name, value) in headers { (name) ": " (value) "\n" } "\n" (body)
                }
            }
        }
    }
}
