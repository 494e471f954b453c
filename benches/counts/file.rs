//! The counts, as the file in the tree has them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// How much more or less may be noise, in hundredths.
const NOISE: f64 = 3.0;

/// Instructions by stage, and what they were counted of and with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Counts {
    /// The commit whose `src` was counted.
    pub commit: String,
    /// The version of valgrind.
    pub valgrind: String,
    /// The version of the compiler.
    pub rustc: String,
    /// Instructions of one run of each stage.
    pub instructions: BTreeMap<String, u64>,
}

/// A stage, with its instructions in the file and now.
#[derive(Debug)]
pub struct Difference {
    stage: String,
    was: Option<u64>,
    is: Option<u64>,
}

impl Counts {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let what = || format!("{}: make bench-counts writes it", path.display());
        let text = std::fs::read_to_string(path).with_context(what)?;
        serde_json::from_str(&text).with_context(what)
    }

    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Every stage of one or the other.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut stages: Vec<&String> = self.instructions.keys().collect();
        stages
            .extend(now.instructions.keys().filter(|name| !self.instructions.contains_key(*name)));
        let of = |counts: &Self, stage: &str| counts.instructions.get(stage).copied();
        stages
            .into_iter()
            .map(|name| Difference { stage: name.clone(), was: of(self, name), is: of(now, name) })
            .collect()
    }

    /// That others counted, which may be the whole difference.
    pub fn other_tools(&self, now: &Self) -> Option<String> {
        let (then, now) = ((&self.rustc, &self.valgrind), (&now.rustc, &now.valgrind));
        (then != now).then(|| {
            format!(
                "Counted then with {} and {}, now with {} and {}.",
                then.0, then.1, now.0, now.1
            )
        })
    }
}

impl Difference {
    /// In hundredths; `None` if the stage is in one of them alone.
    fn percent(&self) -> Option<f64> {
        let (was, is) = (self.was? as f64, self.is? as f64);
        Some((is / was.max(1.0) - 1.0) * 100.0)
    }

    /// What is wrong, if it is more than noise.
    pub fn problem(&self) -> Option<String> {
        let stage = &self.stage;
        match (self.was, self.is, self.percent()) {
            (Some(was), Some(is), Some(percent)) if percent.abs() > NOISE => {
                let word = if percent > 0.0 { "WORSE" } else { "better" };
                Some(format!("{word}: {stage}: was {was}, is {is} instructions ({percent:+.1} %)"))
            }
            (None, Some(is), _) => Some(format!("NEW: {stage}: is {is} instructions")),
            (Some(was), None, _) => Some(format!("GONE: {stage}: was {was} instructions")),
            (Some(_), Some(_), _) | (None, None, _) => None,
        }
    }

    pub fn row(&self) -> [String; 4] {
        let text = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
        let change = self.percent().map_or_else(String::new, |percent| format!("{percent:+.2} %"));
        [self.stage.clone(), text(self.was), text(self.is), change]
    }
}
