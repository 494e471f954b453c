//! `sealpost doctor`: looks at everything that an installation stands on, and says of each thing whether it
//! is as it should be, and if not how to mend it.
//!
//! It changes nothing: no row is written, no job is sent or received. What fails keeps nothing else from
//! being looked at; what cannot be looked at because of it is skipped, and says so.
//!
//! * [`settings`] judges the configuration by itself; [`machine`] is what the process finds around it.
//! * The form's own parts (a data directory; queues, tables and keys) are looked at by their adapters.
//! * [`secrets`] and [`endpoints`] go through what customers have registered; [`names`] looks hosts up, and
//!   connects where that is asked for.

mod endpoints;
mod machine;
mod names;
mod secrets;
mod settings;

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::app::examination::{Stores, examine_aws, examine_data_directory};
use crate::config::{Config, ConfigError};
use crate::domain::check::{Check, Duty, Report, look};
use crate::egress::resolver::{Resolver, SystemResolver};
use crate::ports::Clock;

/// What is looked at, beside what always is.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Most hosts of endpoints that are looked up.
    pub hosts: usize,
    /// Whether they are connected to, too: their servers see it.
    pub connects: bool,
    /// Whose rights the credentials of AWS should have.
    pub duty: Option<Duty>,
}

/// Is told how far work is that takes a while.
pub trait Progress: Sync {
    /// So many pieces of work begin.
    fn begin(&self, pieces: usize);
    /// One is done.
    fn step(&self);
    /// All are done.
    fn end(&self);
}

/// Looks at everything.
pub async fn examine(
    root: &Path,
    config: Result<Config, ConfigError>,
    scope: Scope,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Report {
    let config = match config {
        Ok(config) => config,
        Err(error) => return Report::of(without_settings(&error)),
    };
    let mut checks = settings::examine(&config);
    checks.extend(machine::examine(&config));
    let resolver = resolver(&config).map_err(|failed| checks.push(failed)).ok();
    if let Some(resolver) = &resolver {
        checks.extend(machine::reach(&config, resolver).boxed_local().await);
    }
    let (of_form, can_open) = form(root, &config, scope, clock).boxed_local().await;
    checks.extend(of_form);
    if !can_open {
        let why =
            "opening the data directory now would change it: mend what is wrong with it first";
        checks.extend(OF_STORES.map(|name| look(name, "the stores").skipped(why)));
        return Report::of(checks);
    }
    match Stores::open(root, &config).boxed_local().await {
        Ok(stores) => {
            let world = World { config: &config, stores: &stores, scope, clock, progress };
            checks.extend(world.examine(resolver).boxed_local().await);
        }
        Err(error) => {
            let [first, others @ ..] = OF_STORES;
            let mend = "see what it says: no worker starts before";
            checks.push(look(first, "the stores").failed(error.to_string(), "they open", mend));
            let why = "the stores do not open";
            checks.extend(others.map(|name| look(name, "the stores").skipped(why)));
        }
    }
    Report::of(checks)
}

fn resolver(config: &Config) -> Result<Arc<dyn Resolver>, Check> {
    match SystemResolver::new(&config.egress.nameservers) {
        Ok(resolver) => Ok(Arc::new(resolver)),
        Err(error) => Err(look("names.resolver", "egress.nameservers, /etc/resolv.conf").failed(
            error.source.to_string(),
            "name servers",
            "set egress.nameservers, or mend /etc/resolv.conf",
        )),
    }
}

/// The form's own parts; and whether its stores can be opened without changing anything.
async fn form(root: &Path, config: &Config, scope: Scope, clock: &dyn Clock) -> (Vec<Check>, bool) {
    if let Some(aws) = &config.aws {
        return (examine_aws(aws, config.worker.max_receives, scope.duty).await, true);
    }
    let (path, now) = (root.to_owned(), clock.now());
    // It reads files, and a whole database.
    match tokio::task::spawn_blocking(move || examine_data_directory(&path, now)).await {
        Ok(checkup) => (checkup.checks, checkup.can_open),
        Err(error) => {
            let subject = look("data.directory", root.display().to_string());
            (vec![subject.skipped(error.to_string())], false)
        }
    }
}

/// What is not looked at without stores.
const OF_STORES: [&str; 3] = ["secrets.open", "endpoints.usable", "names.resolved"];

/// Nothing else can be known: which form it is, where it listens, what it may call.
fn without_settings(error: &ConfigError) -> Vec<Check> {
    let ConfigError { source_name, key, problem } = error;
    let subject = look("settings.load", format!("{source_name}: {key}"));
    let mend = "correct it there: docs/REFERENCE.md, \"Settings\", lists every setting";
    let mut checks = vec![subject.failed(problem, "settings that can be read", mend)];
    let others = ["machine.roots", "data.directory", "aws.region"].into_iter().chain(OF_STORES);
    let why = "the settings cannot be read";
    checks.extend(others.map(|name| look(name, "what the settings name").skipped(why)));
    checks
}

/// What customers have registered, and what it is judged by.
struct World<'a> {
    config: &'a Config,
    stores: &'a Stores,
    scope: Scope,
    clock: &'a dyn Clock,
    progress: &'a dyn Progress,
}

impl World<'_> {
    async fn examine(&self, resolver: Option<Arc<dyn Resolver>>) -> Vec<Check> {
        let guard = self.config.egress.guard();
        let mut checks = secrets::master_keys(self).await;
        let sealed = match self.stores.secrets.list(None).await {
            Ok(mut sealed) => {
                // A customer's key pair lies among them, and opens nothing by itself.
                sealed.retain(|(_, id, _)| !id.is_reserved());
                Some(sealed)
            }
            Err(error) => {
                checks.push(unlisted("secrets.open", "secrets", &error));
                None
            }
        };
        if let Some(sealed) = &sealed {
            checks.extend(secrets::certificates(sealed, self.clock.now()));
            checks.push(secrets::open(self, sealed).await);
        }
        match self.stores.endpoints.list(None).await {
            Ok(stored) => {
                let judged = endpoints::judge(&stored, &guard);
                checks.extend(judged.checks);
                if let Some(sealed) = &sealed {
                    checks.extend(endpoints::secrets(&judged.usable, sealed));
                }
                checks.push(endpoints::operator(self.config, &stored));
                if let Some(resolver) = resolver {
                    let looking = names::examine(self, &guard, resolver, &judged.hosts);
                    checks.extend(looking.boxed_local().await);
                }
            }
            Err(error) => {
                checks.push(unlisted("endpoints.usable", "endpoints", &error));
                let why = "the endpoints cannot be listed";
                checks.push(look("names.resolved", "hosts of endpoints").skipped(why));
            }
        }
        checks
    }
}

/// On AWS a worker may not list them, so that this is no failure.
fn unlisted(name: &'static str, what: &str, error: &crate::ports::Error) -> Check {
    let why = "they cannot be listed (on AWS that takes the API's rights)";
    look(name, what).skipped(format!("{why}: {error}"))
}

/// Most single troubles of a kind that are told.
const TOLD: usize = 20;

/// Where there are more troubles of a kind than are told, how many more.
fn shortened(mut checks: Vec<Check>, name: &'static str, what: &str) -> Vec<Check> {
    let more = checks.len().saturating_sub(TOLD);
    if more > 0 {
        checks.truncate(TOLD);
        checks.push(look(name, what).skipped(format!("{more} more are like these")));
    }
    checks
}
