//! The log of this process, as the most talkative setting writes it.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

static LINES: OnceLock<Lines> = OnceLock::new();

/// Begins to keep the log, and what panics say.
pub fn keep() {
    let lines = Lines::default();
    if LINES.set(lines.clone()).is_err() {
        return;
    }
    let filter = Targets::new().with_default(Level::WARN).with_target("sealpost", Level::TRACE);
    let writer = lines.clone();
    let layer = fmt::layer().with_writer(move || writer.clone()).with_filter(filter);
    tracing_subscriber::registry().with(layer).init();
    std::panic::set_hook(Box::new(move |info| {
        let trace = std::backtrace::Backtrace::force_capture();
        let _ = write!(lines.clone(), "{info}\n{trace}\n");
        eprintln!("{info}");
    }));
}

/// What was kept so far.
pub fn kept() -> Vec<u8> {
    LINES.get().map(|lines| lines.0.lock().unwrap().clone()).unwrap_or_default()
}
