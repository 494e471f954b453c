//! What a call of an endpoint would look like: a worker builds and signs it, and does not send it.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::form::{Fields, Form};
use super::layout::{self, Area};
use super::parts::{self, Field};
use super::visit::Visit;
use super::{Console, Pages};
use crate::api::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::dry_run::{DryRun, DryRunAnswer};
use crate::domain::field::FieldError;
use crate::domain::ids::EndpointId;
use crate::ports::queue::NewMessage;

/// How long a worker may take to answer.
const WAIT: Duration = Duration::from_secs(10);
/// How often the answer is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// `GET …/endpoints/{id}/test`
pub async fn ask(visit: Visit) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    visit.session.caller.check(Action::Change, Some(&visit.customer), Some(&id))?;
    let mut fields = Fields::default();
    fields.set("type", "test");
    fields.set("data", "{\n  \"test\": true\n}");
    Ok(page(&visit, &id, &fields, None, html! {}))
}

fn page(
    visit: &Visit,
    id: &EndpointId,
    fields: &Fields,
    problem: Option<&Problem>,
    answer: Markup,
) -> Response {
    let back = visit.link(&format!("/endpoints/{id}"));
    let field = |name, label, hint, required| Field { name, label, hint, required };
    let body = html! {
        (parts::heading(&format!("Test {id}"), Some("A worker builds and signs the call, and shows it. Nothing is sent."), html! {}))
        (parts::problem(problem, &["type", "data"]))
        form.card.wide method="post" action=(format!("{back}/test")) {
            (parts::token(&visit.session))
            (field("type", "Event type", "", false).line("text", fields, problem))
            (field("data", "Data", "Any JSON.", true).lines(6, fields, problem))
            div.buttons { button.primary type="submit" { "Show the call" } a href=(back) { "Back" } }
        }
        (answer)
    };
    layout::customer_page(visit, Area::Endpoints, &format!("Test {id}"), problem, &body)
}

/// `POST …/endpoints/{id}/test`
pub async fn run(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    visit.session.caller.check(Action::Change, Some(&visit.customer), Some(&id))?;
    let data: Result<Value, _> = serde_json::from_str(fields.get("data"));
    let data = match data {
        Ok(data) => data,
        Err(error) => {
            let problem = FieldError::new("data", format!("expected JSON: {error}")).into();
            return Ok(page(&visit, &id, &fields, Some(&problem), html! {}));
        }
    };
    let mut job = json!({"customerId": visit.customer, "endpointId": id, "data": data});
    if !fields.get("type").is_empty() {
        job["type"] = json!(fields.get("type"));
    }
    let answer = match ask_worker(&console, &job).await? {
        Some(DryRunAnswer::Request(request)) => {
            html! { section.card { h2 { "The call" } pre tabindex="0" { (request.to_string()) } } }
        }
        Some(DryRunAnswer::Problem(problem)) => {
            html! { div.problem role="alert" { p { (parts::sentence(&problem)) } } }
        }
        None => {
            html! { div.problem role="alert" { p { "No worker answered in time: is one running?" } } }
        }
    };
    Ok(page(&visit, &id, &fields, None, answer))
}

async fn ask_worker(console: &Console, job: &Value) -> Answer<Option<DryRunAnswer>> {
    let app = &console.api.app;
    let internal = |_| Problem::new(Code::Internal, Code::Internal.title());
    let dry_run = DryRun { id: app.chance.token(), at: None, until: app.clock.now().plus(WAIT) };
    let state = Some(dry_run.to_state().map_err(internal)?.into());
    let message = NewMessage { body: job.to_string().into(), state, ..NewMessage::default() };
    app.queue.send(vec![message]).await?;
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        if let Some(answer) = app.deliveries.take_dry_run(&dry_run.id, app.clock.now()).await? {
            return Ok(Some(serde_json::from_str(&answer).map_err(internal)?));
        }
        sleep(LOOK).await;
    }
    Ok(None)
}
