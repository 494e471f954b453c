//! `sealpost event-type`: what the operator sends, and endpoints can subscribe to.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;

use super::{Global, input, output};
use crate::domain::event_catalog::EventType as Known;
use crate::domain::ids::EventTypeName;

/// Types listed at once.
const PAGE: usize = 500;

/// Register, list and remove the types of events that are sent.
#[derive(Debug, Subcommand)]
pub enum EventType {
    /// Register an event type, or replace it
    #[command(
        after_help = "Example:\n  sealpost event-type put order.created --description 'an order was placed'\n\n`events.unknown_types` says what becomes of endpoints that subscribe to others."
    )]
    Put {
        /// Its name: the `type` of jobs
        name: EventTypeName,
        /// What it says
        #[arg(long, default_value = "")]
        description: String,
        /// A JSON file with an example of its data, or - for standard input: what tests send
        #[arg(long, value_name = "FILE")]
        example: Option<PathBuf>,
        /// It is sent no more
        #[arg(long)]
        archived: bool,
    },
    /// List the event types
    #[command(after_help = "Example:\n  sealpost event-type list")]
    List,
    /// Remove an event type
    #[command(after_help = "Example:\n  sealpost event-type delete order.created")]
    Delete {
        /// Its name
        name: EventTypeName,
    },
}

pub async fn run(global: &Global, verb: EventType) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        EventType::Put { name, description, example, archived } => {
            let example = match example {
                Some(file) => {
                    Some(serde_json::from_str(&input::read(&file)?).context("in --example")?)
                }
                None => None,
            };
            let updated_at = app.clock.now();
            let event_type = Known { name, description, example, archived, updated_at };
            event_type.check()?;
            app.event_types.put(&event_type).await?;
            match global.json {
                true => output::json(&event_type)?,
                false => output::line(&format!("{} is registered", event_type.name))?,
            }
        }
        EventType::List => {
            let mut all: Vec<Known> = Vec::new();
            loop {
                let after = all.last().map(|last| last.name.to_string());
                let page = app.event_types.list(after.as_deref(), PAGE).await?;
                let is_last = page.len() < PAGE;
                all.extend(page);
                if is_last {
                    break;
                }
            }
            if global.json {
                all.iter().try_for_each(output::json)?;
                return Ok(ExitCode::SUCCESS);
            }
            let rows = all.into_iter().map(|known| {
                let archived = if known.archived { "archived" } else { "" };
                vec![known.name.to_string(), known.description, archived.to_owned()]
            });
            output::table(&["type", "description", ""], rows)?;
        }
        EventType::Delete { name } => {
            if !app.event_types.delete(&name).await? {
                bail!("there is no event type {name}");
            }
            match global.json {
                true => output::json(&json!({"deleted": true}))?,
                false => output::line("deleted")?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
