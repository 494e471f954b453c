//! SQS's own way to move every message of the dead-letter queue, its destination named.

use std::num::NonZeroU32;

use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::batched::{BatchedQueue, refused};
use super::settle::Settler;
use crate::adapters::aws::Failure;
use crate::ports::queue::{MoveProgress, MoveTask};

/// Most messages a second that SQS moves (Amazon SQS API Reference, "StartMessageMoveTask").
const FASTEST: u32 = 500;

async fn arn(queue: &BatchedQueue) -> Result<String, Failure> {
    let asked = queue.client.get_queue_attributes().queue_url(&queue.url);
    let output = asked.attribute_names(Name::QueueArn).send().await.map_err(|e| Failure::of(&e))?;
    let found = output.attributes().and_then(|a| a.get(&Name::QueueArn)).cloned();
    found.ok_or_else(|| refused(format!("queue {} does not say its ARN", queue.url)))
}

/// Begins to move everything, or tells of what is under way.
pub async fn begin(settler: &Settler, rate: Option<NonZeroU32>) -> Result<MoveTask, Failure> {
    let (source, destination) = (arn(&settler.dead).await?, arn(&settler.jobs).await?);
    let client = &settler.dead.client;
    // Whoever began one and died before he could write so finds it here.
    let listed = client.list_message_move_tasks().source_arn(&source).max_results(1).send().await;
    let listed = listed.map_err(|e| Failure::of(&e))?;
    let running = listed.results().iter().find(|task| task.status() == Some("RUNNING"));
    if let Some(name) = running.and_then(|task| task.task_handle()) {
        return Ok(MoveTask { name: name.to_owned(), destination });
    }
    let start = client.start_message_move_task().source_arn(source).destination_arn(&destination);
    let rate = rate.map(|rate| i32::try_from(rate.get().min(FASTEST)).unwrap_or(i32::MAX));
    let started = start.set_max_number_of_messages_per_second(rate).send().await;
    let started = started.map_err(|e| Failure::of(&e))?;
    let name = started.task_handle.ok_or_else(|| refused("the move has no handle".to_owned()))?;
    Ok(MoveTask { name, destination })
}

/// How far the last move is.
pub async fn progress(settler: &Settler) -> Result<Option<MoveProgress>, Failure> {
    let (dead, source) = (&settler.dead, arn(&settler.dead).await?);
    let listed = dead.client.list_message_move_tasks().source_arn(source).max_results(1).send();
    let listed = listed.await.map_err(|e| Failure::of(&e))?;
    let Some(task) = listed.results().first() else { return Ok(None) };
    let status = task.status().unwrap_or_default();
    Ok(Some(MoveProgress {
        moved: u64::try_from(task.approximate_number_of_messages_moved()).unwrap_or(0),
        ended: !matches!(status, "RUNNING" | "CANCELLING"),
        problem: match (status, task.failure_reason()) {
            (_, Some(reason)) => Some(format!("SQS moved not all: {reason}")),
            ("FAILED" | "CANCELLED", None) => Some(format!("SQS moved not all: {status}")),
            (_, None) => None,
        },
    }))
}

/// Ends a move. One that has ended is left alone.
pub async fn cancel(settler: &Settler, name: &str) -> Result<(), Failure> {
    let sent = settler.dead.client.cancel_message_move_task().task_handle(name).send().await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) => match progress(settler).await? {
            Some(MoveProgress { ended: false, .. }) => Err(Failure::of(&error)),
            Some(_) | None => Ok(()),
        },
    }
}
