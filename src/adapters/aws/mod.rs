//! The AWS form: SQS for the queue, DynamoDB for what is kept and KMS for the keys.
//!
//! Everything that is wrong with AWS itself (throttling, denied access, no connection, expired
//! credentials) comes out as [`crate::ports::Error`]: it is ours and never an endpoint's.

pub mod call_counts;
pub mod checkup;
pub mod classify;
pub mod client;
pub mod dynamodb;
mod eventbridge;
mod json_call;
mod kms;
mod kms_rebind;
mod references;
mod roles;
mod skew;
pub mod sqs;

pub use call_counts::CallCounts;
pub use classify::{Failure, Kind, failed};
pub use client::Clients;
pub use eventbridge::EventBridge;
pub use kms::{KmsKeys, KmsOpener, KmsSealer};
pub use kms_rebind::KmsRebind;
pub use references::AwsReferences;
pub use roles::StsRoles;
pub use skew::SkewWatch;
