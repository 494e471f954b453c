//! Bodies are made of jobs as the cases say, within their limits, whatever settings and data hold.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod case;
mod cases;
mod compliance;
mod dialect;
mod docs;
mod hostile;
mod laws;
