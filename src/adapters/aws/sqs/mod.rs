//! The queue on Amazon SQS (standard queues).
//!
//! SQS cannot change a message, so a retry is a new message: the same body, and everything of ours in
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
//! FIFO queues are another form of the same port: their state lives in the fence and a retry holds
//! its group by visibility, so they will have a `settle` of their own.

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
mod in_flight;
mod move_task;
mod queue;
mod receive;
mod settle;

pub use queue::SqsQueue;
