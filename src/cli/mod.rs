//! The command line, one file a verb.

mod api;
mod api_key;
mod auth;
mod captured;
mod completions;
mod cost;
mod customer;
mod delivery;
mod demo;
mod dlq;
mod doctor;
mod egress;
mod endpoint;
mod enqueue;
mod event_type;
mod import;
mod input;
mod key;
#[cfg(feature = "aws")]
mod lambda;
mod man;
mod output;
mod preview;
mod progress;
mod replay;
mod schema;
mod secret;
mod serve;
#[cfg(feature = "aws")]
mod tables;
mod tenant_key;
mod test_call;
mod verify;
#[cfg(feature = "aws")]
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::adapters::system::SystemClock;
use crate::app::{App, Role};
use crate::config::Config;
use crate::ports::Clock;

/// Delivers webhooks: your customers' credentials, any way to authenticate, retries, dead letters, replay.
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The data directory; not used where the configuration has a section [aws]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "sealpost-data",
        env = "SEALPOST_DATA"
    )]
    data: PathBuf,
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON, for machines
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the worker of a data directory, and the HTTP API where it is set, until told to stop
    Serve(serve::Serve),
    /// Run a worker on AWS until it is told to stop
    #[cfg(feature = "aws")]
    Worker(worker::Worker),
    /// Work as a function of AWS Lambda whose event source is the queue
    #[cfg(feature = "aws")]
    Lambda(lambda::Lambda),
    /// Serve the HTTP API alone until it is told to stop
    Api(api::Api),
    /// Make, list and revoke keys of the HTTP API
    #[command(subcommand)]
    ApiKey(api_key::ApiKey),
    /// Show the whole product at work on this machine, with a receiver of its own
    Demo(demo::Demo),
    /// List and show customers, and erase one
    #[command(subcommand)]
    Customer(customer::Customer),
    /// Register, show and remove endpoints
    #[command(subcommand)]
    Endpoint(endpoint::Endpoint),
    /// Register, list and remove the types of events that are sent
    #[command(subcommand)]
    EventType(event_type::EventType),
    /// Store, list and remove secrets
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Make, rotate, list and shred the customers' own key pairs
    #[command(subcommand)]
    TenantKey(tenant_key::TenantKey),
    /// List, rotate and retire the keys of the key file
    #[command(subcommand)]
    Key(key::Key),
    /// Take over what another service has
    #[command(subcommand)]
    Import(import::Import),
    /// Enqueue jobs
    Enqueue(enqueue::Enqueue),
    /// List and show recorded deliveries, and send one again
    #[command(subcommand)]
    Delivery(delivery::Delivery),
    /// List, show, replay and purge dead letters
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    /// Plan, begin, watch and steer replays of dead letters
    #[command(subcommand)]
    Replay(replay::Replay),
    /// Show the exact request that a job would send
    Preview(preview::Preview),
    /// List and explain the ways to authenticate
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Check a captured request as its receiver would
    Verify(verify::Verify),
    /// Ask the egress guard
    #[command(subcommand)]
    Egress(egress::Egress),
    /// Look for what is wrong with settings, stores, keys, queues and endpoints, and say how to mend it
    Doctor(doctor::Doctor),
    /// Compare what it costs a month, each way
    Cost(cost::Cost),
    /// Print the JSON Schema of a job
    Schema(schema::Schema),
    /// Print what a shell needs to complete these commands
    Completions(completions::Completions),
    /// Write the manual pages
    Man(man::Man),
    /// Make the tables of the AWS form
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Tables(tables::Tables),
}

impl Global {
    fn load_config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.config.as_deref(), Self::variables())?)
    }

    /// The variables that may be settings.
    fn variables() -> impl Iterator<Item = (String, String)> {
        std::env::vars().filter(|(name, _)| name != "SEALPOST_DATA")
    }

    async fn open(&self) -> anyhow::Result<App> {
        self.open_at(Arc::new(SystemClock)).await
    }

    async fn open_at(&self, clock: Arc<dyn Clock>) -> anyhow::Result<App> {
        Ok(App::open_with_clock(&self.data, self.load_config()?, Role::Command, clock).await?)
    }
}

/// A duration as people write it: `30s`, `24h`.
fn duration(text: &str) -> Result<Duration, String> {
    #[derive(serde::Deserialize)]
    struct Wrapped(#[serde(with = "humantime_serde")] Duration);
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value::<Wrapped>(value).map(|w| w.0).map_err(|e| e.to_string())
}

/// Runs a command.
///
/// # Errors
/// With everything that is told to the user before the program ends with status 1.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = cli.global;
    // The larger ones are boxed: one within the other they are deeper than the compiler looks.
    match cli.verb {
        Verb::Serve(verb) => Box::pin(serve::run(&global, &verb)).await,
        #[cfg(feature = "aws")]
        Verb::Worker(verb) => Box::pin(worker::run(&global, &verb)).await,
        #[cfg(feature = "aws")]
        Verb::Lambda(verb) => Box::pin(lambda::run(&global, &verb)).await,
        Verb::Api(verb) => Box::pin(api::run(&global, &verb)).await,
        Verb::ApiKey(verb) => api_key::run(&global, verb).await,
        Verb::Demo(verb) => Box::pin(demo::run(&global, &verb)).await,
        Verb::Customer(verb) => Box::pin(customer::run(&global, verb)).await,
        Verb::Endpoint(verb) => Box::pin(endpoint::run(&global, &verb)).await,
        Verb::EventType(verb) => event_type::run(&global, verb).await,
        Verb::Secret(verb) => secret::run(&global, verb).await,
        Verb::TenantKey(verb) => tenant_key::run(&global, verb).await,
        Verb::Key(verb) => key::run(&global, verb).await,
        Verb::Import(import::Import::Eventbridge(verb)) => import::run(&global, &verb).await,
        Verb::Enqueue(verb) => enqueue::run(&global, &verb).await,
        Verb::Delivery(verb) => Box::pin(delivery::run(&global, verb)).await,
        Verb::Dlq(verb) => Box::pin(dlq::run(&global, &verb)).await,
        Verb::Replay(verb) => Box::pin(replay::run(&global, &verb)).await,
        Verb::Preview(verb) => preview::run(&global, &verb).await,
        Verb::Auth(verb) => auth::run(&global, &verb),
        Verb::Verify(verb) => verify::run(&global, &verb).await,
        Verb::Egress(verb) => egress::run(&global, &verb).await,
        Verb::Doctor(verb) => Box::pin(doctor::run(&global, &verb)).await,
        Verb::Cost(verb) => cost::run(&global, &verb),
        Verb::Completions(verb) => completions::run(&verb),
        Verb::Man(verb) => man::run(&global, &verb),
        Verb::Schema(verb) => schema::run(&global, &verb),
        #[cfg(feature = "aws")]
        Verb::Tables(verb) => tables::run(&global, &verb).await,
    }
}
