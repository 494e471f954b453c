//! What the process finds around it: open files, certificate authorities, addresses to listen on, and the
//! operator's own services that are called.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::domain::check::{Check, look};
use crate::domain::endpoint::Method;
use crate::domain::request::OutboundRequest;
use crate::egress::client::Client;
use crate::egress::guard::Guard;
use crate::egress::probe::{Probe, check_roots};
use crate::egress::proxy::Proxy;
use crate::egress::resolver::Resolver;
use crate::process::{TooFewFiles, check_open_files};

/// Longest time for one connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can be seen without calling anybody.
pub fn examine(config: &Config) -> Vec<Check> {
    vec![open_files(config.worker.concurrency), roots(config)]
}

/// What the operator's own services and addresses answer.
pub async fn reach(config: &Config, resolver: &Arc<dyn Resolver>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, key, address) in [
        ("machine.api_listen", "api.listen", config.api.listen),
        ("machine.metrics_listen", "metrics.listen", config.metrics.listen),
    ] {
        if let Some(address) = address {
            checks.push(listen(name, key, address, resolver).await);
        }
    }
    checks.extend(proxy(config, resolver).await);
    checks.extend(collector(config, resolver).await);
    checks
}

fn open_files(wanted: usize) -> Check {
    let subject = look("machine.open_files", format!("worker.concurrency = {wanted}"));
    match check_open_files(wanted) {
        Ok(Some(limit)) => subject.ok(format!("{limit} files may be open")),
        Ok(None) => subject.ok("no limit of open files"),
        Err(TooFewFiles { limit, deliveries }) => subject.warning(
            format!("{limit} files may be open, enough for {deliveries} deliveries at once"),
            "files for worker.concurrency deliveries",
            "raise the limit (ulimit -n, LimitNOFILE), or lower worker.concurrency",
        ),
    }
}

fn roots(config: &Config) -> Check {
    let extra = config.egress.extra_roots.as_deref();
    let extra_shown = extra.map(|path| format!(", {}", path.display())).unwrap_or_default();
    let subject =
        look("machine.roots", format!("the machine's certificate authorities{extra_shown}"));
    let mend =
        "install ca-certificates, set SSL_CERT_FILE, or name a PEM file in egress.extra_roots";
    match check_roots(extra) {
        Err(problem) => subject.failed(problem, "certificate authorities", mend),
        Ok(0) => subject.warning("the machine has none", "the machine's own, too", mend),
        Ok(count) => subject.ok(format!("{count} of the machine")),
    }
}

/// A port that is in use is good if it is sealpost's own: a worker is running.
async fn listen(
    name: &'static str,
    key: &str,
    address: SocketAddr,
    resolver: &Arc<dyn Resolver>,
) -> Check {
    let subject = look(name, format!("{key} = {address}"));
    let error = match TcpListener::bind(address).await {
        Ok(_) => return subject.ok("it is free"),
        Err(error) => error,
    };
    let expected = "an address that is free, or that sealpost serves";
    if error.kind() != ErrorKind::AddrInUse {
        let mend = format!("set {key} to an address of this machine, and a port that it may use");
        return subject.failed(error.to_string(), expected, mend);
    }
    if is_ours(address, resolver).await {
        return subject.ok("sealpost serves it");
    }
    let mend = format!("stop what listens there (`ss -ltnp`), or set {key} to another port");
    subject.failed("another program has it", expected, mend)
}

/// Whether what listens there tells its health as sealpost does.
async fn is_ours(address: SocketAddr, resolver: &Arc<dyn Resolver>) -> bool {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let asked = format!("http://{}/healthz", SocketAddr::new(host, address.port()));
    let guard = Arc::new(Guard::of_the_operator());
    let client = Client::with_roots(guard, Arc::clone(resolver), None);
    let (Ok(url), Ok(client)) = (asked.parse(), client) else { return false };
    let request = OutboundRequest::new(Method::Get, url, Bytes::new());
    let stop = CancellationToken::new();
    let Ok(reply) = client.send(&request, Instant::now() + PATIENCE, &stop).await else {
        return false;
    };
    let told = reply.result.ok().and_then(|answer| serde_json::from_slice(&answer.excerpt).ok());
    told.is_some_and(|told: serde_json::Value| told["status"] == "ok" || told["status"] == "stuck")
}

async fn proxy(config: &Config, resolver: &Arc<dyn Resolver>) -> Option<Check> {
    let credentials = config.egress.proxy_authorization_file.as_deref();
    let url = config.egress.proxy.clone();
    let shown = url.clone().map(String::from).unwrap_or_else(|| "none".to_owned());
    let subject = look("machine.proxy", format!("egress.proxy = {shown}"));
    let proxy = match Proxy::configured(url.as_ref(), credentials) {
        Ok(proxy) => proxy?,
        Err(error) => {
            let mend = "correct egress.proxy_authorization_file: one line, user:password";
            return Some(subject.failed(
                error.source.to_string(),
                "a proxy that can be used",
                mend,
            ));
        }
    };
    let reached = timeout(PATIENCE, proxy.reach(&**resolver)).await;
    let mend = "start it, or correct egress.proxy: without it no endpoint is called";
    Some(match reached {
        Ok(Ok(())) => subject.ok("it takes connections"),
        Ok(Err(error)) => subject.failed(error.to_string(), "it takes connections", mend),
        Err(_) => subject.failed("no answer within 5 s", "it takes connections", mend),
    })
}

async fn collector(config: &Config, resolver: &Arc<dyn Resolver>) -> Option<Check> {
    let url = config.traces.endpoint.as_ref()?.url();
    let subject = look("machine.collector", format!("traces.endpoint = {url}"));
    let mend = "start it, or correct traces.endpoint: spans are lost, deliveries go on";
    let expected = "it takes connections";
    let roots = config.egress.extra_roots.as_deref();
    let probe = Probe::through(None, Guard::of_the_operator(), Arc::clone(resolver), roots);
    Some(match probe {
        Ok(probe) => match probe.connect(url).await {
            Ok(()) => subject.ok(expected),
            Err(problem) => subject.warning(problem, expected, mend),
        },
        Err(error) => subject.skipped(format!("{error} (machine.roots)")),
    })
}
