//! `sealpost api-key`: the keys that the HTTP API takes.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Global, duration, output};
use crate::access::{check_name, issue_key};
use crate::app::App;
use crate::domain::access::{ApiKey as Key, Grant, Scope};
use crate::domain::ids::{CustomerId, EndpointId};

/// Keys listed at once.
const PAGE: usize = 500;

/// Make, list and revoke keys of the HTTP API.
#[derive(Debug, Subcommand)]
pub enum ApiKey {
    /// Make a key, and show it once
    #[command(
        after_help = "Example:\n  sealpost api-key create billing --scope producer --customer acme\n\nThe first key of scope operator is made here; others can be made over the API with it."
    )]
    Create {
        /// What people call it
        name: String,
        /// What it is for
        #[arg(long, value_enum)]
        scope: ScopeName,
        /// Only this customer; can be given several times
        #[arg(long = "customer", value_name = "CUSTOMER")]
        customers: Vec<CustomerId>,
        /// Only this endpoint of them; can be given several times
        #[arg(long = "endpoint", value_name = "ENDPOINT")]
        endpoints: Vec<EndpointId>,
        /// How long it is good, as in 90days; without it, until it is revoked
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires_in: Option<Duration>,
    },
    /// List the keys, oldest first; what their holders send is never shown
    #[command(after_help = "Example:\n  sealpost api-key list")]
    List,
    /// Revoke a key, with all customers' tokens that were made with it
    #[command(after_help = "Example:\n  sealpost api-key revoke key_0123456789abcdef0123")]
    Revoke {
        /// The key's id
        id: String,
    },
}

/// What a key is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScopeName {
    /// To look
    ReadOnly,
    /// To send jobs, and nothing else
    Producer,
    /// To do everything
    Operator,
}

impl From<ScopeName> for Scope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::ReadOnly => Self::ReadOnly,
            ScopeName::Producer => Self::Producer,
            ScopeName::Operator => Self::Operator,
        }
    }
}

pub async fn run(global: &Global, verb: ApiKey) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        ApiKey::Create { name, scope, customers, endpoints, expires_in } => {
            check_name(&name)?;
            let limit = |is_empty: bool| !is_empty;
            let grant = Grant::Operator {
                scope: scope.into(),
                customers: limit(customers.is_empty()).then(|| customers.into_iter().collect()),
                endpoints: limit(endpoints.is_empty()).then(|| endpoints.into_iter().collect()),
            };
            let expires_at = expires_in.map(|length| app.clock.now().plus(length));
            let issued = issue_key(&app, name, grant, expires_at).await?;
            let text = issued.text.expose_str().unwrap_or_default();
            if global.json {
                output::json(&json!({"id": issued.key.id, "key": text}))?;
            } else {
                output::line(text)?;
                output::note("it is not shown again: keep it where secrets are kept");
            }
        }
        ApiKey::List => list(global, &app).await?,
        ApiKey::Revoke { id } => {
            if !app.control.revoke_key(&id, app.clock.now()).await? {
                bail!("there is no key {id}");
            }
            if global.json {
                output::json(&json!({"revoked": true}))?;
            } else {
                output::line("revoked")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, app: &App) -> anyhow::Result<()> {
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = app.control.list_keys(after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|key| key.id.clone());
        keys.extend(page);
        if is_last {
            break;
        }
    }
    if global.json {
        return keys.iter().try_for_each(|key| output::json(&shown(key)));
    }
    let rows = keys.iter().map(|key| {
        let shown = shown(key);
        let cell = |member: &str| match &shown[member] {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => "-".to_owned(),
        };
        ["id", "name", "scope", "customers", "endpoints", "createdAt", "expiresAt", "revokedAt"]
            .map(cell)
            .to_vec()
    });
    let heading =
        ["id", "name", "scope", "customers", "endpoints", "created", "expires", "revoked"];
    output::table(&heading, rows)
}

/// A key without its hash.
fn shown(key: &Key) -> Value {
    let (scope, customers, endpoints) = match &key.grant {
        Grant::Operator { scope, customers, endpoints } => {
            (Some(*scope), customers.clone(), endpoints.clone())
        }
        Grant::Customer { customer_id } => {
            (None, Some(BTreeSet::from([customer_id.clone()])), None)
        }
    };
    json!({"id": key.id, "name": key.name, "scope": scope, "customers": customers,
           "endpoints": endpoints, "createdAt": key.created_at, "expiresAt": key.expires_at,
           "revokedAt": key.revoked_at})
}
