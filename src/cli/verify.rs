//! `sealpost verify`: whether a captured request is authentic, and what is wrong if it is not.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use url::Url;

use super::secret::read_value;
use super::{Global, auth, captured, duration, input, output};
use crate::adapters::system::SystemClock;
use crate::auth::verify::{Captured, Check, Code, Finding};
use crate::auth::{Call, Chain};
use crate::domain::endpoint::AuthStep;
use crate::domain::ids::{CustomerId, EndpointId, SecretId};
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;
use crate::ports::Clock;

/// Check a captured request against an auth step and its secret, as its receiver would, and say what
/// differs: the time, how the key is decoded, a body that was written anew, a wrong header.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost verify request.http --scheme standard_webhooks --secret-file signing.key --at 2021-02-25T15:02:10Z\n\nThe request is HTTP/1.1 as it was received: request line, headers, an empty line, the body. Status 0: authentic; 1: not."
)]
pub struct Verify {
    /// The file with the request, or - for standard input
    request: PathBuf,
    /// The scheme, with the settings of its example in `sealpost auth show`
    #[arg(long, value_name = "SCHEME", conflicts_with_all = ["step", "endpoint"])]
    scheme: Option<String>,
    /// The auth step with its settings, as JSON: {"scheme": "hmac", "preset": "github", "secret": "s"}
    #[arg(long, value_name = "JSON", conflicts_with = "endpoint")]
    step: Option<String>,
    /// A registered endpoint, with its steps and its stored secrets: CUSTOMER/ENDPOINT
    #[arg(long, value_name = "ENDPOINT", required_unless_present_any = ["scheme", "step"])]
    endpoint: Option<String>,
    /// The file with the secret's value, or ID=FILE where the step names several; can be given several
    /// times, the current value first
    #[arg(long = "secret-file", value_name = "FILE")]
    secrets: Vec<String>,
    /// The whole URL that was called, where it is not https and the Host of the request
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// When the request arrived; now, if it is left out
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How far its time may be from that, either way
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    tolerance: Duration,
}

type Secrets = BTreeMap<SecretId, Vec<SecretBytes>>;

pub async fn run(global: &Global, verb: &Verify) -> anyhow::Result<ExitCode> {
    let mut bytes = Vec::new();
    input::open(&verb.request)?.read_to_end(&mut bytes)?;
    let captured = captured::read(&bytes, verb.url.as_ref())
        .with_context(|| verb.request.display().to_string())?;
    let at = verb.at.unwrap_or_else(|| SystemClock.now());
    let (chain, secrets) = match &verb.endpoint {
        Some(name) => of_endpoint(global, name, at).await?,
        None => of_step(verb)?,
    };
    if chain.steps().is_empty() {
        bail!("the endpoint has no auth steps: nothing shows whether a request is authentic");
    }
    tell(global, &check(&chain, &captured, &secrets, at, verb.tolerance)?)
}

/// The steps of a stored endpoint, with the values in use of its secrets.
async fn of_endpoint(
    global: &Global,
    name: &str,
    at: Timestamp,
) -> anyhow::Result<(Chain, Secrets)> {
    let (customer, endpoint) = name.split_once('/').context("expected CUSTOMER/ENDPOINT")?;
    let (customer, endpoint): (CustomerId, EndpointId) = (customer.parse()?, endpoint.parse()?);
    let app = global.open().await?;
    let stored = app.endpoints.get(&customer, &endpoint).await?;
    let stored =
        stored.with_context(|| format!("customer {customer} has no endpoint {endpoint}"))?;
    let chain = Chain::compile(&stored.endpoint.auth, std::iter::empty())?;
    let mut secrets = Secrets::new();
    for id in chain.secrets() {
        let open = app.vault.open(&customer, &id).await?;
        secrets.insert(id, open.values_for(&[], at).unwrap_or_default());
    }
    Ok((chain, secrets))
}

/// A step as it was given, with the values from the files.
fn of_step(verb: &Verify) -> anyhow::Result<(Chain, Secrets)> {
    let json = match (&verb.step, &verb.scheme) {
        (Some(json), _) => json.as_str(),
        (None, Some(name)) => auth::find(name)?.example(),
        (None, None) => bail!("expected --scheme, --step or --endpoint"),
    };
    let step: AuthStep = serde_json::from_str(json).context("in --step")?;
    let chain = Chain::compile(&[step], std::iter::empty())?;
    let ids = chain.secrets();
    let mut secrets = Secrets::new();
    for given in &verb.secrets {
        let named = given.split_once('=').and_then(|(id, file)| Some((id.parse().ok()?, file)));
        let (id, file) = match (named, &ids[..]) {
            (Some((id, file)), _) if ids.contains(&id) => (id, file),
            (_, [only]) => (only.clone(), given.as_str()),
            (_, several) => {
                let names: Vec<_> = several.iter().map(SecretId::as_str).collect();
                bail!("--secret-file {given}: expected ID=FILE, with an ID of {}", names.join(", "))
            }
        };
        secrets.entry(id).or_default().push(read_value(Some(Path::new(file)), false)?);
    }
    if let [only] = &ids[..]
        && secrets.is_empty()
    {
        secrets.insert(only.clone(), vec![read_value(None, false)?]);
    }
    Ok((chain, secrets))
}

fn check(
    chain: &Chain,
    captured: &Captured,
    secrets: &Secrets,
    now: Timestamp,
    tolerance: Duration,
) -> anyhow::Result<Verdict> {
    // What counts stands in the request; these stand in for what does not.
    let unknown = "unknown";
    let call = Call {
        customer_id: &unknown.parse()?,
        endpoint_id: &unknown.parse()?,
        job_id: &unknown.parse()?,
        job_type: None,
        now,
        nonce: &|| unknown.to_owned(),
        secrets,
        grant: None,
    };
    let check = Check { captured, call, tolerance };
    let of_steps: Vec<Vec<Finding>> =
        chain.steps().iter().map(|step| step.verify(&check)).collect();
    // A step that leaves nothing to be seen proves nothing, and disproves nothing.
    let is_seen = |finding: &Finding| finding.code != Code::NotVisible;
    let authentic = of_steps.iter().any(Vec::is_empty) && !of_steps.iter().flatten().any(is_seen);
    Ok(Verdict { authentic, findings: of_steps.into_iter().flatten().collect() })
}

/// What all steps together say of a request.
struct Verdict {
    /// At least one step was checked, and none found a fault.
    authentic: bool,
    findings: Vec<Finding>,
}

fn tell(global: &Global, verdict: &Verdict) -> anyhow::Result<ExitCode> {
    let Verdict { authentic, findings } = verdict;
    if global.json {
        output::json(&json!({"authentic": authentic, "findings": findings}))?;
    } else {
        let end = if findings.is_empty() { "" } else { ":" };
        let not = if *authentic { "" } else { "not " };
        output::line(&format!("{not}authentic{end}"))?;
        findings.iter().try_for_each(|finding| output::line(&format!("- {finding}")))?;
    }
    Ok(if *authentic { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
