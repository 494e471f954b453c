//! `sealpost secret`: the customers' secrets. A value comes from standard input, a file or a prompt,
//! never from the command line, where other users of the machine could read it.

mod change;
mod generate;
mod rewrap;
mod show;
mod value;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, auth, duration, output};
use crate::app::App;
use crate::auth::Chain;
use crate::domain::endpoint::AuthStep;
use crate::domain::ids::{CustomerId, InvalidId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::reference::Reference;
use crate::ports::endpoints::PutResult;
use crate::registration::put_reference;
use crate::vault::{NewReference, NewSecret, Rollback, WriteError, facts};
use change::Which;
pub use change::confirm;
pub use value::read_value;

/// Store, rotate, list and remove secrets.
#[derive(Debug, Subcommand)]
pub enum Secret {
    Put(Put),
    Rotate(Rotate),
    Generate(generate::Generate),
    /// List secrets; values are never shown
    #[command(after_help = "Example:\n  sealpost secret list --customer acme")]
    List {
        /// Only this customer's
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    /// List every version that is kept of a secret; values are never shown
    #[command(after_help = "Example:\n  sealpost secret history acme signing")]
    History {
        #[command(flatten)]
        of: Name,
    },
    Rollback(Back),
    Purge(Purge),
    Rewrap(rewrap::Rewrap),
    /// Remove a secret with all its versions
    #[command(after_help = "Example:\n  sealpost secret delete acme signing")]
    Delete {
        #[command(flatten)]
        of: Name,
    },
}

/// Which secret.
#[derive(Debug, Args)]
pub struct Name {
    /// Whose
    customer: CustomerId,
    /// Which
    #[arg(value_parser = own_id)]
    secret: SecretId,
}

/// An id that a customer's secret may have.
fn own_id(text: &str) -> Result<SecretId, String> {
    let id: SecretId = text.parse().map_err(|e: InvalidId| e.to_string())?;
    if id.is_reserved() { Err(WriteError::Reserved(id).to_string()) } else { Ok(id) }
}

/// Where a value comes from.
#[derive(Debug, Args)]
pub struct Source {
    /// The file with the value; without it, standard input or a prompt
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Keep a line break at the end of the value
    #[arg(long)]
    raw: bool,
}

/// Store a value as the secret's new version
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost secret put acme signing --origin https://acme.example < signing.key\n\nOne line break at the end of the value is not part of it; --raw keeps it. A reference is secretsmanager:NAME or ssm:NAME, by name or ARN, then ?version=, ?stage= (secretsmanager), ?label= (ssm) or ?previous (secretsmanager: with AWSPREVIOUS beside it), then #/pointer for a piece of JSON; secrets.references lists what may be named."
)]
pub struct Put {
    #[command(flatten)]
    of: Name,
    /// Where the value may be sent: scheme, host and port; can be given several times
    #[arg(long = "origin", required = true, value_name = "ORIGIN")]
    origins: Vec<Origin>,
    #[command(flatten)]
    source: Source,
    /// Store a reference in place of a value, as in secretsmanager:webhooks/acme/signing
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["file", "raw", "scheme"])]
    from: Option<Reference>,
    /// Keep using the version before beside the new one for so long, as in 24h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    overlap: Option<Duration>,
    /// Refuse a value that this scheme could not use with its settings left as they are, as in mtls
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<String>,
    /// Store it only if this version is the current one; 0: only if there is no such secret
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
}

/// Replace a secret's value: the origins stay, and the version before serves beside it for a while
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost secret rotate acme signing --overlap 24h < signing.key\n\nSigning schemes sign with both versions until the overlap ends; the others use the new one."
)]
pub struct Rotate {
    #[command(flatten)]
    of: Name,
    #[command(flatten)]
    source: Source,
    /// How long the version before stays in use beside the new one; 0s: not at all
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    overlap: Duration,
    /// Make a new key for this scheme, in place of reading one
    #[arg(long, value_name = "SCHEME", conflicts_with_all = ["file", "raw"])]
    generate: Option<String>,
    #[command(flatten)]
    form: generate::Form,
    /// Replace it only if this version is the current one
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
}

/// Make an old version the current one again
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost secret rollback acme signing --to 1\n\nThe version keeps its number, its value and its origins. The one that was current is history then, or serves beside it with --overlap."
)]
pub struct Back {
    #[command(flatten)]
    of: Name,
    /// The number of the version
    #[arg(long, value_name = "N")]
    to: u64,
    /// Keep using the version that is current now for so long, as in 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    overlap: Option<Duration>,
    /// Do it only if this version is the current one
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
}

/// Remove old versions for good
#[derive(Debug, Args)]
#[command(
    disable_version_flag = true,
    after_help = "Example:\n  sealpost secret purge acme signing --keep 5 --yes\n\nWithout --version and --keep, every version that is in use no more. The current one goes with the whole secret alone: see `sealpost secret delete`. --version can name the previous one too, whose overlap ends then."
)]
pub struct Purge {
    #[command(flatten)]
    of: Name,
    /// Only this version
    #[arg(long, value_name = "N", conflicts_with = "keep")]
    version: Option<u64>,
    /// Keep the newest so many of those that are in use no more
    #[arg(long, value_name = "K")]
    keep: Option<usize>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub async fn run(global: &Global, verb: Secret) -> anyhow::Result<ExitCode> {
    match verb {
        Secret::Put(verb) => put(global, &global.open().await?, verb).await?,
        Secret::Rotate(verb) => rotate(global, &global.open().await?, verb).await?,
        Secret::Generate(verb) => generate::run(global, verb).await?,
        Secret::List { customer } => list(global, customer).await?,
        Secret::History { of: Name { customer, secret } } => {
            history(global, customer, secret).await?;
        }
        Secret::Rollback(Back { of: Name { customer, secret }, to, overlap, if_version }) => {
            let app = global.open().await?;
            let back = Rollback { customer: customer.clone(), secret: secret.clone(), to, overlap };
            let version = change::roll_back(&app, back, if_version).await?;
            change::tell(global, &customer, &secret, version)?;
        }
        Secret::Purge(Purge { of: Name { customer, secret }, version, keep, yes }) => {
            let which = version.map_or(Which::AllBut(keep.unwrap_or(0)), Which::Version);
            let app = global.open().await?;
            change::purge(global, &app, (customer, secret), which, yes).await?;
        }
        Secret::Rewrap(verb) => return rewrap::run(global, verb).await,
        Secret::Delete { of: Name { customer, secret } } => {
            if !global.open().await?.secrets.delete(&customer, &secret, None).await? {
                bail!("customer {customer} has no secret {secret}");
            }
            if global.json {
                output::json(&json!({"deleted": true}))?;
            } else {
                output::line("deleted")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn put(global: &Global, app: &App, verb: Put) -> anyhow::Result<()> {
    let Put { of, origins, source, from, overlap, scheme, if_version } = verb;
    let Name { customer, secret } = of;
    if let Some(reference) = from {
        let (customer_id, id) = (customer.clone(), secret.clone());
        let origins = origins.into_iter().collect();
        let new = NewReference { customer, secret, reference, origins, overlap };
        let put = put_reference(app, new, if_version).await?;
        let version = change::written(&customer_id, &id, put)?;
        return change::tell(global, &customer_id, &id, version);
    }
    let value = read_value(source.file.as_deref(), source.raw)?;
    let origins = origins.into_iter().collect();
    let new =
        NewSecret { customer: customer.clone(), secret: secret.clone(), value, origins, overlap };
    if let Some(scheme) = scheme {
        check_form(&scheme, &new)?;
    }
    store(global, app, new, if_version).await
}

async fn store(
    global: &Global,
    app: &App,
    new: NewSecret,
    expected: Option<u64>,
) -> anyhow::Result<()> {
    let (customer, secret) = (new.customer.clone(), new.secret.clone());
    let name = format!("{customer}/{secret}");
    show::warn_of_end(&name, facts(&new.value).as_ref(), app.clock.now());
    let version = change::put(app, new, expected).await?;
    change::tell(global, &customer, &secret, version)
}

async fn rotate(global: &Global, app: &App, verb: Rotate) -> anyhow::Result<()> {
    let Rotate { of: Name { customer, secret }, source, overlap, generate, form, if_version } =
        verb;
    let known = app.secrets.get(&customer, &secret).await?;
    let known = known.with_context(|| format!("customer {customer} has no secret {secret}"))?;
    if known.current.is_unbound() {
        bail!("{customer}/{secret} names no origins: bind it with `sealpost secret put --origin`");
    }
    // The origins are those of the version that was read: they must not be another's by then.
    let version = known.current.version;
    if if_version.is_some_and(|expected| expected != version) {
        change::written(&customer, &secret, PutResult::Conflict(version))?;
    }
    let expected = Some(version);
    let (origins, overlap) = (known.current.origins, Some(overlap).filter(|o| !o.is_zero()));
    match generate {
        None => {
            let value = read_value(source.file.as_deref(), source.raw)?;
            store(global, app, NewSecret { customer, secret, value, origins, overlap }, expected)
                .await
        }
        Some(scheme) => {
            let made = form.make(&scheme)?;
            let value = made.value.clone();
            let new = NewSecret { customer, secret, value, origins, overlap };
            generate::store(global, app, new, &made, expected).await
        }
    }
}

async fn list(global: &Global, customer: Option<CustomerId>) -> anyhow::Result<()> {
    let app = global.open().await?;
    let mut secrets = app.secrets.list(customer.as_ref()).await?;
    secrets.retain(|(_, id, _)| !id.is_reserved());
    show::list(global, &secrets)?;
    for (customer, id, secret) in &secrets {
        let name = format!("{customer}/{id}");
        show::warn_of_end(&name, secret.current.facts.as_ref(), app.clock.now());
    }
    Ok(())
}

async fn history(global: &Global, customer: CustomerId, secret: SecretId) -> anyhow::Result<()> {
    let app = global.open().await?;
    let record = app.secrets.record(&customer, &secret).await?;
    let past = app.secrets.history(&customer, &secret).await?;
    let versions = record.versions(past, app.clock.now());
    if versions.is_empty() {
        bail!("customer {customer} has no secret {secret}");
    }
    show::history(global, &versions)
}

/// Whether the value could be the secret of a step with the scheme's usual settings.
fn check_form(scheme: &str, new: &NewSecret) -> anyhow::Result<()> {
    let mut step: AuthStep = serde_json::from_str(auth::find(scheme)?.example())?;
    if step.settings.contains_key("secret") {
        step.settings.insert("secret".to_owned(), json!(new.secret));
    }
    let chain = Chain::compile(&[step], std::iter::empty())?;
    chain.check_secret(&new.secret, &new.value).map_err(|e| anyhow::anyhow!(e.problem))
}
