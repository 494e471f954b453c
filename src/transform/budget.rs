//! What making one body may cost. Settings and data come from others: whatever they hold, it ends
//! within milliseconds and a few mebibytes.

use std::borrow::Cow;

use super::json::Json;

/// Largest body that is made, in bytes.
pub const MAX_OUTPUT: usize = 1024 * 1024;
/// Most steps of evaluation.
pub const MAX_STEPS: usize = 250_000;
/// Most bytes of strings and lists that are made on the way.
pub const MAX_MADE: usize = 4 * 1024 * 1024;

/// What is wrong, in words that repeat nothing of the data beyond short names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub Cow<'static, str>);

impl From<&'static str> for Problem {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// Steps and bytes that are left.
#[derive(Debug)]
pub struct Budget {
    steps: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: MAX_STEPS, bytes: MAX_MADE }
    }
}

impl Budget {
    /// Spends steps.
    pub fn steps(&mut self, count: usize) -> Result<(), Problem> {
        let left = self.steps.checked_sub(count);
        self.steps = left.ok_or_else(|| {
            Problem::from(format!(
                "takes more than {MAX_STEPS} steps: make it, or the data, smaller"
            ))
        })?;
        Ok(())
    }

    /// Spends what it costs to look at, and to make, that many bytes.
    pub fn bytes(&mut self, count: usize) -> Result<(), Problem> {
        self.steps(count / 64)?;
        let left = self.bytes.checked_sub(count);
        self.bytes = left.ok_or_else(|| {
            Problem::from(format!("makes more than {MAX_MADE} bytes on the way: make it smaller"))
        })?;
        Ok(())
    }

    /// Spends what a list of that many items costs.
    pub fn items(&mut self, count: usize) -> Result<(), Problem> {
        self.bytes(count.saturating_mul(size_of::<Json>()))
    }

    /// Spends what it costs to find a name among that many.
    pub fn lookup(&mut self, name: &str, members: usize) -> Result<(), Problem> {
        self.steps(1 + members / 16 + name.len() / 64)
    }

    /// Spends what it costs to look at a text.
    pub fn look(&mut self, text: &str) -> Result<(), Problem> {
        self.steps(text.len() / 64)
    }

    /// Spends what it costs to read a number's value.
    pub fn number(&mut self, text: &str) -> Result<(), Problem> {
        self.steps(text.len() / 4)
    }

    /// Spends what it costs to put members into an object, where each name stands once.
    pub fn members(&mut self, members: &[(std::sync::Arc<str>, Json)]) -> Result<(), Problem> {
        self.items(2 * members.len())?;
        let names: usize = members.iter().map(|(name, _)| name.len()).sum();
        self.steps(names.saturating_mul(members.len().min(16)) / 64)
    }
}
