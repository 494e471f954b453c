//! The queue on Amazon SQS.
//!
//! SQS cannot change a message, so on a standard queue a retry is a new message: the same body, and everything of ours in
//! one attribute, sent before the old message is deleted. Its receive count then counts crashes alone,
//! and SQS moves by itself what crashes every worker.
//!
//! ```text
//! poll ──▸ arrive ──▸ in flight ──▸ settle ──▸ batch ──▸ send, delete, change visibility
//!             └─ came too early: sent on with its next delay (a hop)
//! ```
//!
//! * [`receive`] polls, as often as [`appetite`] says; [`arrive`] takes a message apart.
//! * [`in_flight`] knows what has to be known to send a message anew.
//! * [`settle`] ends a message's time in hand; [`delay`] says how long its follower waits.
//! * [`batch`] gathers what all callers want done into the calls of [`calls`]; [`checksum`] finds bodies
//!   that were altered on their way; [`batched`] is one
//!   queue with its batches.
//! * [`dead_letters`] finds dead letters by id; [`attributes`] is what travels beside a body,
//!   and [`envelope`] the part of it that is ours.
//!
//! [`fifo`] says what is otherwise on FIFO queues: a retry holds its group by visibility, and its state
//! lies in DynamoDB; [`lines`] are the messages in hand of each group, [`facts`] is what a queue says of itself, and [`queue_check`] what it
//! has to be like.

mod appetite;
mod arrive;
mod attributes;
mod batch;
mod batched;
mod calls;
mod checksum;
mod dead_letters;
mod delay;
mod envelope;
mod facts;
mod fifo;
mod in_flight;
mod lambda_intake;
mod lines;
mod move_task;
mod queue;
pub mod queue_check;
mod receive;
mod settle;

pub use facts::QueueFacts;
pub use queue::SqsQueue;
