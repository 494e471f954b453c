//! `sealpost tables`: the tables of the AWS form.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{Global, output};
use crate::app::{self, Created};
use crate::config::TablePrefix;

/// Make the tables of the AWS form.
#[derive(Debug, Subcommand)]
pub enum Tables {
    /// Make the tables that are missing, and wait until they can be used; for development
    #[command(
        after_help = "Example:\n  AWS_REGION=eu-west-1 sealpost tables create --prefix dev-\n\nCredentials, region and endpoint are taken from where every AWS tool takes them."
    )]
    Create {
        /// What the tables' names begin with; without it, aws.table_prefix of the configuration
        #[arg(long, value_parser = prefix)]
        prefix: Option<TablePrefix>,
    },
}

fn prefix(text: &str) -> Result<TablePrefix, String> {
    TablePrefix::try_from(text.to_owned()).map_err(|e| e.to_string())
}

pub async fn run(global: &Global, verb: &Tables) -> anyhow::Result<ExitCode> {
    let Tables::Create { prefix } = verb;
    let configured = global.load_config()?.aws.map(|aws| aws.table_prefix);
    let prefix = prefix.clone().or(configured).unwrap_or_default();
    for (name, created) in app::create_tables(&prefix).await? {
        let created = created == Created::New;
        if global.json {
            output::json(&json!({"table": name, "created": created}))?;
        } else {
            output::line(&format!("{name} {}", if created { "created" } else { "is there" }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
