//! Compares what would be imported with what is there, and writes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::read::Found;
use crate::app::App;
use crate::delivery::{compile, destinations};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::SecretBytes;
use crate::import::values::Part;
use crate::import::{Finding, Import};
use crate::ports::endpoints::PutResult;
use crate::registration::{put_endpoint, put_secret_over};
use crate::vault::NewSecret;

/// How something stands beside what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing of its name is there.
    New,
    /// It is there, as it would be written. A secret's value is not compared: nobody here may open it.
    Kept,
    /// It is there otherwise.
    Differs,
    /// It has been written.
    Written,
}

/// A secret of an import.
#[derive(Debug)]
pub struct Secret {
    /// Its id.
    pub id: SecretId,
    /// Where it may go.
    pub origins: BTreeSet<Origin>,
    /// How it stands.
    pub standing: Standing,
    /// Why there is no value to write.
    pub no_value: Option<String>,
    part: Part,
}

/// An import beside what is stored.
#[derive(Debug)]
pub struct Step {
    /// What is imported.
    pub import: Import,
    /// How the endpoint stands; `None` if it cannot be written.
    pub endpoint: Option<Standing>,
    /// Its secrets.
    pub secrets: Vec<Secret>,
    /// What went wrong when it was written.
    pub problem: Option<String>,
}

impl Step {
    /// Whether all of it is there.
    pub fn is_done(&self) -> bool {
        let there = |standing: Standing| matches!(standing, Standing::Kept | Standing::Written);
        self.problem.is_none()
            && self.endpoint.is_some_and(there)
            && self.secrets.iter().all(|secret| there(secret.standing))
    }
}

/// Finds out how each import stands.
///
/// # Errors
/// If the stores fail.
pub async fn compare(app: &App, imports: Vec<Import>, found: &Found) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::with_capacity(imports.len());
    for mut import in imports {
        let origins = match origins(app, &import) {
            Ok(origins) => origins,
            Err(problem) => {
                import.findings.push(Finding::Missing(problem));
                BTreeMap::new()
            }
        };
        let mut step = Step { endpoint: None, secrets: Vec::new(), problem: None, import };
        if let Some(endpoint) = step.import.endpoint.clone().filter(|_| step.import.is_whole()) {
            step.endpoint = Some(standing(app, &endpoint).await?);
            for (id, part) in step.import.secrets.clone() {
                let origins = origins.get(&id).into_iter().flatten().cloned().collect();
                let no_value = value(found, &step.import, &part).err();
                let standing = Standing::New;
                step.secrets.push(Secret { id, origins, standing, no_value, part });
            }
        }
        steps.push(step);
    }
    share_origins(&mut steps);
    for step in &mut steps {
        let Some(endpoint) = &step.import.endpoint else { continue };
        for secret in &mut step.secrets {
            let stored = app.secrets.get(&endpoint.customer_id, &secret.id).await?;
            secret.standing = stored.map_or(Standing::New, |stored| {
                let same = stored.current.origins.iter().eq(secret.origins.iter());
                if same { Standing::Kept } else { Standing::Differs }
            });
        }
    }
    Ok(steps)
}

/// Where each secret of an endpoint goes.
fn origins(app: &App, import: &Import) -> Result<BTreeMap<SecretId, Vec<Origin>>, String> {
    let Some(endpoint) = &import.endpoint else { return Ok(BTreeMap::new()) };
    let compiled = compile(endpoint, &app.guard).map_err(|e| e.to_string())?;
    Ok(destinations(endpoint, &compiled.chain).into_iter().collect())
}

/// A connection that several API destinations use is one secret, which may go to all of them.
fn share_origins(steps: &mut [Step]) {
    let mut all: BTreeMap<(CustomerId, SecretId), BTreeSet<Origin>> = BTreeMap::new();
    let key = |step: &Step, id: &SecretId| {
        step.import.who.as_ref().map(|who| (who.customer.clone(), id.clone()))
    };
    for step in steps.iter() {
        for secret in &step.secrets {
            let Some(key) = key(step, &secret.id) else { continue };
            all.entry(key).or_default().extend(secret.origins.iter().cloned());
        }
    }
    for step in steps {
        let mut secrets = std::mem::take(&mut step.secrets);
        for secret in &mut secrets {
            let shared = key(step, &secret.id).and_then(|key| all.get(&key));
            secret.origins.clone_from(shared.unwrap_or(&BTreeSet::new()));
        }
        step.secrets = secrets;
    }
}

async fn standing(app: &App, endpoint: &Endpoint) -> anyhow::Result<Standing> {
    let stored = app.endpoints.get(&endpoint.customer_id, &endpoint.endpoint_id).await?;
    Ok(match stored {
        None => Standing::New,
        Some(stored) if stored.endpoint == *endpoint => Standing::Kept,
        Some(_) => Standing::Differs,
    })
}

fn value(found: &Found, import: &Import, part: &Part) -> Result<SecretBytes, String> {
    let read = import.secret_arn.as_ref().and_then(|arn| found.values.get(arn));
    let secret = match read {
        None => return Err("the connection's secret was not read".to_owned()),
        Some(Err(problem)) => return Err(problem.clone()),
        Some(Ok(secret)) => secret,
    };
    part.value(secret).ok_or_else(|| "the connection's secret has no such value".to_owned())
}

/// Writes what is new, and with `replace` what differs: the secrets of an endpoint before it.
///
/// # Errors
/// If the stores fail. What one import lacks stops no other.
pub async fn apply(
    app: &App,
    steps: &mut [Step],
    found: &Found,
    replace: bool,
) -> anyhow::Result<()> {
    let mut written = BTreeSet::new();
    let bar = super::super::progress::bar(steps.len(), "endpoints")?;
    for step in steps.iter_mut() {
        if let Err(problem) = write(app, step, found, replace, &mut written).await {
            step.problem = Some(format!("{problem:#}"));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

async fn write(
    app: &App,
    step: &mut Step,
    found: &Found,
    replace: bool,
    written: &mut BTreeSet<(CustomerId, SecretId)>,
) -> anyhow::Result<()> {
    let Some(standing) = step.endpoint else { return Ok(()) };
    let Some(endpoint) = step.import.endpoint.clone() else { return Ok(()) };
    let goes = |standing: Standing| match standing {
        Standing::New => true,
        Standing::Differs => replace,
        Standing::Kept | Standing::Written => false,
    };
    for secret in &mut step.secrets {
        let key = (endpoint.customer_id.clone(), secret.id.clone());
        if written.contains(&key) {
            secret.standing = Standing::Written;
        }
        if !goes(secret.standing) {
            continue;
        }
        let Ok(value) = value(found, &step.import, &secret.part) else { continue };
        let stored = app.secrets.record(&key.0, &key.1).await?;
        let expected = stored.secret.as_ref().map_or(0, |stored| stored.current.version);
        let (customer, id) = key.clone();
        let origins = secret.origins.clone();
        let new = NewSecret { customer, secret: id, value, origins, overlap: None };
        let put = put_secret_over(app, new, Some(expected)).await?;
        unchanged_since(put, &format!("secret {}", secret.id))?;
        secret.standing = Standing::Written;
        written.insert(key);
    }
    if goes(standing) {
        let stored = app.endpoints.get(&endpoint.customer_id, &endpoint.endpoint_id).await?;
        let expected = stored.map_or(0, |stored| stored.version);
        let name = format!("endpoint {}", endpoint.endpoint_id);
        unchanged_since(put_endpoint(app, endpoint, Some(expected)).await?, &name)?;
        step.endpoint = Some(Standing::Written);
    }
    Ok(())
}

fn unchanged_since(put: PutResult, what: &str) -> anyhow::Result<()> {
    match put {
        PutResult::Put(_) => Ok(()),
        PutResult::Conflict(_) => {
            anyhow::bail!("somebody else has written {what} at the same time: run this again")
        }
    }
}
