//! The outside, behind the ports.

pub mod embedded;
pub mod system;
