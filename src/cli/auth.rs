//! `sealpost auth`: the ways to authenticate, each with an endpoint as an example.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Global, output};
use crate::auth::{REGISTRY, Scheme, scheme};

/// What the documentation says: one heading a scheme.
const DOCUMENTATION: &str = include_str!("../../docs/AUTH.md");

/// List and explain the ways to authenticate.
#[derive(Debug, Subcommand)]
pub enum Auth {
    /// List the schemes
    #[command(after_help = "Example:\n  sealpost auth list")]
    List,
    /// Explain a scheme and show an endpoint that uses it
    #[command(after_help = "Example:\n  sealpost auth show standard_webhooks")]
    Show {
        /// The scheme's name
        scheme: String,
    },
}

pub fn run(global: &Global, verb: &Auth) -> anyhow::Result<ExitCode> {
    match verb {
        Auth::List if global.json => {
            for scheme in REGISTRY {
                output::json(&json!({"scheme": scheme.name(), "summary": scheme.summary()}))?;
            }
        }
        Auth::List => {
            let row = |scheme: &&dyn Scheme| vec![scheme.name().into(), scheme.summary().into()];
            output::table(&["scheme", "what it is"], REGISTRY.iter().map(row))?;
        }
        Auth::Show { scheme: name } => show(global, find(name)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The scheme of this name.
///
/// # Errors
/// If there is none; says which there are.
pub fn find(name: &str) -> anyhow::Result<&'static dyn Scheme> {
    let Some(found) = scheme(name) else {
        let names: Vec<_> = REGISTRY.iter().map(|scheme| scheme.name()).collect();
        bail!("{name:?} is not a scheme: expected one of {}", names.join(", "));
    };
    Ok(found)
}

fn show(global: &Global, scheme: &dyn Scheme) -> anyhow::Result<()> {
    let step: Value = serde_json::from_str(scheme.example())?;
    let endpoint = json!({"customerId": "acme", "endpointId": "orders",
                          "url": "https://acme.example/hook", "auth": [step]});
    if global.json {
        return output::json(&json!({"scheme": scheme.name(), "summary": scheme.summary(),
                                    "endpoint": endpoint}));
    }
    let section = section(scheme.name()).context("this scheme is not documented")?;
    output::line(&format!("{}\n\n{section}\n", scheme.name()))?;
    output::line("An endpoint that uses it:\n")?;
    output::line(&serde_json::to_string_pretty(&endpoint)?)
}

/// What stands under a scheme's heading.
fn section(name: &str) -> Option<&'static str> {
    let (_, rest) = DOCUMENTATION.split_once(&format!("\n## {name}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest).trim())
}
