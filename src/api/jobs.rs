//! Jobs: taken once each, and durable when answered.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::input::{Body, check_object};
use super::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::delivery::DeliveryState;
use crate::domain::envelope;
use crate::domain::field::FieldError;
use crate::domain::ids::{InvalidId, JobId};
use crate::domain::job::Job;
use crate::domain::ordering;
use crate::domain::submission::{Begun, Submission};
use crate::ports;
use crate::ports::queue::NewMessage;
use crate::telemetry::metrics::label::Taken;

/// A job that was taken.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The queue's id of the message. It is the job's id too, if the job names none.
    message_id: String,
    /// The job's id.
    id: String,
    /// Whose endpoint is called.
    customer_id: String,
    /// Which endpoint is called; absent if all are that want it.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<String>,
    /// Whether the same job was taken before, and nothing was enqueued now.
    pub duplicate: bool,
}

/// Enqueue a job
///
/// It is durable when this answers. A job with an `id` that comes again within 24 hours is taken once; the
/// envelopes of EventBridge, CloudEvents and SNS are accepted as they come. `Idempotency-Key` is the id of a
/// job that names none.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", operation_id = "sendJob",
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, description = "It is enqueued", body = Accepted)))]
pub async fn send(
    State(api): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Body(bytes): Body,
) -> Answer<(StatusCode, Json<Accepted>)> {
    caller.check_scope(Action::Send)?;
    let key = idempotency_key(&headers)?;
    let taken = take(&api, &caller, vec![bytes], key.as_ref()).await?.pop();
    let internal = || Err(Problem::new(Code::Internal, Code::Internal.title()));
    let accepted = taken.unwrap_or_else(internal)?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// The id that a request gives to a job which names none.
fn idempotency_key(headers: &HeaderMap) -> Answer<Option<JobId>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or("").parse().map(Some);
    key.map_err(|error: InvalidId| {
        let error = FieldError::new("idempotency-key", error.to_string());
        Problem::field(Code::InvalidRequest, &error)
    })
}

/// A job on its way into the queue.
struct Candidate {
    job: Job,
    /// What tells the worker the job's id, where the job itself does not.
    state: Option<DeliveryState>,
    bytes: Bytes,
    submission: Option<Submission>,
    begun: Begun,
}

/// Takes jobs, each for itself; one commit for all. `key` is the id of what names none.
///
/// # Errors
/// If a store or the queue fails: then it is unknown which were taken.
pub async fn take(
    api: &Shared,
    caller: &Caller,
    jobs: Vec<Bytes>,
    key: Option<&JobId>,
) -> Answer<Vec<Answer<Accepted>>> {
    let mut read: Vec<Answer<Candidate>> =
        jobs.into_iter().map(|bytes| candidate(api, caller, bytes, key)).collect();
    begin(api, &mut read).await?;
    let is_new = |candidate: &&Candidate| candidate.begun == Begun::New;
    let new: Vec<&Candidate> = read.iter().flatten().filter(is_new).collect();
    let sent = send_all(api, &new).await?;
    let mut sent = sent.into_iter();
    let answers: Vec<Answer<Accepted>> =
        read.into_iter().map(|candidate| candidate?.answer(&mut sent)).collect();
    for answer in &answers {
        let taken = match answer {
            Ok(accepted) if accepted.duplicate => Taken::Duplicate,
            Ok(_) => Taken::Accepted,
            Err(_) => Taken::Rejected,
        };
        api.app.tally.counters.jobs_taken.of(taken).one();
    }
    Ok(answers)
}

fn candidate(
    api: &Shared,
    caller: &Caller,
    bytes: Bytes,
    key: Option<&JobId>,
) -> Answer<Candidate> {
    check_object(&bytes)?;
    let mut job = envelope::read(&bytes, &api.app.config.envelopes)?;
    caller.check(Action::Send, Some(&job.customer_id), job.endpoint_id.as_ref())?;
    let mut state = None;
    match (&job.id, key) {
        (Some(id), Some(key)) if id != key => {
            let problem = format!("expected {id}, the job's id, or nothing");
            return Err(FieldError::new("idempotency-key", problem).into());
        }
        (None, Some(key)) => {
            state = Some(DeliveryState::first(key.clone(), api.app.clock.now()));
            job.id = Some(key.clone());
        }
        (Some(_) | None, _) => {}
    }
    ordering::check(&job, api.app.queue.keeps_order())?;
    let submission = Submission::of(&job, &bytes);
    Ok(Candidate { job, state, bytes, submission, begun: Begun::New })
}

/// Asks which of the jobs that name an id were taken before.
async fn begin(api: &Shared, read: &mut [Answer<Candidate>]) -> Answer<()> {
    let submissions: Vec<Submission> =
        read.iter().flatten().filter_map(|candidate| candidate.submission.clone()).collect();
    if submissions.is_empty() {
        return Ok(());
    }
    let begun = api.app.control.begin(&submissions, api.app.clock.now()).await?;
    let named = read.iter_mut().flatten().filter(|candidate| candidate.submission.is_some());
    for (candidate, begun) in named.zip(begun) {
        candidate.begun = begun;
    }
    Ok(())
}

/// Sends what is new; the messages' ids.
async fn send_all(api: &Shared, new: &[&Candidate]) -> Answer<Vec<String>> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let messages: Answer<Vec<NewMessage>> =
        new.iter().map(|candidate| candidate.message()).collect();
    let submissions = new.iter().map(|candidate| candidate.submission.clone());
    match api.app.queue.send(messages?).await {
        Ok(ids) => {
            let named = submissions.zip(ids.clone());
            let named: Vec<(Submission, String)> =
                named.filter_map(|(submission, id)| Some((submission?, id))).collect();
            if !named.is_empty() {
                api.app.control.finish(&named).await?;
            }
            Ok(ids)
        }
        Err(error) => {
            // Nobody knows whether they were sent. Whoever sends them again shall not have to wait:
            // two of the same id do less harm than none.
            let named: Vec<Submission> = submissions.flatten().collect();
            api.app.control.abandon(&named).await?;
            Err(error.into())
        }
    }
}

impl Candidate {
    fn message(&self) -> Answer<NewMessage> {
        let state = self.state.as_ref().map(serde_json::to_vec).transpose();
        let state = state.map_err(|error| ports::Error::new("api.job", error))?.map(Bytes::from);
        Ok(NewMessage { state, ..NewMessage::of_job(&self.job, self.bytes.clone()) })
    }

    /// What became of it; `sent` gives the ids of what was new, in order.
    fn answer(self, sent: &mut impl Iterator<Item = String>) -> Answer<Accepted> {
        let (message_id, duplicate) = match self.begun {
            Begun::New => match sent.next() {
                Some(id) => (id, false),
                None => return Err(Problem::new(Code::Internal, Code::Internal.title())),
            },
            Begun::Done(id) => (id, true),
            Begun::Busy => {
                let detail = "the same job is being taken over another connection";
                return Err(Problem::new(Code::InProgress, detail).retry_after(1));
            }
            Begun::Different => {
                let title = Code::IdempotencyConflict.title();
                return Err(Problem::new(Code::IdempotencyConflict, title));
            }
        };
        let id = self.job.id.map_or_else(|| message_id.clone(), |id| id.to_string());
        Ok(Accepted {
            message_id,
            id,
            customer_id: self.job.customer_id.to_string(),
            endpoint_id: self.job.endpoint_id.map(|id| id.to_string()),
            duplicate,
        })
    }
}
