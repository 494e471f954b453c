//! The AWS form: `sealpost worker` in a process of its own, against a stub of SQS and an emulator of
//! DynamoDB and KMS.

pub mod backlog;
pub mod dollars;
mod emulator;
pub mod idle;
mod prices;
pub mod sqs_stub;
mod stage;
mod units;
