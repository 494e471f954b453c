//! The queue on Amazon SQS (standard queues).

mod appetite;
mod attributes;
mod batch;
mod calls;
mod delay;
mod in_flight;
