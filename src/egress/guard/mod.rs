//! What may be called: schemes, ports, names and addresses.

pub mod address;
mod name;
mod ports;

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

pub use ports::PortRange;

/// The operator's policy.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Whether plain `http` may be called.
    pub allow_http: bool,
    /// Addresses that may be called although they are not public.
    pub allow: Vec<IpNet>,
    /// Addresses that may not be called although they are public: one's own, for instance.
    pub deny: Vec<IpNet>,
    /// Names that may be called although they are reserved for local use; their addresses are
    /// vetted all the same.
    pub allow_names: Vec<String>,
    /// Ports that may be called.
    pub ports: Vec<PortRange>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            allow_http: false,
            allow: Vec::new(),
            deny: Vec::new(),
            allow_names: Vec::new(),
            ports: ports::WEB.to_vec(),
        }
    }
}

/// Why something may not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// White space, a control character or a backslash, which parsers disagree about.
    #[error("the URL holds a space, a control character or a backslash")]
    Character,
    /// Not an absolute URL.
    #[error("not an absolute URL: {0}")]
    Unparsable(String),
    /// A scheme other than https (or http, where allowed).
    #[error("the scheme {0} is not allowed: expected https{hint}", hint = if .0 == "http" { ", or set egress.allow_http" } else { "" })]
    Scheme(String),
    /// User name or password in the URL.
    #[error("the URL holds a user name or a password: use an auth step")]
    Credentials,
    /// A port outside the list.
    #[error("port {0} is not allowed: see egress.ports")]
    Port(u16),
    /// A name that is not public.
    #[error("the name {0} is not a public name: {1}")]
    Name(String, &'static str),
    /// An address that is not public.
    #[error("the address {0} is blocked: {1}")]
    Address(IpAddr, &'static str),
}

impl Guard {
    /// For what the operator names in the settings: it is called wherever it is.
    pub fn of_the_operator() -> Self {
        let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|net| net.parse().ok()).collect();
        Self { allow_http: true, allow: everywhere, ..Self::default() }
    }

    /// Vets a URL as text: everything that can be known without resolving its name.
    pub fn check_url(&self, text: &str) -> Result<Url, Blocked> {
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(Blocked::Character);
        }
        let url = Url::parse(text).map_err(|e| Blocked::Unparsable(e.to_string()))?;
        self.check_parsed(&url)?;
        Ok(url)
    }

    /// Vets a parsed URL: the one that is about to be called.
    pub fn check_parsed(&self, url: &Url) -> Result<(), Blocked> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            other => return Err(Blocked::Scheme(other.to_owned())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Blocked::Credentials);
        }
        // Both schemes have a default port.
        let port = url.port_or_known_default().unwrap_or(0);
        if !self.ports.iter().any(|range| range.contains(port)) {
            return Err(Blocked::Port(port));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_address(address.into()),
            Some(Host::Ipv6(address)) => self.check_address(address.into()),
            Some(Host::Domain(name)) => self.check_name(name),
            None => Err(Blocked::Unparsable("it has no host".to_owned())),
        }
    }

    /// Vets an address: one in a URL, or one that a name resolved to.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Blocked> {
        let judged = address::unmapped(address);
        if self.deny.iter().any(|net| net.contains(&judged)) {
            return Err(Blocked::Address(address, "the operator denies it (egress.deny)"));
        }
        if self.allow.iter().any(|net| net.contains(&judged)) {
            return Ok(());
        }
        address::check_public(judged).map_err(|why| Blocked::Address(address, why))
    }

    fn check_name(&self, name: &str) -> Result<(), Blocked> {
        let bare = name.strip_suffix('.').unwrap_or(name);
        name::check_form(bare).map_err(|why| Blocked::Name(name.to_owned(), why))?;
        if self.allow_names.iter().any(|allowed| allowed.eq_ignore_ascii_case(bare)) {
            return Ok(());
        }
        name::check_public(bare).map_err(|why| Blocked::Name(name.to_owned(), why))
    }
}
