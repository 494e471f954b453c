//! Log lines, for people or as JSON, on standard error.

use serde::{Deserialize, Serialize};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which of our own log lines are written. Libraries never get below `warn`: some would write
/// headers and bodies at `trace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Verbosity {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Verbosity> for Level {
    fn from(verbosity: Verbosity) -> Self {
        match verbosity {
            Verbosity::Error => Self::ERROR,
            Verbosity::Warn => Self::WARN,
            Verbosity::Info => Self::INFO,
            Verbosity::Debug => Self::DEBUG,
            Verbosity::Trace => Self::TRACE,
        }
    }
}

/// Begins to log. Called once; a second call changes nothing.
pub fn start(format: Format, verbosity: Verbosity) {
    let filter =
        Targets::new().with_default(Level::WARN).with_target("sealpost", Level::from(verbosity));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer = match format {
        Format::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
        }
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    // Fails only where a test has begun to log before.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}
