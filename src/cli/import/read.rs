//! Reads what is imported: from the account, or from files with what the AWS CLI printed of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::secret::SecretBytes;
use crate::import::account::{Account, Rule, Targets};

/// An account, and the values of its connections.
pub struct Found {
    /// What is plain.
    pub account: Account,
    /// By the ARN of their secret: the text in it, or why it could not be read.
    pub values: BTreeMap<String, Result<SecretBytes, String>>,
}

/// From the folder, or else from the account.
pub async fn read(folder: Option<&Path>) -> anyhow::Result<Found> {
    match folder {
        Some(folder) => saved(folder),
        None => live().await,
    }
}

/// From files: `connections/*.json` of describe-connection, `api-destinations/*.json` of
/// describe-api-destination, `rules/NAME.json` of describe-rule beside `targets/NAME.json` of
/// list-targets-by-rule, and `secrets/*.json` of get-secret-value.
fn saved(folder: &Path) -> anyhow::Result<Found> {
    let mut account = Account {
        connections: all(&folder.join("connections"))?.into_values().collect(),
        destinations: all(&folder.join("api-destinations"))?.into_values().collect(),
        rules: Vec::new(),
    };
    let mut targets: BTreeMap<String, Targets> = all(&folder.join("targets"))?;
    for (name, mut rule) in all::<Rule>(&folder.join("rules"))? {
        let of_rule = targets.remove(&name);
        let missing = || format!("{}: not there", folder.join("targets").join(&name).display());
        rule.targets = of_rule.with_context(missing)?.targets;
        account.rules.push(rule);
    }
    if let Some(name) = targets.keys().next() {
        anyhow::bail!("{}: not there", folder.join("rules").join(name).display());
    }
    if account.connections.is_empty() && account.destinations.is_empty() {
        anyhow::bail!(
            "{} has neither connections/*.json nor api-destinations/*.json",
            folder.display()
        );
    }
    let secrets: BTreeMap<String, Got> = all(&folder.join("secrets"))?;
    let values = secrets.into_values().map(|got| (got.arn, Ok(got.secret_string.0)));
    Ok(Found { account, values: values.collect() })
}

/// What get-secret-value prints.
#[derive(Deserialize)]
struct Got {
    #[serde(rename = "ARN")]
    arn: String,
    #[serde(rename = "SecretString")]
    secret_string: Text,
}

/// A text that cannot be printed.
struct Text(SecretBytes);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // A reader's own complaint would repeat what it found.
        match serde_json::Value::deserialize(from) {
            Ok(serde_json::Value::String(text)) => Ok(Self(SecretBytes::new(text.into_bytes()))),
            Ok(_) | Err(_) => Err(serde::de::Error::custom("expected a text")),
        }
    }
}

/// Every JSON file of a folder, by its name; none if there is no folder.
fn all<T: DeserializeOwned>(folder: &Path) -> anyhow::Result<BTreeMap<String, T>> {
    let mut found = BTreeMap::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path: PathBuf = entry?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(&path).with_context(shown)?;
        let read = serde_json::from_str(&text).with_context(shown)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.insert(name, read);
    }
    Ok(found)
}

#[cfg(not(feature = "aws"))]
async fn live() -> anyhow::Result<Found> {
    anyhow::bail!(
        "this program was built without AWS: save what the AWS CLI prints, and give --from"
    )
}

/// From the account. A value that may not be read is left to be put by hand.
#[cfg(feature = "aws")]
async fn live() -> anyhow::Result<Found> {
    use crate::adapters::aws::{AwsReferences, Clients, EventBridge};
    use crate::domain::reference::Reference;
    use crate::ports::references::References;

    let clients = Clients::load().await?;
    let bar = super::super::progress::bar(0, "descriptions read")?;
    let count = |_: &str| {
        bar.inc_length(1);
        bar.inc(1);
    };
    let account = EventBridge::new(&clients).account(count).await?;
    let secrets = AwsReferences::new(&clients);
    let mut values = BTreeMap::new();
    for arn in account.connections.iter().filter_map(|connection| connection.secret_arn.as_ref()) {
        let reference: Reference = format!("secretsmanager:{arn}").parse()?;
        let fetched = match secrets.fetch(&reference).await {
            Ok(fetched) => fetched.value(&reference).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        values.insert(arn.clone(), fetched);
        count(arn);
    }
    bar.finish_and_clear();
    Ok(Found { account, values })
}
