//! The configuration: one TOML file and `SEALPOST_<SECTION>_<KEY>` variables, which win.
//!
//! Unknown keys are refused, and an error names the key, where it was set and what was expected.

mod cache;
mod egress;
mod log;
mod worker;

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use cache::CacheConfig;
pub use egress::EgressConfig;
pub use log::LogConfig;
pub use worker::WorkerConfig;

const PREFIX: &str = "SEALPOST_";

/// All settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What may be called.
    pub egress: EgressConfig,
    /// How the worker works.
    pub worker: WorkerConfig,
    /// How long endpoints and secrets are cached.
    pub cache: CacheConfig,
    /// Log lines.
    pub log: LogConfig,
}

/// A setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {key}: {problem}")]
pub struct ConfigError {
    /// The file or the variable.
    pub source_name: String,
    /// The key, as `section.key`.
    pub key: String,
    /// What is wrong and what was expected.
    pub problem: String,
}

impl Config {
    /// Reads the file, if there is one, and the variables.
    ///
    /// # Errors
    /// At the first setting that is wrong.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = file.map_or_else(|| Ok(Table::new()), read_file)?;
        // The file alone first, so that what is wrong with it is not blamed on a variable.
        let mut config = parse(&table, file.unwrap_or(Path::new("defaults")))?;
        let mut ours: Vec<(String, String)> =
            variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort();
        for (name, text) in ours {
            set(&mut table, &name, &text)?;
            config = parse(&table, Path::new(&name))?;
        }
        Ok(config)
    }
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let refuse = |problem: String| ConfigError {
        source_name: path.display().to_string(),
        key: "(the file)".to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
    text.parse().map_err(|e: toml::de::Error| refuse(e.to_string()))
}

fn parse(table: &Table, source: &Path) -> Result<Config, ConfigError> {
    serde_path_to_error::deserialize(table.clone()).map_err(|e| ConfigError {
        source_name: source.display().to_string(),
        key: e.path().to_string(),
        problem: e.into_inner().to_string().trim().to_owned(),
    })
}

/// Sets `SEALPOST_EGRESS_ALLOW_HTTP` as `egress.allow_http`: no section has a `_` in its name.
fn set(table: &mut Table, name: &str, text: &str) -> Result<(), ConfigError> {
    let lower = name.trim_start_matches(PREFIX).to_ascii_lowercase();
    let Some((section, key)) = lower.split_once('_') else {
        let problem =
            "expected SEALPOST_<SECTION>_<KEY>, for example SEALPOST_LOG_FORMAT".to_owned();
        return Err(ConfigError { source_name: name.to_owned(), key: lower, problem });
    };
    let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = entry.as_table_mut() {
        section.insert(key.to_owned(), value_of(text));
    }
    Ok(())
}

/// A variable's text as TOML where it is a number, a truth value or a list; as a string otherwise.
fn value_of(text: &str) -> Value {
    let parsed =
        format!("value = {text}").parse::<Table>().ok().and_then(|mut t| t.remove("value"));
    match parsed {
        Some(value @ (Value::Integer(_) | Value::Boolean(_) | Value::Array(_))) => value,
        Some(_) | None => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealpost.toml");
        std::fs::write(&path, file).unwrap();
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Config::load(Some(&path), variables)
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let set = [
            ("SEALPOST_WORKER_CONCURRENCY", "7"),
            ("SEALPOST_EGRESS_ALLOW", "[\"10.0.0.0/8\"]"),
            ("HOME", "x"),
        ];
        let config = load("[worker]\nconcurrency = 5\ndrain = '3s'\n", &set).unwrap();
        assert_eq!(config.worker.concurrency, 7);
        assert_eq!(config.worker.drain.as_secs(), 3);
        assert_eq!(config.egress.allow.len(), 1);
    }

    #[test]
    fn an_error_names_the_key_the_source_and_the_expectation() {
        let error = load("[worker]\nconcurency = 5\n", &[]).unwrap_err();
        assert!(error.source_name.ends_with("sealpost.toml"), "{error}");
        assert!(error.key == "worker.concurency" && error.problem.contains("expected"), "{error}");
        let error = load("", &[("SEALPOST_WORKER_CONCURRENCY", "many")]).unwrap_err();
        assert_eq!(
            (error.source_name.as_str(), error.key.as_str()),
            ("SEALPOST_WORKER_CONCURRENCY", "worker.concurrency")
        );
        assert!(load("", &[("SEALPOST_NONSENSE_X", "1")]).is_err());
        assert!(load("worker = 3", &[]).is_err());
    }
}
