//! `sealpost customer`: customers as a whole.

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use serde_json::json;

use super::{Global, output, replay::By, secret};
use crate::app::App;
use crate::customer::{Asked, Erasure, NotErased, Overview, erase, overview};
use crate::domain::ids::CustomerId;

/// Customers listed at once.
const PAGE: usize = 250;

/// List, show and erase customers.
#[derive(Debug, Subcommand)]
pub enum Customer {
    /// List the customers: those that have an endpoint, a secret or a tenant key
    #[command(after_help = "Example:\n  sealpost customer list")]
    List,
    /// Show what there is of a customer: endpoints and their states, names of secrets, the tenant key
    #[command(after_help = "Example:\n  sealpost customer show acme")]
    Show {
        /// Which
        customer: CustomerId,
    },
    /// Erase a customer: endpoints, secrets, tenant key, tokens and keys of its own, dead letters, records
    #[command(
        after_help = "Example:\n  sealpost customer erase globex --yes\n\nWhat was cut short is finished by running it again. It ends with what stays, and until when. Keys that are limited to several customers stay."
    )]
    Erase {
        /// Which
        customer: CustomerId,
        /// Most dead letters that may be lost with it; without it there may be none
        #[arg(long, value_name = "N")]
        purge: Option<u64>,
        /// Take dead letters out of the list even if their jobs are not found. A job that somebody else has in
        /// hand just now stays in the queue, and nothing will list it
        #[arg(long, requires = "purge")]
        forget: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        by: By,
    },
}

pub async fn run(global: &Global, verb: Customer) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        Customer::List => list(global, &app).await?,
        Customer::Show { customer } => show(global, &overview(&app, &customer).await?)?,
        Customer::Erase { customer, purge, forget, yes, by } => {
            if !yes {
                secret::confirm(&format!(
                    "remove customer {customer} with all that there is of it for good?"
                ))?;
            }
            let asked = Asked { purge, forget, who: by.who, patience: None };
            match Box::pin(erase(&app, &customer, &asked)).await {
                Ok(erasure) => return told(global, &erasure),
                Err(error @ NotErased::DeadLetters { found, .. }) => {
                    bail!("{error}; nothing was removed: to lose them, add --purge {found}")
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, app: &App) -> anyhow::Result<()> {
    let mut after = None::<String>;
    loop {
        let page = app.customers.list(after.as_deref(), PAGE).await?;
        for customer in page.customers {
            match global.json {
                true => output::json(&json!({"customerId": customer}))?,
                false => output::line(customer.as_str())?,
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn show(global: &Global, found: &Overview) -> anyhow::Result<()> {
    if found.is_empty() {
        bail!("there is no customer {}", found.customer_id);
    }
    if global.json {
        return output::json(found);
    }
    output::line(&format!("{} endpoints", found.endpoint_count))?;
    for endpoint in &found.endpoints {
        let state = if endpoint.enabled { endpoint.health.name() } else { "not enabled" };
        output::line(&format!("  {}  {state}", endpoint.endpoint_id))?;
    }
    output::line(&format!("{} secrets", found.secret_count))?;
    found.secrets.iter().try_for_each(|secret| output::line(&format!("  {secret}")))?;
    match &found.tenant_key {
        Some(key) => output::line(&format!(
            "tenant key: {}, at generation {} since {}",
            key.state, key.generation, key.at
        )),
        None => output::line("no tenant key"),
    }
}

/// Tells what was done; a status of failure if something that was meant is there still.
fn told(global: &Global, erasure: &Erasure) -> anyhow::Result<ExitCode> {
    let status = if erasure.complete { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if global.json {
        output::json(erasure)?;
        return Ok(status);
    }
    let removed = &erasure.removed;
    output::line(&format!(
        "{} {}: {} endpoints, {} secrets, {} deliveries, {} dead letters, {} keys",
        if erasure.complete { "erased" } else { "not all is removed of" },
        erasure.customer_id,
        removed.endpoints,
        removed.secrets,
        removed.deliveries,
        removed.dead_letters,
        removed.keys
    ))?;
    for left in &erasure.left {
        let until = left.until.map(|until| format!(" until {until}")).unwrap_or_default();
        output::note(&format!("left{until}: {}: {}", left.what, left.detail));
    }
    Ok(status)
}
