//! Metrics: numbers that many threads raise at once ([`value`]), by labels whose values are enums
//! ([`label`]); the list of all families ([`family`]); and the text in which Prometheus reads them
//! ([`text`]).
//!
//! A label never holds an id, a URL or any other text from outside: what is counted is bounded, and
//! tells nothing of anybody.

pub mod family;
pub mod label;
pub mod text;
pub mod value;

pub use family::{FAMILIES, Family, Kind};
pub use label::Label;
pub use text::Exposition;
pub use value::{Counter, Histogram, PerLabel};
