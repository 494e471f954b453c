//! Looks at a data directory from the outside, for `sealpost doctor`: nothing is made, changed or locked, so
//! that a worker beside it notices nothing.

mod database;
mod files;

use std::path::Path;

use super::data_dir::DataDir;
use crate::domain::check::{Check, Status};
use crate::domain::timestamp::Timestamp;

/// What was seen of a data directory.
pub struct Checkup {
    /// Every check.
    pub checks: Vec<Check>,
    /// Whether its stores can be opened without changing anything.
    pub can_open: bool,
}

/// Looks at the files, then into the database. Takes up to half a minute, and blocks.
pub fn examine(root: &Path, now: Timestamp) -> Checkup {
    let data = DataDir::at(root);
    let directory = files::directory(&data);
    if directory.iter().any(|check| check.status == Status::Failed) {
        return Checkup { checks: directory, can_open: false };
    }
    let mut checks = directory;
    let key_file = files::key_file(&data);
    let (database, is_current) = database::examine(&data.database());
    let can_open = is_current && key_file.status != Status::Failed;
    checks.push(key_file);
    checks.extend(database);
    checks.extend([files::space(&data), files::worker(&data), files::clock(&data, now)]);
    Checkup { checks, can_open }
}
