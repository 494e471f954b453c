//! AWS and the network between fail at every kind of call: nothing is lost, nobody's attempt is spent,
//! and all goes on without a restart.

mod bench;
mod corrupted;
mod every_call;
mod fences;
mod kills;
mod receiving;
mod slow;
mod start;
mod versions;

use bench::{Bench, MINUTE};
