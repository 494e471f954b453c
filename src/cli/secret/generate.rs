//! `sealpost secret generate`: makes a key, shows it once, and stores it where that is asked for.

use clap::Args;
use serde_json::{Value, json};

use super::change;
use crate::app::App;
use crate::cli::{Global, duration, output};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::keygen::{self, Generated, Kind, Wanted};
use crate::vault::NewSecret;

/// Which key is made.
#[derive(Debug, Args)]
pub struct Form {
    /// The kind of key; by default the scheme's usual one
    #[arg(long, value_name = "KIND")]
    key: Option<Kind>,
    /// For hmac: the format that the key is for
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// How many random bytes a symmetric key has: 24 to 64
    #[arg(long, value_name = "N")]
    bytes: Option<usize>,
}

impl Form {
    /// Makes a key for a scheme.
    pub fn make(&self, scheme: &str) -> anyhow::Result<Generated> {
        let (kind, preset, bytes) = (self.key, self.preset.as_deref(), self.bytes);
        keygen::generate(Wanted { scheme, kind, preset, bytes }).map_err(anyhow::Error::msg)
    }
}

/// Make a key for a scheme, and show it once
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost secret generate standard_webhooks\n\nWith --customer, --secret-id and --origin the key is stored in the same step. Of a key pair only the public half is shown then; a symmetric key is shown, because the receiver needs it."
)]
pub struct Generate {
    /// The scheme, as in standard_webhooks
    scheme: String,
    #[command(flatten)]
    form: Form,
    /// Store the key as a secret of this customer
    #[arg(long, requires = "secret_id", value_name = "CUSTOMER")]
    customer: Option<CustomerId>,
    /// Under this name
    #[arg(long, requires_all = ["customer", "origins"], value_name = "SECRET")]
    secret_id: Option<SecretId>,
    /// Where the key, or what is signed with it, may be sent; can be given several times
    #[arg(long = "origin", requires = "secret_id", value_name = "ORIGIN")]
    origins: Vec<Origin>,
    /// Keep using the version before beside the new one for so long, as in 24h
    #[arg(long, requires = "secret_id", value_name = "TIME", value_parser = duration)]
    overlap: Option<std::time::Duration>,
    /// Store it only if this version is the current one; 0: only if there is no such secret
    #[arg(long, requires = "secret_id", value_name = "N")]
    if_version: Option<u64>,
}

/// Whether the store could be opened is asked only where it is needed.
pub async fn run(global: &Global, verb: Generate) -> anyhow::Result<()> {
    let made = verb.form.make(&verb.scheme)?;
    let (Some(customer), Some(secret)) = (verb.customer, verb.secret_id) else {
        return show(global, &made, None);
    };
    let app = global.open().await?;
    let origins = verb.origins.into_iter().collect();
    let value = made.value.clone();
    let new = NewSecret { customer, secret, value, origins, overlap: verb.overlap };
    store(global, &app, new, &made, verb.if_version).await
}

/// Stores a key, and shows the half of it that the receiver needs.
pub async fn store(
    global: &Global,
    app: &App,
    new: NewSecret,
    made: &Generated,
    expected: Option<u64>,
) -> anyhow::Result<()> {
    let version = change::put(app, new, expected).await?;
    show(global, made, Some(version))
}

/// Shows a key once: all of it, or what the receiver needs of a stored one.
fn show(global: &Global, made: &Generated, stored: Option<u64>) -> anyhow::Result<()> {
    let is_shown = stored.is_none() || made.public.is_none();
    let value = is_shown.then(|| made.value.expose_str()).flatten();
    if global.json {
        let public = made.public.as_ref();
        let mut shown = json!({
            "version": stored, "value": value, "publicKey": public.map(|p| p.pem()),
            "publicJwk": public.map(|p| p.jwk()), "jwkThumbprint": public.map(|p| p.thumbprint()),
            "webhookPublicKey": made.webhook_public,
        });
        if let Some(members) = shown.as_object_mut() {
            members.retain(|_, value| *value != Value::Null);
        }
        return output::json(&shown);
    }
    if let Some(version) = stored {
        output::note(&format!("stored as version {version}"));
    }
    if let Some(value) = value {
        output::line(value.trim_end())?;
        output::note("it is not shown again: keep it where secrets are kept");
    }
    if let Some(public) = &made.webhook_public {
        output::line(public)?;
    }
    if let Some(public) = &made.public {
        output::line(public.pem().trim_end())?;
        output::line(&public.jwk().to_string())?;
    }
    Ok(())
}
