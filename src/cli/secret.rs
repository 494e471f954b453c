//! `sealpost secret`: the customers' secrets. A value comes from standard input, a file or a prompt,
//! never from the command line, where other users of the machine could read it.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Global, auth, duration, input, output};
use crate::auth::Chain;
use crate::domain::certificate;
use crate::domain::endpoint::AuthStep;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::{Facts, MAX_VALUE, SealedSecret, SecretBytes};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::registration::put_secret;
use crate::vault::NewSecret;

/// Store, list and remove secrets.
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Store a value as the secret's new version
    #[command(
        after_help = "Example:\n  sealpost secret put acme signing --origin https://acme.example < signing.key\n\nOne line break at the end of the value is not part of it; --raw keeps it."
    )]
    Put {
        /// Whose
        customer: CustomerId,
        /// Which
        secret: SecretId,
        /// Where the value may be sent: scheme, host and port; can be given several times
        #[arg(long = "origin", required = true, value_name = "ORIGIN")]
        origins: Vec<Origin>,
        /// The file with the value; without it, standard input or a prompt
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Keep using the version before beside the new one for so long, as in 24h
        #[arg(long, value_name = "TIME", value_parser = duration)]
        overlap: Option<Duration>,
        /// Keep a line break at the end of the value
        #[arg(long)]
        raw: bool,
        /// Refuse a value that this scheme could not use with its settings left as they are, as in mtls
        #[arg(long, value_name = "SCHEME")]
        scheme: Option<String>,
    },
    /// List secrets; values are never shown
    #[command(after_help = "Example:\n  sealpost secret list --customer acme")]
    List {
        /// Only this customer's
        #[arg(long)]
        customer: Option<CustomerId>,
    },
    /// Remove a secret with all its versions
    #[command(after_help = "Example:\n  sealpost secret delete acme signing")]
    Delete {
        /// Whose
        customer: CustomerId,
        /// Which
        secret: SecretId,
    },
}

pub async fn run(global: &Global, verb: Secret) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        Secret::Put { customer, secret, origins, file, overlap, raw, scheme } => {
            let value = read_value(file.as_deref(), raw)?;
            let name = format!("{customer}/{secret}");
            let origins = origins.into_iter().collect();
            let new = NewSecret { customer, secret, value, origins, overlap };
            if let Some(scheme) = scheme {
                check_form(&scheme, &new)?;
            }
            let facts = certificate::facts(new.value.expose());
            warn_of_end(&name, facts.as_ref(), app.clock.now());
            match put_secret(&app, new).await.context("the value is refused")? {
                PutResult::Put(version) if global.json => {
                    output::json(&json!({"version": version}))?
                }
                PutResult::Put(version) => {
                    output::line(&format!("{name} is at version {version}"))?
                }
                PutResult::Conflict(_) => {
                    bail!("somebody else has just put {name}: look at it, then put again")
                }
            }
        }
        Secret::List { customer } => {
            let secrets = app.secrets.list(customer.as_ref()).await?;
            list(global, &secrets)?;
            for (customer, id, secret) in &secrets {
                let name = format!("{customer}/{id}");
                warn_of_end(&name, secret.current.facts.as_ref(), app.clock.now());
            }
        }
        Secret::Delete { customer, secret } => {
            if !app.secrets.delete(&customer, &secret).await? {
                bail!("customer {customer} has no secret {secret}");
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

/// Whether the value could be the secret of a step with the scheme's usual settings.
fn check_form(scheme: &str, new: &NewSecret) -> anyhow::Result<()> {
    let mut step: AuthStep = serde_json::from_str(auth::find(scheme)?.example())?;
    if step.settings.contains_key("secret") {
        step.settings.insert("secret".to_owned(), json!(new.secret));
    }
    let chain = Chain::compile(&[step], std::iter::empty())?;
    chain.check_secret(&new.secret, &new.value).map_err(|e| anyhow::anyhow!(e.problem))
}

/// How long before its end a certificate is warned about.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

fn warn_of_end(name: &str, facts: Option<&Facts>, now: Timestamp) {
    let Some(end) = facts.and_then(|facts| facts.not_after) else { return };
    if end <= now {
        output::note(&format!("warning: the certificate in {name} ended at {end}"));
    } else if end <= now.plus(SOON) {
        output::note(&format!("warning: the certificate in {name} ends at {end}: put a new one"));
    }
}

/// The value from a file, standard input or a prompt.
///
/// # Errors
/// If it is empty or too long.
pub fn read_value(file: Option<&Path>, raw: bool) -> anyhow::Result<SecretBytes> {
    let mut bytes = Zeroizing::new(Vec::new());
    match file {
        None if std::io::stdin().is_terminal() => {
            let typed = Zeroizing::new(
                rpassword::prompt_password("value: ").context("no value was typed")?,
            );
            bytes.extend_from_slice(typed.as_bytes());
        }
        file => {
            let limit = MAX_VALUE as u64 + 3;
            input::open(file.unwrap_or(Path::new("-")))?.take(limit).read_to_end(&mut bytes)?;
        }
    }
    if !raw && bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    match bytes.len() {
        0 => bail!("the value is empty"),
        length if length > MAX_VALUE => bail!("the value has more than {MAX_VALUE} bytes"),
        _ => Ok(SecretBytes::new(std::mem::take(&mut *bytes))),
    }
}

fn fact(facts: &Option<Facts>, which: impl Fn(&Facts) -> Option<String>) -> Option<String> {
    facts.as_ref().and_then(which)
}

/// Never a value: what is kept beside it.
fn list(global: &Global, secrets: &[(CustomerId, SecretId, SealedSecret)]) -> anyhow::Result<()> {
    let rows = secrets.iter().map(|(customer, id, secret)| {
        let mut origins: Vec<String> =
            secret.current.origins.iter().map(ToString::to_string).collect();
        if secret.current.is_unbound() {
            origins.push("unbound".to_owned());
        }
        json!({"customerId": customer, "secretId": id, "version": secret.current.version,
               "createdAt": secret.current.created_at, "origins": origins,
               "previousUntil": secret.previous_until,
               "certificateSubject": fact(&secret.current.facts, |f| f.certificate_subject.clone()),
               "notAfter": fact(&secret.current.facts, |f| f.not_after.map(|t| t.to_string()))})
    });
    if global.json {
        rows.into_iter().try_for_each(|row| output::json(&row))?;
    } else {
        let cell = |row: &serde_json::Value, key: &str| match &row[key] {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let keys = [
            "customerId",
            "secretId",
            "version",
            "createdAt",
            "origins",
            "previousUntil",
            "notAfter",
        ];
        let rows = rows.map(|row| keys.iter().map(|key| cell(&row, key)).collect());
        output::table(
            &[
                "customer",
                "secret",
                "version",
                "created",
                "origins",
                "previous until",
                "valid until",
            ],
            rows,
        )?;
    }
    Ok(())
}
