//! `sealpost egress`: asks the guard.

use std::io::BufRead;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use url::{Host, Url};

use super::{Global, input, output};
use crate::egress::guard::Guard;
use crate::egress::resolver::{Resolver, SystemResolver};

/// Ask the egress guard.
#[derive(Debug, Subcommand)]
pub enum Egress {
    /// Say of URLs and addresses whether they may be called, and why not
    Check(Check),
}

/// Say of URLs and addresses whether they may be called, and why not.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost egress check https://example.com/hook 10.0.0.1\n\nNames are judged without looking them up, unless --resolve. Ends with status 0 whatever the verdicts are."
)]
pub struct Check {
    /// URLs or addresses; - reads them from standard input, one a line
    #[arg(required = true)]
    inputs: Vec<String>,
    /// Judge http URLs by their address instead of refusing them
    #[arg(long)]
    allow_http: bool,
    /// Look names up and judge every address
    #[arg(long)]
    resolve: bool,
}

pub async fn run(global: &Global, verb: &Egress) -> anyhow::Result<ExitCode> {
    let Egress::Check(check) = verb;
    let config = global.load_config()?.egress;
    let mut guard = config.guard();
    guard.allow_http |= check.allow_http;
    let resolver =
        if check.resolve { Some(SystemResolver::new(&config.nameservers)?) } else { None };
    for given in &check.inputs {
        if given != "-" {
            judge(global, &guard, resolver.as_ref(), given).await?;
            continue;
        }
        for line in input::open(Path::new("-"))?.split(b'\n') {
            let line = line?;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            match std::str::from_utf8(line) {
                Ok("") => {}
                Ok(text) => judge(global, &guard, resolver.as_ref(), text).await?,
                Err(_) => say(global, &String::from_utf8_lossy(line), Err("not UTF-8".to_owned()))?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn judge(
    global: &Global,
    guard: &Guard,
    resolver: Option<&SystemResolver>,
    given: &str,
) -> anyhow::Result<()> {
    let bare = given.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(given);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return say(global, given, guard.check_address(address).map_err(|e| e.to_string()));
    }
    let verdict = match guard.check_url(given) {
        Ok(url) => match resolver {
            Some(resolver) => judge_addresses(guard, resolver, &url).await,
            None => Ok(()),
        },
        Err(blocked) => Err(blocked.to_string()),
    };
    say(global, given, verdict)
}

async fn judge_addresses(
    guard: &Guard,
    resolver: &SystemResolver,
    url: &Url,
) -> Result<(), String> {
    let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
    let addresses = resolver.resolve(name).await.map_err(|e| e.to_string())?;
    if addresses.is_empty() {
        return Err(format!("the name {name} has no address"));
    }
    addresses.into_iter().try_for_each(|a| guard.check_address(a)).map_err(|e| e.to_string())
}

fn say(global: &Global, given: &str, verdict: Result<(), String>) -> anyhow::Result<()> {
    let (word, reason) = match verdict {
        Ok(()) => ("allow", "public".to_owned()),
        Err(reason) => ("block", reason),
    };
    if global.json {
        return output::json(&json!({"input": given, "verdict": word, "reason": reason}));
    }
    output::line(&format!("{word}  {}  {reason}", given.escape_debug()))
}
