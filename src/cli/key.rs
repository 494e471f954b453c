//! `sealpost key`: the keys of the key file, under which everything is sealed.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Subcommand;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{Global, output, progress};
use crate::app::App;
use crate::ports::MasterKeys;
use crate::ports::master_keys::{MasterKeyId, Removed};
use crate::vault::{KeptVersion, RewrapError};

/// Versions wrapped anew at once: one commit for all.
const AT_ONCE: usize = 64;

/// List, rotate and retire the keys of the key file.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List the keys with how many versions need each; keys are never shown
    #[command(after_help = "Example:\n  sealpost key list")]
    List,
    /// Make a new key, which wraps from now on, and wrap everything that is stored anew with it
    #[command(
        after_help = "Example:\n  sealpost key rotate\n\nA running worker goes on and needs no restart. The key before stays in the file until `sealpost key retire`. What was cut short is taken up again by --resume."
    )]
    Rotate {
        /// Make no new key: go on with what is not wrapped anew yet
        #[arg(long)]
        resume: bool,
    },
    /// Remove keys that nothing needs any more, for good
    #[command(
        after_help = "Example:\n  sealpost key retire\n\nWithout an id, every key but the one that wraps. A key that a stored version needs is refused, with the count. Backups of the database from before the rotation need the keys of their time: keep those as long as these."
    )]
    Retire {
        /// The key's id, as `sealpost key list` shows it
        id: Option<String>,
    },
}

pub async fn run(global: &Global, verb: Key) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    let Some(keys) = app.master_keys.clone() else {
        bail!("there is no key file on AWS: KMS rotates the material of its keys by itself");
    };
    match verb {
        Key::List => list(global, &app, &*keys).await?,
        Key::Rotate { resume } => return rotate(global, &app, &keys, resume).await,
        Key::Retire { id } => retire(global, &app, &*keys, id.map(MasterKeyId)).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(global: &Global, app: &App, keys: &dyn MasterKeys) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for key in keys.all()? {
        let needed = needed(app, keys, &key.id).await?;
        if global.json {
            output::json(&json!({"key": key.id.0, "wraps": key.wraps, "versions": needed}))?;
        }
        let wraps = if key.wraps { "yes" } else { "no" };
        rows.push(vec![key.id.0, wraps.to_owned(), needed.to_string()]);
    }
    if global.json { Ok(()) } else { output::table(&["key", "wraps", "versions"], rows) }
}

/// How many stored versions need a key.
async fn needed(app: &App, keys: &dyn MasterKeys, id: &MasterKeyId) -> anyhow::Result<usize> {
    Ok(app.vault.wrapped_by(keys, |by| by == id).await?.len())
}

async fn rotate(
    global: &Global,
    app: &App,
    keys: &Arc<dyn MasterKeys>,
    resume: bool,
) -> anyhow::Result<ExitCode> {
    let wraps = if resume {
        let wraps = keys.all()?.into_iter().find(|key| key.wraps);
        wraps.context("the key file holds no key")?.id
    } else {
        keys.add()?
    };
    let done = wrap_all_anew(app, &**keys, &wraps)
        .await
        .context("cut short: go on with `sealpost key rotate --resume`")?;
    if global.json {
        let failed = done.failed.iter().map(|(kept, problem)| {
            json!({"customerId": kept.customer, "secretId": kept.secret,
                   "version": kept.version.version, "problem": problem})
        });
        let failed: Vec<_> = failed.collect();
        output::json(&json!({"key": wraps.0, "rewrapped": done.count, "failed": failed}))?;
    } else {
        output::line(&format!("{wraps} wraps now; {} wrapped anew", versions(done.count)))?;
    }
    for (kept, problem) in &done.failed {
        output::note(&format!(
            "{}/{}, version {}: {problem}",
            kept.customer, kept.secret, kept.version.version
        ));
    }
    Ok(if done.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn versions(count: usize) -> String {
    if count == 1 { "1 version".to_owned() } else { format!("{count} versions") }
}

/// What was wrapped anew, and what does not open.
struct Done {
    count: usize,
    failed: Vec<(KeptVersion, String)>,
}

/// Wraps everything anew that another key than `wraps` has wrapped. What somebody else has changed in
/// between is looked at again.
async fn wrap_all_anew(
    app: &App,
    keys: &dyn MasterKeys,
    wraps: &MasterKeyId,
) -> anyhow::Result<Done> {
    let mut done = Done { count: 0, failed: Vec::new() };
    loop {
        let mut old = app.vault.wrapped_by(keys, |by| by != wraps).await?;
        old.retain(|kept| !done.failed.iter().any(|(failed, _)| failed == kept));
        if old.is_empty() {
            return Ok(done);
        }
        let bar = progress::bar(old.len(), "versions")?;
        let work = old.into_iter().map(|kept| async {
            let rewrapped = app.vault.wrap_anew(&kept).await;
            (kept, rewrapped)
        });
        let mut work = stream::iter(work).buffer_unordered(AT_ONCE);
        while let Some((kept, rewrapped)) = work.next().await {
            match rewrapped {
                Ok(()) => done.count += 1,
                Err(RewrapError::Changed) => {}
                Err(RewrapError::Refused(problem)) => done.failed.push((kept, problem)),
                Err(RewrapError::Ours(error)) => return Err(error.into()),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
}

async fn retire(
    global: &Global,
    app: &App,
    keys: &dyn MasterKeys,
    id: Option<MasterKeyId>,
) -> anyhow::Result<()> {
    let ids = match id {
        Some(id) => vec![id],
        None => keys.all()?.into_iter().filter(|key| !key.wraps).map(|key| key.id).collect(),
    };
    for id in &ids {
        if keys.all()?.iter().any(|key| key.wraps && key.id == *id) {
            bail!("{id} wraps what is new: `sealpost key rotate` first");
        }
        refuse_if_needed(id, needed(app, keys, id).await?)?;
        match keys.remove(id)? {
            Removed::Done => {}
            Removed::Wraps => bail!("{id} wraps what is new: `sealpost key rotate` first"),
            Removed::Unknown => bail!("the key file has no key {id}: see `sealpost key list`"),
        }
        // A writer may have wrapped with it just before the rotation, and stored what it made just now.
        let needed = needed(app, keys, id).await?;
        if needed > 0 {
            keys.put_back()?;
        }
        refuse_if_needed(id, needed)?;
    }
    if global.json {
        let retired: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
        return output::json(&json!({"retired": retired}));
    }
    output::line(&format!("retired {}", ids.len()))
}

fn refuse_if_needed(id: &MasterKeyId, needed: usize) -> anyhow::Result<()> {
    if needed == 0 {
        return Ok(());
    }
    let (count, verb) = (versions(needed), if needed == 1 { "needs" } else { "need" });
    bail!("{count} of secrets {verb} the key {id}: `sealpost key rotate --resume` wraps them anew")
}
