//! Decoded → fanned out: a job that names no endpoint becomes a child for each endpoint that wants
//! it, and is done.
//!
//! The list of endpoints is fixed once. Whatever happens then, another receipt of the parent sends
//! the same children again, and a child always claims its fence, which all its copies share.

use std::collections::{BTreeMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::Pipeline;
use super::decode::Parent;
use super::settle::{encode, job_facts};
use crate::domain::dead_letter::DeadLetter;
use crate::domain::delivery::DeliveryState;
use crate::domain::fan_out::{Child, MAX_FAN_OUT, child_id};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::ordering::child_deduplication_id;
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::domain::wait::Wait;
use crate::ports::queue::NewMessage;
use crate::ports::{Error, Result};
use crate::telemetry::tracer::attribute;

/// Most children sent at once, in messages and in bytes: what is in memory at one time.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What becomes of a parent.
enum Fate {
    /// Its children are sent, or there are none.
    Done,
    /// It waits until then.
    Waits(Timestamp),
    /// The worker has to stop: another one begins again.
    Stopped,
    /// It is given up.
    DeadLetter(Reason, String),
}

impl Pipeline {
    /// Sends a job's children, and settles the job.
    pub(super) async fn fan_out(
        &self,
        parent: &Parent<'_>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let handle = &parent.message.handle;
        match self.send_children(parent, stop).await {
            Ok(Fate::Done) => self.queue.acknowledge(handle).await,
            Ok(Fate::Waits(until)) => {
                self.tally.counters.parked.of(Wait::NotBefore).one();
                self.put_back(parent.message, &parent.state.clone().parked(), until).await
            }
            Ok(Fate::Stopped) => self.queue.release(handle, std::time::Duration::ZERO).await,
            Ok(Fate::DeadLetter(reason, why)) => self.give_up_parent(parent, reason, &why).await,
            Err(error) => {
                self.tally.fault(&error, &parent.message.message_id);
                let expiry = parent.job.expires_at;
                let Some((until, delay)) = self.after_fault(&parent.state, expiry) else {
                    let why = format!("it could not be sent before: {error}");
                    return self.give_up_parent(parent, Reason::Expired, &why).await;
                };
                let state = parent.state.clone().faulted();
                if self.put_back(parent.message, &state, until).await.is_err() {
                    self.queue.release(handle, delay).await?;
                }
                Ok(())
            }
        }
    }

    async fn send_children(&self, parent: &Parent<'_>, stop: &CancellationToken) -> Result<Fate> {
        let (job, now) = (&parent.job, self.clock.now());
        if job.expires_at.is_some_and(|at| at <= now.max(job.not_before.unwrap_or(now))) {
            return Ok(Fate::DeadLetter(
                Reason::Expired,
                format!("at {now}, before it fanned out"),
            ));
        }
        // One parent waits, not each of its children; and it goes where it is wanted then.
        if let Some(at) = job.not_before.filter(|at| *at > now) {
            return Ok(Fate::Waits(at));
        }
        let endpoints = match self.deliveries.fan_out(&parent.key, now).await? {
            Some(fixed) => fixed,
            None => {
                let wanted = self.wanted_by(&job.customer_id, job.event_type.as_deref()).await?;
                if wanted.len() > MAX_FAN_OUT {
                    let problem =
                        format!("{} endpoints want it, of at most {MAX_FAN_OUT}", wanted.len());
                    return Ok(Fate::DeadLetter(Reason::FanOutTooLarge, problem));
                }
                self.deliveries.fix_fan_out(&parent.key, &wanted, now).await?
            }
        };
        let size = (BATCH_BYTES / parent.message.body.len().max(1)).clamp(1, BATCH);
        for batch in endpoints.chunks(size) {
            if stop.is_cancelled() {
                return Ok(Fate::Stopped);
            }
            let children: Result<Vec<NewMessage>> =
                batch.iter().map(|endpoint| child(parent, endpoint)).collect();
            self.queue.send(children?).await?;
        }
        self.tally.fanned_out(&parent.key, endpoints.len());
        let count = i64::try_from(endpoints.len()).unwrap_or(i64::MAX);
        parent.trace.note(|| vec![attribute("sealpost.endpoints", count)]);
        Ok(Fate::Done)
    }

    /// The endpoints that a job without one goes to, as they are now.
    pub(super) async fn wanted_by(
        &self,
        customer: &CustomerId,
        event_type: Option<&str>,
    ) -> Result<Vec<EndpointId>> {
        let stored = self.endpoints.of_customer(customer).await?;
        let disabled: HashSet<(EndpointId, u64)> = (self.health.list(customer).await?)
            .into_iter()
            .filter(|known| known.record.health.is_disabled())
            .map(|known| (known.endpoint_id, known.version))
            .collect();
        let wanted = stored.into_iter().filter(|stored| {
            let endpoint = &stored.endpoint;
            endpoint.enabled
                && endpoint.wants(event_type)
                && (endpoint.health_policy.takes_jobs()
                    || !disabled.contains(&(endpoint.endpoint_id.clone(), stored.version)))
        });
        Ok(wanted.map(|stored| stored.endpoint.endpoint_id).collect())
    }

    async fn give_up_parent(&self, parent: &Parent<'_>, reason: Reason, why: &str) -> Result<()> {
        let (job_size, job_sha256) = job_facts(parent.message);
        let letter = DeadLetter {
            id: parent.key.dead_letter_id(),
            message_id: parent.message.message_id.clone(),
            customer_id: Some(parent.key.customer_id.clone()),
            endpoint_id: None,
            job_id: Some(parent.key.job_id.clone()),
            child: None,
            event_type: parent.job.event_type.clone(),
            round: parent.state.round,
            reason,
            message: format!("{why}; {}", reason.advice()),
            accepted_at: parent.state.accepted_at,
            dead_at: self.clock.now(),
            attempts: 0,
            history: Vec::new(),
            job_size,
            job_sha256,
            attributes: BTreeMap::new(),
        };
        self.bury(parent.message, letter, Some(encode(&parent.state)?)).await
    }
}

/// The child of a parent for one endpoint: the same bytes, with a state that names the endpoint. It is
/// of the parent's age and of its round: a replay of the parent is a new round for every endpoint. Its
/// group has those of its parent's group that go to the same endpoint.
fn child(parent: &Parent<'_>, endpoint: &EndpointId) -> Result<NewMessage> {
    let (message, round) = (&parent.key.message_id, parent.state.round);
    let id = child_id(&parent.key.job_id, endpoint).map_err(|e| Error::new("fan_out.child", e))?;
    let state = DeliveryState {
        round,
        child: Some(Child { endpoint_id: endpoint.clone(), parent_message_id: message.clone() }),
        ..DeliveryState::first(id, parent.state.accepted_at)
    };
    Ok(NewMessage {
        body: parent.message.body.clone(),
        customer: Some(parent.job.customer_id.clone()),
        group: parent.message.group.as_ref().map(|group| group.of_child(endpoint)),
        deduplication_id: Some(child_deduplication_id(message, state.job_id.as_str(), round)),
        state: Some(encode(&state)?),
        not_before: None,
    })
}
