//! What customers have registered: whether it can be called, and whether its secrets may go where it sends
//! them.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::shortened;
use crate::config::Config;
use crate::delivery::{Compiled, compile, destinations};
use crate::domain::check::{Check, look};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::SealedSecret;
use crate::egress::guard::{Blocked, Guard};
use crate::ports::endpoints::StoredEndpoint;

/// Endpoints as they were judged.
pub struct Judged<'a> {
    /// What is said of them.
    pub checks: Vec<Check>,
    /// Those that can be called.
    pub usable: Vec<(&'a Endpoint, Compiled)>,
    /// Where calls go, without path and query, each with an endpoint that it is of.
    pub hosts: BTreeMap<Url, String>,
}

/// Whether each can be called, as far as that shows without looking its name up.
pub fn judge<'a>(stored: &'a [StoredEndpoint], guard: &Guard) -> Judged<'a> {
    let (mut troubles, mut usable, mut hosts) = (Vec::new(), Vec::new(), BTreeMap::new());
    for StoredEndpoint { endpoint, .. } in stored {
        let shown = shown(endpoint);
        let url = match guard.check_url(&endpoint.url.example()) {
            Ok(url) => url,
            Err(blocked) => {
                troubles.push(refused("endpoints.usable", &shown, &blocked));
                continue;
            }
        };
        match compile(endpoint, guard) {
            Ok(compiled) => {
                let elsewhere = compiled.chain.places().map(|(_, url)| url.clone());
                for url in std::iter::once(url).chain(elsewhere) {
                    hosts.entry(bare(url)).or_insert_with(|| shown.clone());
                }
                usable.push((endpoint, compiled));
            }
            Err(error) => troubles.push(look("endpoints.usable", &shown).warning(
                error.to_string(),
                "an endpoint that can be called: its jobs are dead-lettered",
                "put it again, corrected: `sealpost endpoint put`",
            )),
        }
    }
    if troubles.is_empty() {
        let found = format!("{} can be called", usable.len());
        troubles.push(look("endpoints.usable", "all endpoints").ok(found));
    }
    let checks = shortened(troubles, "endpoints.usable", "endpoints");
    Judged { checks, usable, hosts }
}

fn shown(endpoint: &Endpoint) -> String {
    format!("{}/{}", endpoint.customer_id, endpoint.endpoint_id)
}

fn bare(mut url: Url) -> Url {
    url.set_path("/");
    url.set_query(None);
    url
}

/// What the guard refuses, with the setting that would allow it.
pub fn refused(name: &'static str, what: &str, blocked: &Blocked) -> Check {
    let mend = match blocked {
        Blocked::Character | Blocked::Unparsable(_) | Blocked::Credentials => {
            "put the endpoint again with another URL: `sealpost endpoint put`".to_owned()
        }
        Blocked::Scheme(_) => {
            "have it served over https; egress.allow_http = true allows http".to_owned()
        }
        Blocked::Port(port) => {
            format!("if a web server listens there, add \"{port}\" to egress.ports")
        }
        Blocked::Name(name, _) => {
            format!("if it is a receiver of your own, add \"{name}\" to egress.allow_names")
        }
        Blocked::Address(address, _) => {
            let length = if address.is_ipv4() { 32 } else { 128 };
            format!(
                "if it is a receiver of your own, add \"{address}/{length}\" to egress.allow (and take it out \
                 of egress.deny); otherwise the customer has to correct the address"
            )
        }
    };
    look(name, what).warning(blocked.to_string(), "what the egress guard lets through", mend)
}

/// Whether the secrets of each are there, and may go where it sends them.
pub fn secrets(
    usable: &[(&Endpoint, Compiled)],
    sealed: &[(CustomerId, SecretId, SealedSecret)],
) -> Vec<Check> {
    let known: BTreeMap<(&CustomerId, &SecretId), &SealedSecret> =
        sealed.iter().map(|(customer, id, secret)| ((customer, id), secret)).collect();
    let (mut troubles, mut used) = (Vec::new(), BTreeSet::new());
    for (endpoint, compiled) in usable {
        let customer = &endpoint.customer_id;
        for (id, origins) in destinations(endpoint, &compiled.chain) {
            let what = format!("secret {id} of {}", shown(endpoint));
            let Some(secret) = known.get(&(customer, &id)) else {
                troubles.push(look("endpoints.secrets", what).warning(
                    "there is none",
                    "a secret: the endpoint's jobs are dead-lettered without it",
                    format!(
                        "sealpost secret put {customer} {id} --origin {}",
                        endpoint.url.origin()
                    ),
                ));
                continue;
            };
            if let Some(origin) = origins.iter().find(|o| !secret.current.may_go_to(o)) {
                let bound: Vec<String> =
                    secret.current.origins.iter().map(ToString::to_string).collect();
                troubles.push(look("endpoints.secrets", what).failed(
                    format!("it may go to {}, and is sent to {origin}", bound.join(", ")),
                    "every place that it is sent to among its origins: nothing is sent otherwise",
                    format!(
                        "put its value again: sealpost secret put {customer} {id} --origin {origin}"
                    ),
                ));
            }
            used.insert((customer.clone(), id));
        }
    }
    if troubles.is_empty() {
        let found = format!("{} in use may go where they are sent", used.len());
        troubles.push(look("endpoints.secrets", "secrets of all endpoints").ok(found));
    }
    shortened(troubles, "endpoints.secrets", "secrets of endpoints")
}

/// Whether somebody is told of operational events.
pub fn operator(config: &Config, stored: &[StoredEndpoint]) -> Check {
    let Some(customer) = &config.events.customer else {
        return look("endpoints.operator", "events.customer")
            .ok("not set: operational events are in the log alone");
    };
    let subject = look("endpoints.operator", format!("events.customer = {customer}"));
    let own = stored.iter().filter(|stored| stored.endpoint.customer_id == *customer).count();
    if own > 0 {
        return subject.ok(format!("{own} endpoints of it"));
    }
    let mend = format!("put an endpoint of the customer {customer}, or remove events.customer");
    subject.warning("it has no endpoint", "an endpoint that operational events go to", mend)
}
