//! What an AWS account has in Amazon EventBridge's connections and API destinations, as endpoints and
//! secrets of ours: what maps, what maps with a change, and what does not. Pure: who reads the account
//! and who writes the endpoints is another's business.

pub mod account;
mod connection;
mod plan;
mod target;
pub mod values;

pub use plan::{Import, Plan, Who, plan};
pub use target::queue_target;

use serde::Serialize;

/// Something about an import that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "what", rename_all = "snake_case")]
pub enum Finding {
    /// It maps, and behaves otherwise in this.
    Change(String),
    /// It does not map; without it nothing is imported.
    Missing(String),
}

impl Finding {
    /// What it is about.
    pub fn what(&self) -> &str {
        match self {
            Self::Change(what) | Self::Missing(what) => what,
        }
    }
}
