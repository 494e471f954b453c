//! `sealpost endpoint`: the configuration of endpoints.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;

use super::replay::{self, By};
use super::{Global, input, output, test_call};
use crate::app::App;
use crate::domain::authorization::Authorization;
use crate::domain::dead_letter::DeadLetterFilter;
use crate::domain::endpoint::Endpoint as Configuration;
use crate::domain::event_catalog::UnknownTypes;
use crate::domain::health::HealthRecord;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::replay::Request;
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::{PutResult, StoredEndpoint};
use crate::registration::{put_endpoint, unknown_event_types};

/// Register, show and remove endpoints.
#[derive(Debug, Subcommand)]
pub enum Endpoint {
    /// Register an endpoint, or replace one, from a JSON file or standard input
    #[command(
        after_help = "Example:\n  echo '{\"customerId\":\"acme\",\"endpointId\":\"orders\",\"url\":\"https://acme.example/hook\"}' | sealpost endpoint put -"
    )]
    Put {
        /// A JSON file, or - for standard input
        file: PathBuf,
        /// Write only if this is the version now; 0 for a new endpoint
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Show an endpoint
    #[command(after_help = "Example:\n  sealpost endpoint get acme orders")]
    Get {
        /// Whose
        customer: CustomerId,
        /// Which
        endpoint: EndpointId,
    },
    /// List endpoints
    #[command(after_help = "Example:\n  sealpost endpoint list --customer acme")]
    List {
        /// Only this customer's
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    Test(test_call::Test),
    Verify(test_call::Verify),
    /// Enable an endpoint that was disabled because of what its calls gave
    #[command(after_help = "Example:\n  sealpost endpoint enable acme orders")]
    Enable {
        /// Whose
        customer: CustomerId,
        /// Which
        endpoint: EndpointId,
    },
    /// Send again everything for an endpoint that was given up since a time, as a replay
    #[command(
        after_help = "Example:\n  sealpost endpoint recover acme orders --since 2026-11-23T10:00:00Z"
    )]
    Recover {
        /// Whose
        customer: CustomerId,
        /// Which
        endpoint: EndpointId,
        /// Given up since this time
        #[arg(long, value_name = "TIME")]
        since: Timestamp,
        /// Most sent in a second
        #[arg(long, value_name = "N")]
        rate: Option<NonZeroU32>,
        #[command(flatten)]
        by: By,
    },
    /// Remove an endpoint
    #[command(after_help = "Example:\n  sealpost endpoint delete acme orders")]
    Delete {
        /// Whose
        customer: CustomerId,
        /// Which
        endpoint: EndpointId,
    },
}

pub async fn run(global: &Global, verb: &Endpoint) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        Endpoint::Put { file, if_version } => {
            let text = input::read(file)?;
            let endpoint = Configuration::from_json(&text).context("the endpoint is refused")?;
            put(global, &app, endpoint, *if_version).await?;
        }
        Endpoint::Get { customer, endpoint } => {
            let stored = stored(&app, customer, endpoint).await?;
            let record = app.health.read(customer, endpoint, stored.version).await?;
            let mut shown = json!({"version": stored.version, "updatedAt": stored.updated_at,
                                   "health": record.health,
                                   "authorization": record.authorization_of(&stored.endpoint, app.clock.now()),
                                   "endpoint": stored.endpoint});
            if let Some(failing) = record.failing {
                shown["failing"] = json!(failing);
            }
            let text =
                if global.json { shown.to_string() } else { serde_json::to_string_pretty(&shown)? };
            output::line(&text)?;
        }
        Endpoint::Test(verb) => return test_call::test(global, &app, verb).await,
        Endpoint::Verify(verb) => return test_call::verify(global, &app, verb).await,
        Endpoint::Recover { customer, endpoint, since, rate, by } => {
            let filter = DeadLetterFilter {
                customer_id: Some(customer.clone()),
                endpoint_id: Some(endpoint.clone()),
                since: Some(*since),
                ..DeadLetterFilter::default()
            };
            let request = Request { filter, to: None, rate: *rate, kept_bodies: true };
            return replay::start(global, &app, request, by, false).await;
        }
        Endpoint::List { customer } => list(global, &app, customer.as_ref()).await?,
        Endpoint::Enable { customer, endpoint } => enable(global, &app, customer, endpoint).await?,
        Endpoint::Delete { customer, endpoint } => {
            if !app.endpoints.delete(customer, endpoint, None).await? {
                bail!("customer {customer} has no endpoint {endpoint}");
            }
            if global.json {
                output::json(&json!({"deleted": true}))?
            } else {
                output::line("deleted")?
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn stored(
    app: &App,
    customer: &CustomerId,
    endpoint: &EndpointId,
) -> anyhow::Result<StoredEndpoint> {
    let stored = app.endpoints.get(customer, endpoint).await?;
    stored.with_context(|| format!("customer {customer} has no endpoint {endpoint}"))
}

async fn enable(
    global: &Global,
    app: &App,
    customer: &CustomerId,
    endpoint: &EndpointId,
) -> anyhow::Result<()> {
    let name = format!("{customer}/{endpoint}");
    let stored = stored(app, customer, endpoint).await?;
    if !stored.endpoint.enabled {
        bail!("{name} is disabled by its configuration: put it again without `enabled: false`");
    }
    let record = app.health.read(customer, endpoint, stored.version).await?;
    let was_disabled = record.health.is_disabled();
    let well = record.well();
    if was_disabled
        && !app.health.change(customer, endpoint, stored.version, &record, &well).await?
    {
        bail!("somebody else has changed {name} at the same time: look at it, and try again");
    }
    match (global.json, was_disabled) {
        (true, _) => output::json(&json!({"enabled": was_disabled})),
        (false, true) => output::line("enabled"),
        (false, false) => output::line("it is not disabled"),
    }
}

async fn put(
    global: &Global,
    app: &App,
    endpoint: Configuration,
    expected: Option<u64>,
) -> anyhow::Result<()> {
    let name = format!("{}/{}", endpoint.customer_id, endpoint.endpoint_id);
    if app.config.events.unknown_types == UnknownTypes::Warn {
        for unknown in unknown_event_types(app, &endpoint).await? {
            output::note(&format!("warning: {unknown}"));
        }
    }
    let put = put_endpoint(app, endpoint, expected).await;
    match put.context("the endpoint is refused")? {
        PutResult::Put(version) if global.json => output::json(&json!({"version": version})),
        PutResult::Put(version) => output::line(&format!("{name} is at version {version}")),
        PutResult::Conflict(version) => {
            bail!(
                "{name} is at version {version}: read it again, then put it with --if-version {version}"
            )
        }
    }
}

/// How each endpoint stands, in the order of the endpoints, which are sorted by customer.
async fn authorizations(
    app: &App,
    endpoints: &[StoredEndpoint],
) -> anyhow::Result<Vec<Authorization>> {
    let (mut standing, mut known) = (Vec::new(), Vec::new());
    let mut of = None;
    for stored in endpoints {
        let customer = &stored.endpoint.customer_id;
        if of != Some(customer) {
            (of, known) = (Some(customer), app.health.list(customer).await?);
        }
        let record = known.iter().find(|known| known.endpoint_id == stored.endpoint.endpoint_id);
        let record = match record {
            Some(known) if known.version == stored.version => known.record.clone(),
            Some(known) => known.record.of_another_version(),
            None => HealthRecord::default(),
        };
        standing.push(record.authorization_of(&stored.endpoint, app.clock.now()));
    }
    Ok(standing)
}

async fn list(global: &Global, app: &App, customer: Option<&CustomerId>) -> anyhow::Result<()> {
    let endpoints = app.endpoints.list(customer).await?;
    let standing = authorizations(app, &endpoints).await?;
    let endpoints = endpoints.iter().zip(&standing);
    if global.json {
        return endpoints.into_iter().try_for_each(|(stored, authorization)| {
            output::json(&json!({"version": stored.version, "updatedAt": stored.updated_at,
                                 "authorization": authorization, "endpoint": stored.endpoint}))
        });
    }
    let rows = endpoints.map(|(stored, authorization)| {
        let endpoint = &stored.endpoint;
        let schemes: Vec<&str> = endpoint.auth.iter().map(|step| step.scheme.as_str()).collect();
        vec![
            endpoint.customer_id.to_string(),
            endpoint.endpoint_id.to_string(),
            stored.version.to_string(),
            format!("{} {}", endpoint.method, endpoint.url.as_str()),
            schemes.join(", "),
            authorization.name().to_owned(),
        ]
    });
    let heading = ["customer", "endpoint", "version", "call", "auth", "authorization"];
    output::table(&heading, rows)
}
