//! Everything in one data directory: a SQLite database, a key file and nothing else to run.
//!
//! One writer thread commits whatever has come together, with one `fsync` for all (group commit).
//! Leases live in memory: only the process that holds the directory's lock receives, and a restart
//! frees them all. Commands of other processes write to the database beside it.

mod acknowledged;
mod changes;
pub mod checkup;
mod control;
mod customers;
mod data_dir;
mod database;
mod dead_letters;
mod deliveries;
mod endpoints;
mod event_types;
mod fan_outs;
mod hands;
mod health;
mod in_flight;
mod inbox;
mod kept_bodies;
mod key_file;
mod leases;
mod log_file;
mod queue;
mod receiving;
mod records;
mod replays;
mod rows;
mod secrets;
mod test_calls;
mod turns;

pub use changes::SqliteChanges;
pub use control::SqliteControl;
pub use customers::SqliteCustomers;
pub use data_dir::{DataDir, DirectoryLock};
pub use database::Database;
pub use deliveries::SqliteDeliveries;
pub use endpoints::SqliteEndpoints;
pub use event_types::SqliteEventTypes;
pub use health::SqliteHealth;
pub use key_file::KeyFile;
pub use queue::SqliteQueue;
pub use records::SqliteRecords;
pub use replays::SqliteReplays;
pub use secrets::SqliteSecrets;
pub use test_calls::SqliteTestCalls;
