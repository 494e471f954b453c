//! Settings that load and are dangerous all the same.

use std::net::{IpAddr, SocketAddr};

use crate::config::Config;
use crate::delivery::Fencing;
use crate::domain::check::{Check, look};
use crate::egress::guard::address::check_public;
use crate::telemetry::logging::Verbosity;

/// Ports on which other things than web servers listen, which can be made to obey a line of a request.
const OBEDIENT: [(u16, &str); 8] = [
    (22, "SSH"),
    (25, "SMTP"),
    (2375, "Docker"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (6379, "Redis"),
    (9200, "Elasticsearch"),
    (11211, "memcached"),
];
/// A withdrawn key serves for this long at most, by default.
const LONG_CACHE_SECONDS: u64 = 3600;

/// Judges all settings.
pub fn examine(config: &Config) -> Vec<Check> {
    let form = if config.is_aws() { "the AWS form" } else { "the embedded form" };
    let mut checks = vec![look("settings.load", "file and SEALPOST_* variables").ok(form)];
    let dangers = [
        plain_http(config),
        allowed(config),
        ports(config),
        unbound(config),
        cache(config),
        log(config),
        listen("settings.api_listen", "api.listen", config.api.listen, API),
        listen("settings.metrics_listen", "metrics.listen", config.metrics.listen, METRICS),
        proxies(config),
        embed(config),
        fence(config),
    ];
    checks.extend(dangers.into_iter().flatten());
    checks
}

const API: (&str, &str) = (
    "loopback: keys of the API travel in plain HTTP",
    "listen on 127.0.0.1, and put a proxy with TLS before it (docs/API.md)",
);
const METRICS: (&str, &str) =
    ("loopback: it asks for no key", "listen on 127.0.0.1, or where only your monitoring reaches");

fn plain_http(config: &Config) -> Option<Check> {
    config.egress.allow_http.then(|| {
        look("settings.allow_http", "egress.allow_http").warning(
            "true",
            "false: over plain HTTP everybody on the way reads secrets and jobs",
            "remove egress.allow_http, once all endpoints are https",
        )
    })
}

fn allowed(config: &Config) -> Option<Check> {
    let private = |net: &&ipnet::IpNet| check_public(net.network()).is_err();
    let opened: Vec<String> =
        config.egress.allow.iter().filter(private).map(ToString::to_string).collect();
    if opened.is_empty() {
        return None;
    }
    let metadata = IpAddr::from([169, 254, 169, 254]);
    let opens_metadata = config.egress.allow.iter().any(|net| net.contains(&metadata));
    let found = if opens_metadata {
        format!(
            "{}, with the cloud's metadata service, which hands out credentials",
            opened.join(", ")
        )
    } else {
        opened.join(", ")
    };
    Some(look("settings.allow", "egress.allow").warning(
        found,
        "public addresses alone: whoever registers an endpoint can reach what is listed",
        "list single addresses (/32, /128) of receivers of your own, and nothing else",
    ))
}

fn ports(config: &Config) -> Option<Check> {
    let is_open = |port| config.egress.ports.iter().any(|range| range.contains(port));
    let open = OBEDIENT.iter().filter(|(port, _)| is_open(*port));
    let open: Vec<String> = open.map(|(port, who)| format!("{port} ({who})")).collect();
    if open.is_empty() {
        return None;
    }
    Some(look("settings.ports", "egress.ports").warning(
        open.join(", "),
        "ports of web servers alone",
        "list the ports that your customers' endpoints use",
    ))
}

fn unbound(config: &Config) -> Option<Check> {
    config.secrets.accept_unbound_secrets.then(|| {
        look("settings.unbound", "secrets.accept_unbound_secrets").warning(
            "true",
            "false: who can write the table can give one customer's value to another",
            "bind what is left with `sealpost secret rewrap`, then remove the setting (docs/AWS.md)",
        )
    })
}

fn cache(config: &Config) -> Option<Check> {
    let hard = config.cache.lifetimes(config.is_aws()).hard;
    (hard.as_secs() > LONG_CACHE_SECONDS).then(|| {
        look("settings.cache", "cache.hard").warning(
            format!("{} s", hard.as_secs()),
            "at most an hour: for so long secrets serve after their key was withdrawn",
            "lower cache.hard",
        )
    })
}

fn log(config: &Config) -> Option<Check> {
    let level = match config.log.level {
        Verbosity::Error | Verbosity::Warn | Verbosity::Info => return None,
        Verbosity::Debug => "debug",
        Verbosity::Trace => "trace",
    };
    Some(look("settings.log", "log.level").warning(
        level,
        "info: every delivery writes lines",
        "remove log.level when you have seen what you looked for",
    ))
}

fn listen(
    name: &'static str,
    key: &str,
    address: Option<SocketAddr>,
    (expected, mend): (&str, &str),
) -> Option<Check> {
    let address = address.filter(|address| !address.ip().is_loopback())?;
    Some(look(name, key).warning(address.to_string(), expected, mend))
}

fn proxies(config: &Config) -> Option<Check> {
    let everybody = |net: &&ipnet::IpNet| net.prefix_len() < 8;
    let net = config.api.trusted_proxies.iter().find(everybody)?;
    Some(look("settings.trusted_proxies", "api.trusted_proxies").warning(
        net.to_string(),
        "your own proxies: whoever is listed says which address a request came from",
        "list the addresses of your proxies",
    ))
}

fn embed(config: &Config) -> Option<Check> {
    let plain = config.console.embed_origins.iter().find(|origin| !origin.is_encrypted())?;
    Some(look("settings.embed_origins", "console.embed_origins").warning(
        plain.to_string(),
        "https origins: the page around the customer's can be replaced on its way",
        "serve that page over https",
    ))
}

/// The worker does not start otherwise.
fn fence(config: &Config) -> Option<Check> {
    let aws = config.aws.as_ref()?;
    if !aws.is_fifo() || config.worker.fence == Fencing::All {
        return None;
    }
    Some(look("settings.fence", "worker.fence").failed(
        "retries",
        "all: on a FIFO queue every attempt has to be claimed",
        "set `fence = \"all\"` under [worker]",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::check::Status;

    fn judged(settings: &[(&str, &str)]) -> Vec<Check> {
        let variables = settings.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        examine(&Config::load(None, variables).unwrap())
    }

    #[test]
    fn the_defaults_are_not_dangerous() {
        let checks = judged(&[]);
        assert!(checks.iter().all(|check| check.status == Status::Ok), "{checks:?}");
    }

    #[test]
    fn every_dangerous_setting_is_named_with_what_to_do() {
        let aws = [
            ("SEALPOST_AWS_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/1/jobs.fifo"),
            (
                "SEALPOST_AWS_DEAD_LETTER_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/1/dead.fifo",
            ),
            ("SEALPOST_AWS_KMS_KEY_ID", "alias/sealpost"),
        ];
        for (variable, value, name) in [
            ("SEALPOST_EGRESS_ALLOW_HTTP", "true", "settings.allow_http"),
            ("SEALPOST_EGRESS_ALLOW", "['10.0.0.0/8']", "settings.allow"),
            ("SEALPOST_EGRESS_PORTS", "['1-65535']", "settings.ports"),
            ("SEALPOST_SECRETS_ACCEPT_UNBOUND_SECRETS", "true", "settings.unbound"),
            ("SEALPOST_CACHE_HARD", "2h", "settings.cache"),
            ("SEALPOST_LOG_LEVEL", "trace", "settings.log"),
            ("SEALPOST_API_LISTEN", "0.0.0.0:8700", "settings.api_listen"),
            ("SEALPOST_METRICS_LISTEN", "[::]:9464", "settings.metrics_listen"),
            ("SEALPOST_API_TRUSTED_PROXIES", "['0.0.0.0/0']", "settings.trusted_proxies"),
            ("SEALPOST_CONSOLE_EMBED_ORIGINS", "['http://a.example']", "settings.embed_origins"),
        ] {
            let checks = judged(&[(variable, value)]);
            let check = checks.iter().find(|check| check.name == name);
            let check = check.unwrap_or_else(|| panic!("{name}: {checks:?}"));
            assert_eq!(check.status, Status::Warning, "{name}");
            assert!(check.mend.is_some() && check.expected.is_some(), "{name}");
        }
        let checks = judged(&aws);
        assert!(checks.iter().any(|c| c.name == "settings.fence" && c.status == Status::Failed));
    }

    #[test]
    fn a_public_network_that_is_allowed_is_no_danger_and_metadata_is_named() {
        assert_eq!(judged(&[("SEALPOST_EGRESS_ALLOW", "['93.184.216.0/24']")]).len(), 1);
        let checks = judged(&[("SEALPOST_EGRESS_ALLOW", "['0.0.0.0/0']")]);
        assert!(checks[1].found.contains("metadata"), "{checks:?}");
    }
}
