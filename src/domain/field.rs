//! One way to say what is wrong with an input: where, what was found, what was expected.

use std::fmt;

/// A complaint about one field of a document that somebody gave us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, dotted, as in `retry.maxAttempts`; empty for the whole document.
    pub path: String,
    /// What is wrong and what to do about it. Never holds a secret value.
    pub problem: String,
}

impl FieldError {
    /// A complaint about the field at `path`.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }

    /// The same complaint, seen from the document that holds this one under `parent`.
    pub fn under(mut self, parent: &str) -> Self {
        self.path = if self.path.is_empty() {
            parent.to_owned()
        } else {
            format!("{parent}.{}", self.path)
        };
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.path, self.problem)
        }
    }
}

impl std::error::Error for FieldError {}
