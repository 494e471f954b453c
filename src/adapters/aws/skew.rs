//! Tells of a clock that is wrong: AWS says with every answer what time it is. Receivers refuse signatures
//! that are some minutes off, and so does AWS, without saying why in so many words.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tracing::warn;

use crate::domain::timestamp::Timestamp;
use crate::ports::Clock;

/// What is told of, in seconds: receivers commonly allow five minutes.
const TOLD: i64 = 60;
/// How long nothing more is told, in seconds.
const QUIET: i64 = 600;

/// Compares the clock with the date of every answer.
#[derive(Clone)]
pub struct SkewWatch {
    clock: Arc<dyn Clock>,
    told_at: Arc<AtomicI64>,
    /// By how many seconds the clock was ahead at the last answer; [`UNKNOWN`] before one.
    last: Arc<AtomicI64>,
}

/// No answer has said what time it is yet.
const UNKNOWN: i64 = i64::MIN;

impl std::fmt::Debug for SkewWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SkewWatch")
    }
}

impl SkewWatch {
    /// Watches `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (told_at, last) = (AtomicI64::new(i64::MIN), AtomicI64::new(UNKNOWN));
        Self { clock, told_at: Arc::new(told_at), last: Arc::new(last) }
    }

    /// By how many seconds the clock was ahead of the last answer; `None` before one.
    pub fn last(&self) -> Option<i64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNKNOWN)
    }

    /// By how many seconds the clock is ahead of what an answer says, if that is to be told.
    fn skew(&self, date: &str, now: Timestamp) -> Option<i64> {
        let theirs = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
        let seconds = now.as_secs().saturating_sub(i64::try_from(theirs.as_secs()).ok()?);
        self.last.store(seconds, Ordering::Relaxed);
        if seconds.saturating_abs() < TOLD {
            return None;
        }
        let told_at = self.told_at.load(Ordering::Relaxed);
        if now.as_secs().saturating_sub(told_at).saturating_abs() < QUIET {
            return None;
        }
        self.told_at.store(now.as_secs(), Ordering::Relaxed);
        Some(seconds)
    }
}

impl Intercept for SkewWatch {
    fn name(&self) -> &'static str {
        "SkewWatch"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(seconds) = date.and_then(|date| self.skew(date, self.clock.now())) {
            warn!(
                event = "clock_skew",
                seconds, "the machine's clock differs from AWS's: set it right"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(0)
        }
    }

    #[test]
    fn a_clock_that_is_ten_minutes_off_is_told_of_once_in_a_while() {
        let watch = SkewWatch::new(Arc::new(Still));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let theirs = 784_111_777;
        let at = |seconds: i64| Timestamp::from_millis((theirs + seconds) * 1000);
        assert_eq!(watch.last(), None);
        assert_eq!(watch.skew(date, at(30)), None);
        assert_eq!(watch.last(), Some(30), "it is known, and not told");
        assert_eq!(watch.skew(date, at(-600)), Some(-600));
        assert_eq!(watch.skew(date, at(-590)), None, "told already");
        assert_eq!(watch.skew(date, at(600)), Some(600));
        assert_eq!(watch.skew("yesterday", at(9000)), None);
    }
}
