//! `sealpost tenant-key`: the customers' own key pairs.

use std::process::ExitCode;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Global, output, secret};
use crate::domain::ids::CustomerId;
use crate::vault::TenantKey as Key;

/// Make, rotate, list and shred tenant keys.
#[derive(Debug, Subcommand)]
pub enum TenantKey {
    /// Make a customer's tenant key: the first, or a new one after a shredding
    #[command(
        after_help = "Example:\n  sealpost tenant-key create globex\n\nWith secrets.sealing = \"tenant_key\", `sealpost secret put` makes the first by itself. Writers of others need it before they write."
    )]
    Create {
        /// Whose
        customer: CustomerId,
    },
    /// Make the next generation: new values are sealed to it, and what was sealed before opens as it did
    #[command(after_help = "Example:\n  sealpost tenant-key rotate acme")]
    Rotate {
        /// Whose
        customer: CustomerId,
    },
    /// List tenant keys with their public halves; private ones are never shown
    #[command(after_help = "Example:\n  sealpost tenant-key list --customer acme")]
    List {
        /// Only this customer's
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    /// Remove a customer's private halves, all generations, for good: every secret sealed to them is lost
    #[command(
        after_help = "Example:\n  sealpost tenant-key shred acme --yes\n\nWorkers use what they have opened until `cache.hard` is over. What is in backups can be opened until they have expired. Secrets that are not sealed to the tenant key stay as they are."
    )]
    Shred {
        /// Whose
        customer: CustomerId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(global: &Global, verb: TenantKey) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        TenantKey::Create { customer } => {
            show(global, &app.vault.create_tenant_key(&customer).await?)?;
        }
        TenantKey::Rotate { customer } => {
            show(global, &app.vault.rotate_tenant_key(&customer).await?)?;
        }
        TenantKey::List { customer } => {
            list(global, &app.vault.tenant_keys(customer.as_ref()).await?)?;
        }
        TenantKey::Shred { customer, yes } => {
            if !yes {
                secret::confirm(&format!(
                    "remove the tenant key of {customer}, and with it every secret sealed to it, for good?"
                ))?;
            }
            let shredded = app.vault.shred_tenant_key(&customer).await?;
            if global.json {
                output::json(&described(&shredded))?;
            } else {
                output::line(&format!("the tenant key of {customer} is shredded"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn described(key: &Key) -> Value {
    let state = if key.public.is_some() { "usable" } else { "shredded" };
    json!({"customerId": key.customer, "generation": key.generation, "state": state,
           "at": key.at, "publicKey": key.public.map(|public| BASE64_STANDARD.encode(public))})
}

fn show(global: &Global, key: &Key) -> anyhow::Result<()> {
    if global.json {
        return output::json(&described(key));
    }
    output::line(&format!("{} is at generation {}", key.customer, key.generation))
}

fn list(global: &Global, keys: &[Key]) -> anyhow::Result<()> {
    if global.json {
        return keys.iter().try_for_each(|key| output::json(&described(key)));
    }
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let rows = keys.iter().map(described).map(|key| {
        let members = ["customerId", "generation", "state", "at", "publicKey"];
        members.iter().map(|name| key.get(name).map(cell).unwrap_or_default()).collect()
    });
    output::table(&["customer", "generation", "state", "since", "public half"], rows)
}
