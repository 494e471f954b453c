//! What changes a secret: each write is made over the version that was read, so that no two
//! administrators overwrite each other unseen.

use std::io::IsTerminal;

use anyhow::{Context, bail};
use serde_json::json;

use crate::app::App;
use crate::cli::{Global, output};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret_record::Standing;
use crate::ports::endpoints::PutResult;
use crate::registration::{put_secret_over, roll_back_secret};
use crate::vault::{NewSecret, Rollback};

/// Stores a new version; its number.
pub async fn put(app: &App, new: NewSecret, expected: Option<u64>) -> anyhow::Result<u64> {
    let (customer, secret) = (new.customer.clone(), new.secret.clone());
    let put = put_secret_over(app, new, expected).await.context("the value is refused")?;
    written(&customer, &secret, put)
}

/// Makes an old version current again; its number.
pub async fn roll_back(
    app: &App,
    rollback: Rollback,
    expected: Option<u64>,
) -> anyhow::Result<u64> {
    let (customer, secret) = (rollback.customer.clone(), rollback.secret.clone());
    let put = roll_back_secret(app, rollback, expected).await?;
    written(&customer, &secret, put)
}

/// The version that was written.
///
/// # Errors
/// If another one is current than was expected.
pub fn written(customer: &CustomerId, secret: &SecretId, put: PutResult) -> anyhow::Result<u64> {
    match put {
        PutResult::Put(version) => Ok(version),
        PutResult::Conflict(0) => bail!(
            "there is no secret {secret} of customer {customer} now: nothing was changed. \
             To store it anew, repeat with `--if-version 0`"
        ),
        PutResult::Conflict(now) => bail!(
            "{customer}/{secret} is at version {now} now: nothing was changed. Look at it with \
             `sealpost secret history {customer} {secret}`; to go on from there, repeat with \
             `--if-version {now}`"
        ),
    }
}

/// Tells which version is current.
pub fn tell(
    global: &Global,
    customer: &CustomerId,
    secret: &SecretId,
    version: u64,
) -> anyhow::Result<()> {
    if global.json {
        output::json(&json!({"version": version}))
    } else {
        output::line(&format!("{customer}/{secret} is at version {version}"))
    }
}

/// Which versions are purged.
pub enum Which {
    /// This one.
    Version(u64),
    /// All that are in use no more, but the newest so many.
    AllBut(usize),
}

/// Removes versions for good, once that is confirmed.
pub async fn purge(
    global: &Global,
    app: &App,
    (customer, secret): (CustomerId, SecretId),
    which: Which,
    yes: bool,
) -> anyhow::Result<()> {
    let record = app.secrets.record(&customer, &secret).await?;
    let past = app.secrets.history(&customer, &secret).await?;
    let kept = record.versions(past, app.clock.now());
    let versions: Vec<u64> = match which {
        Which::Version(version) => {
            if !kept.iter().any(|(_, v)| v.version == version) {
                bail!("no version {version} of {customer}/{secret} is kept");
            }
            vec![version]
        }
        Which::AllBut(keep) => {
            let past = kept.iter().filter(|(standing, _)| *standing == Standing::Past);
            past.skip(keep).map(|(_, version)| version.version).collect()
        }
    };
    if !versions.is_empty() && !yes {
        confirm(&format!("remove {} of {customer}/{secret} for good?", spoken(&versions)))?;
    }
    let removed = app.vault.purge(&customer, &secret, &versions).await?;
    if global.json {
        return output::json(&json!({"purged": removed, "versions": versions}));
    }
    output::line(&format!("purged {removed}"))
}

fn spoken(versions: &[u64]) -> String {
    let numbers: Vec<String> = versions.iter().map(ToString::to_string).collect();
    let word = if versions.len() == 1 { "version" } else { "versions" };
    format!("{word} {}", numbers.join(", "))
}

/// Asks whether something is to be removed for good.
///
/// # Errors
/// If the answer is no, or nobody can be asked.
pub fn confirm(question: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("{question} Nobody can be asked here: say so with --yes");
    }
    output::note(&format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was removed");
    }
    Ok(())
}
