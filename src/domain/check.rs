//! What an examination says: one check a thing that was looked at, with what was found, what was
//! expected, and how to mend it.

use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or not safely.
    Warning,
    /// It does not work.
    Failed,
    /// It was not looked at, and why is said.
    Skipped,
}

impl Status {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One check. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `area.thing`, as in `queue.redrive`. Part of the contract.
    pub name: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was looked at: a setting, a path, a resource.
    pub what: String,
    /// What was found; of what was skipped, why.
    pub found: String,
    /// What was expected, where something else was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Something that is being looked at.
#[derive(Debug, Clone)]
pub struct Subject {
    name: &'static str,
    what: String,
}

/// Looks at `what` for the check `name`.
pub fn look(name: &'static str, what: impl Into<String>) -> Subject {
    Subject { name, what: what.into() }
}

impl Subject {
    /// It is as it should be.
    pub fn ok(self, found: impl Into<String>) -> Check {
        self.check(Status::Ok, found.into(), None)
    }

    /// It was not looked at.
    pub fn skipped(self, why: impl Into<String>) -> Check {
        self.check(Status::Skipped, why.into(), None)
    }

    /// It works, with a danger.
    pub fn warning(
        self,
        found: impl Into<String>,
        expected: impl Into<String>,
        mend: impl Into<String>,
    ) -> Check {
        self.check(Status::Warning, found.into(), Some((expected.into(), mend.into())))
    }

    /// It does not work.
    pub fn failed(
        self,
        found: impl Into<String>,
        expected: impl Into<String>,
        mend: impl Into<String>,
    ) -> Check {
        self.check(Status::Failed, found.into(), Some((expected.into(), mend.into())))
    }

    fn check(self, status: Status, found: String, wrong: Option<(String, String)>) -> Check {
        let (expected, mend) = wrong.unzip();
        Check { name: self.name, status, what: self.what, found, expected, mend }
    }
}

impl Check {
    /// The part of the name before the dot: what it belongs to.
    pub fn area(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(area, _)| area)
    }
}

/// A whole examination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every check, in the order in which they were made.
    pub checks: Vec<Check>,
    /// How many failed.
    pub failed: usize,
    /// How many are warnings.
    pub warnings: usize,
}

impl Report {
    /// The report of these checks.
    pub fn of(checks: Vec<Check>) -> Self {
        let count = |status| checks.iter().filter(|check| check.status == status).count();
        let (failed, warnings) = (count(Status::Failed), count(Status::Warning));
        Self { checks, failed, warnings }
    }
}

/// Whose rights are expected. Administrators have those of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Opens secrets and calls endpoints.
    Worker,
    /// Writes secrets and endpoints, and opens none.
    Api,
}

impl Duty {
    /// Who that is.
    pub fn word(self) -> &'static str {
        match self {
            Self::Worker => "a worker",
            Self::Api => "the API",
        }
    }
}

/// From how many seconds on a clock that is wrong is warned of.
const SKEW_WARNED: u64 = 30;
/// From how many seconds on others refuse what is signed by it: AWS signatures and Standard Webhooks
/// both allow five minutes.
const SKEW_REFUSED: u64 = 300;

/// Judges a clock that is `seconds` ahead of another, or behind if negative.
pub fn clock(subject: Subject, seconds: i64) -> Check {
    let direction = if seconds < 0 { "behind" } else { "ahead" };
    let off = seconds.unsigned_abs();
    let found = if off == 0 { "no difference".to_owned() } else { format!("{off} s {direction}") };
    let mend = "set the clock right, and keep it so (chrony, systemd-timesyncd)";
    match off {
        0..SKEW_WARNED => subject.ok(found),
        SKEW_WARNED..SKEW_REFUSED => subject.warning(found, "less than 30 s", mend),
        SKEW_REFUSED.. => subject.failed(
            found,
            "less than 5 minutes: beyond, AWS and receivers refuse signatures",
            mend,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_warned_of_from_half_a_minute_and_fails_from_five() {
        let judged = |seconds| clock(look("clock.skew", "here"), seconds).status;
        for (seconds, status) in [
            (0, Status::Ok),
            (29, Status::Ok),
            (-30, Status::Warning),
            (299, Status::Warning),
            (300, Status::Failed),
            (i64::MIN, Status::Failed),
        ] {
            assert_eq!(judged(seconds), status, "{seconds}");
        }
        assert_eq!(clock(look("clock.skew", "here"), -40).found, "40 s behind");
    }

    #[test]
    fn a_report_counts_what_failed_and_what_is_a_warning() {
        let look = || look("queue.redrive", "jobs");
        let report = Report::of(vec![
            look().ok("10"),
            look().warning("none", "10", "set it"),
            look().failed("none", "10", "set it"),
            look().skipped("denied"),
        ]);
        assert_eq!((report.failed, report.warnings), (1, 1));
        assert_eq!(report.checks[1].area(), "queue");
        let json = serde_json::to_string(&report.checks[0]).unwrap();
        assert_eq!(json, r#"{"name":"queue.redrive","status":"ok","what":"jobs","found":"10"}"#);
    }
}
