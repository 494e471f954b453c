//! The configuration: one TOML file and `SEALPOST_<SECTION>_<KEY>` variables, which win.
//!
//! Unknown keys are refused, and an error names the key, where it was set and what was expected.

mod api;
mod auth;
mod aws;
mod cache;
mod console;
mod deliveries;
mod egress;
mod envelopes;
mod events;
mod log;
mod metrics;
mod secrets;
mod traces;
mod worker;

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use api::ApiConfig;
pub use auth::AuthConfig;
pub use aws::{AwsConfig, KeyId, QueueUrl, TablePrefix};
pub use cache::CacheConfig;
pub use console::ConsoleConfig;
pub use deliveries::DeliveriesConfig;
pub use egress::EgressConfig;
pub use envelopes::EnvelopesConfig;
pub use events::EventsConfig;
pub use log::LogConfig;
pub use metrics::MetricsConfig;
pub use secrets::SecretsConfig;
pub use traces::TracesConfig;
pub use worker::WorkerConfig;

const PREFIX: &str = "SEALPOST_";

/// All settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The AWS form, in place of the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsConfig>,
    /// What may be called.
    pub egress: EgressConfig,
    /// What endpoints may use of the worker's rights.
    pub auth: AuthConfig,
    /// Where messages of others name customer and endpoint.
    pub envelopes: EnvelopesConfig,
    /// What the operator is told of, beside the log.
    pub events: EventsConfig,
    /// How the worker works.
    pub worker: WorkerConfig,
    /// How long endpoints and secrets are cached.
    pub cache: CacheConfig,
    /// What is kept of deliveries, to be looked at.
    pub deliveries: DeliveriesConfig,
    /// How secrets are sealed, and which are accepted.
    pub secrets: SecretsConfig,
    /// The HTTP API.
    pub api: ApiConfig,
    /// Metrics and health.
    pub metrics: MetricsConfig,
    /// Spans of deliveries, for a collector.
    pub traces: TracesConfig,
    /// The pages for people, beside it.
    pub console: ConsoleConfig,
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
    /// Whether these settings choose the AWS form.
    pub fn is_aws(&self) -> bool {
        self.aws.is_some()
    }

    /// Reads the file, if there is one, and the variables.
    ///
    /// # Errors
    /// At the first setting that is wrong.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = file.map_or_else(|| Ok(Table::new()), read_file)?;
        let mut ours: Vec<(String, String)> =
            variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort();
        for (name, text) in &ours {
            set(&mut table, name, text)?;
        }
        let wrong = |key: String, problem: String| {
            let source_name = blamed(&key, &ours, file);
            ConfigError { source_name, key, problem }
        };
        let config: Self = serde_path_to_error::deserialize(table).map_err(|e| {
            let key = e.path().to_string();
            wrong(key, e.into_inner().to_string().trim().to_owned())
        })?;
        let checked = config.deliveries.check().and_then(|()| config.check_unbound());
        checked.map_err(|(key, problem)| wrong(key.to_owned(), problem))?;
        Ok(config)
    }
}

impl Config {
    /// On AWS a value without a context opens with the keys that are named for it, and with no other.
    fn check_unbound(&self) -> Result<(), (&'static str, String)> {
        let names_none = |aws: &AwsConfig| aws.legacy_kms_key_ids.is_empty();
        if self.secrets.accept_unbound_secrets && self.aws.as_ref().is_some_and(names_none) {
            let problem = "on AWS, name the keys that sealed such values: `legacy_kms_key_ids` \
                           under [aws]";
            return Err(("secrets.accept_unbound_secrets", problem.to_owned()));
        }
        Ok(())
    }
}

/// Where `key` was set: a variable wins over the file, so it is the one that is read.
fn blamed(key: &str, variables: &[(String, String)], file: Option<&Path>) -> String {
    let name = format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase());
    let file = file.map(|path| path.display().to_string());
    let begins = |variable: &&(String, String)| variable.0.starts_with(&name);
    match variables.iter().find(|variable| variable.0 == name).or_else(|| {
        // A whole section is wrong: if there is no file, a variable began it.
        variables.iter().find(begins).filter(|_| file.is_none())
    }) {
        Some((name, _)) => name.clone(),
        None => file.unwrap_or_else(|| "defaults".to_owned()),
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
        Some(
            value @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Array(_)),
        ) => value,
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
        let error = load("", &[("SEALPOST_NONSENSE_X", "1")]).unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
        assert!(load("worker = 3", &[]).is_err());
    }

    #[test]
    fn no_aws_role_may_be_used_unless_a_setting_allows_it() {
        let config = load("", &[]).unwrap();
        assert_eq!(config.auth.role_policy(), Default::default());
        let set = [
            ("SEALPOST_AUTH_AWS_ASSUMABLE_ROLES", "['arn:aws:iam::*:role/hooks-*']"),
            ("SEALPOST_AUTH_AWS_WORKER_ROLE_ORIGINS", "['https://a.example']"),
        ];
        let policy = load("", &set).unwrap().auth.role_policy();
        let origin = "https://a.example".parse().unwrap();
        for role in ["worker", "arn:aws:iam::123456789012:role/hooks-1"] {
            assert!(policy.check(&role.parse().unwrap(), &origin).is_ok(), "{role}");
        }
        let error = load("[auth]\naws_assumable_roles = ['*']\n", &[]).unwrap_err();
        assert_eq!(error.key, "auth.aws_assumable_roles[0]");
        assert!(error.problem.contains("a role's ARN"), "{error}");
    }

    #[test]
    fn a_collector_is_named_by_its_address_and_a_share_is_one() {
        let config = load("[traces]\nendpoint = 'http://127.0.0.1:4318'\nsample = 0.5\n", &[]);
        assert_eq!(config.unwrap().traces.sample, 0.5);
        for (line, key, expected) in [
            ("sample = 2.0", "traces.sample", "from 0.0 to 1.0"),
            ("endpoint = 'ftp://a'", "traces.endpoint", "http://127.0.0.1:4318"),
            ("endpoint = 'http://u:p@a'", "traces.endpoint", "http://127.0.0.1:4318"),
            ("traceparent = 'often'", "traces.traceparent", "given"),
        ] {
            let error = load(&format!("[traces]\n{line}\n"), &[]).unwrap_err();
            assert_eq!(error.key, key, "{error}");
            assert!(error.problem.contains(expected), "{error}");
        }
        let set = [("SEALPOST_TRACES_SAMPLE", "0.25"), ("SEALPOST_METRICS_LISTEN", "127.0.0.1:0")];
        let config = load("", &set).unwrap();
        assert!(config.traces.sample == 0.25 && config.metrics.listen.is_some());
    }

    #[test]
    fn a_job_is_kept_only_of_what_is_recorded() {
        let error = load("[deliveries]\nkeep_bodies = 'failures'\n", &[]).unwrap_err();
        assert_eq!(error.key, "deliveries.keep_bodies");
        assert!(error.source_name.ends_with("sealpost.toml"), "{error}");
        assert!(error.problem.contains("`record` under [deliveries]"), "{error}");
        let set = [("SEALPOST_DELIVERIES_RECORD", "failures")];
        assert!(load("[deliveries]\nkeep_bodies = 'all'\n", &set).is_ok());
    }

    const QUEUES: &str = "[aws]\nkms_key_id = 'alias/sealpost'\n\
        queue_url = 'https://sqs.eu-west-1.amazonaws.com/1/jobs'\n";

    #[test]
    fn file_and_variables_make_up_the_aws_section_together() {
        let dead = "https://sqs.eu-west-1.amazonaws.com/1/dead";
        let config = load(QUEUES, &[("SEALPOST_AWS_DEAD_LETTER_QUEUE_URL", dead)]).unwrap();
        let aws = config.aws.unwrap();
        assert_eq!(aws.dead_letter_queue_url.as_str(), dead);
        assert_eq!(aws.table_prefix.as_str(), "sealpost-");
        assert!(load("", &[]).unwrap().aws.is_none());
    }

    #[test]
    fn values_without_a_context_are_accepted_on_aws_only_with_keys_that_are_named() {
        let dead = "https://sqs.eu-west-1.amazonaws.com/1/dead";
        let accept = [
            ("SEALPOST_AWS_DEAD_LETTER_QUEUE_URL", dead),
            ("SEALPOST_SECRETS_ACCEPT_UNBOUND_SECRETS", "true"),
        ];
        let error = load(QUEUES, &accept).unwrap_err();
        assert_eq!(error.key, "secrets.accept_unbound_secrets");
        assert!(error.problem.contains("`legacy_kms_key_ids` under [aws]"), "{error}");
        let named = [accept[0], accept[1], ("SEALPOST_AWS_LEGACY_KMS_KEY_IDS", "['alias/old']")];
        assert_eq!(load(QUEUES, &named).unwrap().aws.unwrap().legacy_keys(), ["alias/old"]);
        assert!(load("[secrets]\naccept_unbound_secrets = true\n", &[]).is_ok(), "embedded");
    }

    #[test]
    fn an_aws_setting_that_is_wrong_is_named_with_what_was_expected() {
        let error = load(QUEUES, &[]).unwrap_err();
        assert_eq!(error.key, "aws");
        assert!(error.problem.contains("dead_letter_queue_url"), "{error}");
        let wrong = [
            ("SEALPOST_AWS_QUEUE_URL", "jobs", "aws.queue_url", "URL of an SQS queue"),
            ("SEALPOST_AWS_TABLE_PREFIX", "a b", "aws.table_prefix", "letters"),
            ("SEALPOST_AWS_KMS_KEY_ID", "", "aws.kms_key_id", "alias/<name>"),
        ];
        for (variable, text, key, expected) in wrong {
            let dead = ("SEALPOST_AWS_DEAD_LETTER_QUEUE_URL", "https://a/1/dead");
            let error = load(QUEUES, &[dead, (variable, text)]).unwrap_err();
            assert_eq!((error.source_name.as_str(), error.key.as_str()), (variable, key));
            assert!(error.problem.contains(expected), "{error}");
        }
    }
}
