//! The hosts of endpoints: looked up as a delivery would, and vetted by the egress guard. Connections are
//! made only where they are asked for, and nothing is sent over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::timeout;
use url::{Host, Url};

use super::endpoints::refused;
use super::{World, shortened};
use crate::config::EgressConfig;
use crate::domain::check::{Check, look};
use crate::egress::guard::Guard;
use crate::egress::probe::Probe;
use crate::egress::proxy::Proxy;
use crate::egress::resolver::Resolver;

/// Hosts at once.
const AT_ONCE: usize = 16;
/// Longest time for one host.
const PATIENCE: Duration = Duration::from_secs(15);

/// What became of a name.
enum Lookup {
    /// It has addresses, and all may be called.
    Good,
    /// The customer's trouble.
    Trouble(Box<Check>),
    /// The resolver's.
    Unanswered(String),
}

/// Looks up the hosts, as many as the scope allows.
pub async fn examine(
    world: &World<'_>,
    guard: &Guard,
    resolver: Arc<dyn Resolver>,
    hosts: &BTreeMap<Url, String>,
) -> Vec<Check> {
    let asked: Vec<_> = hosts.iter().take(world.scope.hosts).collect();
    world.progress.begin(asked.len());
    let looked = stream::iter(&asked).map(|(url, endpoint)| {
        let (resolver, progress) = (&*resolver, world.progress);
        async move {
            let looked = look_up(guard, resolver, url, endpoint).await;
            progress.step();
            looked
        }
    });
    let looked: Vec<Lookup> = looked.buffered(AT_ONCE).collect().await;
    world.progress.end();
    let mut checks = judge(looked, hosts.len());
    if world.scope.connects {
        checks.extend(connect_all(world, guard, resolver, &asked).await);
    } else {
        let why = "not asked for: --connect opens a connection to each, which their servers see";
        checks.push(look("names.connected", "hosts of endpoints").skipped(why));
    }
    checks
}

async fn look_up(guard: &Guard, resolver: &dyn Resolver, url: &Url, endpoint: &str) -> Lookup {
    let Some(Host::Domain(name)) = url.host() else { return Lookup::Good };
    let what = format!("{name} of {endpoint}");
    let addresses = match timeout(PATIENCE, resolver.resolve(name)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return Lookup::Unanswered(format!("{what}: {}", error.source)),
        Err(_) => return Lookup::Unanswered(format!("{what}: no answer within 15 s")),
    };
    if addresses.is_empty() {
        let mend = "the customer has to correct the name, or to enter it in the DNS";
        return Lookup::Trouble(Box::new(look("names.resolved", what).warning(
            "it has no address",
            "an address",
            mend,
        )));
    }
    match addresses.into_iter().try_for_each(|address| guard.check_address(address)) {
        Ok(()) => Lookup::Good,
        Err(blocked) => Lookup::Trouble(Box::new(refused("names.resolved", &what, &blocked))),
    }
}

/// One name that is not answered may be the fault of its own name servers; that none is, is ours.
fn judge(looked: Vec<Lookup>, all: usize) -> Vec<Check> {
    let asked = looked.len();
    let (mut good, mut troubles, mut unanswered) = (0usize, Vec::new(), Vec::new());
    for lookup in looked {
        match lookup {
            Lookup::Good => good += 1,
            Lookup::Trouble(check) => troubles.push(*check),
            Lookup::Unanswered(problem) => unanswered.push(problem),
        }
    }
    let mut checks = Vec::new();
    if let Some(first) = unanswered.first() {
        let subject = look("names.resolver", "egress.nameservers, /etc/resolv.conf");
        let found = format!("{} of {asked} names were not answered; {first}", unanswered.len());
        let mend =
            "set egress.nameservers, or mend /etc/resolv.conf; calls wait until names are answered";
        checks.push(if unanswered.len() == asked && asked > 1 {
            subject.failed(found, "answers", mend)
        } else {
            subject.warning(found, "answers", mend)
        });
    }
    if troubles.is_empty() {
        let found = format!("{good} of {all} looked up, and none leads where it may not");
        checks.push(look("names.resolved", "hosts of endpoints").ok(found));
    }
    checks.extend(shortened(troubles, "names.resolved", "hosts of endpoints"));
    if all > asked {
        let why = format!("{} more were not looked up: --endpoints says how many are", all - asked);
        checks.push(look("names.resolved", "hosts of endpoints").skipped(why));
    }
    checks
}

async fn connect_all(
    world: &World<'_>,
    guard: &Guard,
    resolver: Arc<dyn Resolver>,
    asked: &[(&Url, &String)],
) -> Vec<Check> {
    let name = "names.connected";
    let probe = match probe(&world.config.egress, guard, resolver) {
        Ok(probe) => probe,
        Err(error) => {
            let why = format!("{error} (machine.roots, machine.proxy)");
            return vec![look(name, "hosts of endpoints").skipped(why)];
        }
    };
    world.progress.begin(asked.len());
    let connecting = stream::iter(asked).map(|(url, endpoint)| {
        let (probe, progress) = (probe.clone(), world.progress);
        async move {
            let connected = probe.connect(url).await;
            progress.step();
            connected.err().map(|problem| {
                let mend = "the customer has to start or correct the server there; if every host fails, look \
                            at firewall, proxy and route of this machine";
                let what = format!("{} of {endpoint}", url.as_str());
                look(name, what).warning(problem, "a connection, with TLS where it is https", mend)
            })
        }
    });
    let troubles: Vec<Option<Check>> = connecting.buffered(AT_ONCE).collect().await;
    world.progress.end();
    let mut troubles: Vec<Check> = troubles.into_iter().flatten().collect();
    if troubles.is_empty() {
        let found = format!("{} took a connection", asked.len());
        troubles.push(look(name, "hosts of endpoints").ok(found));
    }
    shortened(troubles, name, "hosts of endpoints")
}

fn probe(
    settings: &EgressConfig,
    guard: &Guard,
    resolver: Arc<dyn Resolver>,
) -> crate::ports::Result<Probe> {
    let credentials = settings.proxy_authorization_file.as_deref();
    let proxy = Proxy::configured(settings.proxy.as_ref(), credentials)?;
    Probe::through(proxy, guard.clone(), resolver, settings.extra_roots.as_deref())
}
