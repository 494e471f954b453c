//! The operator's proxy: what lets calls leave from an address that stays the same.
//!
//! It is asked for a tunnel to an address that was vetted here (`CONNECT`, RFC 9110 section 9.3.6);
//! names, TLS and the request pass through it unseen. Its own address is the operator's word and is
//! not vetted, and it is dialled as a proxy only.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::connector::{ConnectError, fault, open};
use super::progress::{Progress, Stage};
use super::proxy_answer::{MAX_HEAD, Verdict, judge};
use super::resolver::Resolver;
use crate::domain::secret::SecretBytes;
use crate::ports::{Error, Result};

/// Where a proxy is: `http://10.0.0.9:3128`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyUrl(Host<String>, u16);

/// A text that does not say where a proxy is. It is not repeated: there may be a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the http address of a proxy, for example \"http://10.0.0.9:3128\", without a path; user name and password go into a file that proxy_authorization_file names"
)]
pub struct InvalidProxy;

impl FromStr for ProxyUrl {
    type Err = InvalidProxy;
    fn from_str(text: &str) -> std::result::Result<Self, InvalidProxy> {
        let url = Url::parse(text).map_err(|_| InvalidProxy)?;
        let is_bare = url.scheme() == "http"
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host().filter(|_| is_bare).ok_or(InvalidProxy)?;
        Ok(Self(host.to_owned(), url.port().unwrap_or(80)))
    }
}

impl TryFrom<String> for ProxyUrl {
    type Error = InvalidProxy;
    fn try_from(text: String) -> std::result::Result<Self, InvalidProxy> {
        text.parse()
    }
}

impl From<ProxyUrl> for String {
    fn from(ProxyUrl(host, port): ProxyUrl) -> Self {
        format!("http://{host}:{port}")
    }
}

/// The proxy.
pub struct Proxy {
    url: ProxyUrl,
    /// The value of `Proxy-Authorization`.
    authorization: Option<SecretBytes>,
    /// How often it has answered: a sign of life.
    answers: AtomicU64,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url).finish_non_exhaustive()
    }
}

fn ours(problem: impl Into<String>) -> Error {
    Error::new("egress.proxy", problem.into())
}

impl Proxy {
    /// The proxy that the settings name; `credentials` is a file with one line, `user:password`.
    ///
    /// # Errors
    /// If the file cannot be used, or there is one without a proxy.
    pub fn configured(url: Option<&ProxyUrl>, credentials: Option<&Path>) -> Result<Option<Self>> {
        let Some(url) = url else {
            let without = "proxy_authorization_file is set under [egress], and proxy is not";
            return if credentials.is_none() { Ok(None) } else { Err(ours(without)) };
        };
        let authorization = credentials.map(read_credentials).transpose()?;
        Ok(Some(Self { url: url.clone(), authorization, answers: AtomicU64::new(0) }))
    }

    /// How often it has answered so far.
    pub fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    /// A connection through it to `target`, which was vetted.
    pub async fn tunnel(
        &self,
        target: SocketAddr,
        resolver: &dyn Resolver,
        progress: &Progress,
    ) -> std::result::Result<TcpStream, ConnectError> {
        progress.reach(Stage::ToProxy, Some(target));
        let mut stream = self.dial(resolver).await?;
        progress.reach(Stage::Tunnelling(self.answers()), None);
        let answer = self.ask(&mut stream, target).await;
        let verdict =
            judge(&answer.map_err(|e| ConnectError::Ours(ours(format!("the proxy: {e}"))))?);
        // What makes no sense is no sign of life.
        if !matches!(verdict, Verdict::Nonsense(_)) {
            self.answers.fetch_add(1, Ordering::AcqRel);
        }
        match verdict {
            Verdict::Open => Ok(stream),
            Verdict::Target(phase, status) => Err(fault(
                phase,
                format!("{target}: the proxy could not reach it (status {status})"),
            )),
            Verdict::Refused(status) => {
                let hint = if status == 407 { ": see egress.proxy_authorization_file" } else { "" };
                let problem = format!("the proxy refused a tunnel (status {status}){hint}");
                Err(ConnectError::Ours(ours(problem)))
            }
            Verdict::Nonsense(problem) => Err(ConnectError::Ours(ours(problem))),
        }
    }

    /// Whether it takes connections. It is asked for nothing.
    ///
    /// # Errors
    /// If it does not, or its name is not found.
    pub async fn reach(&self, resolver: &dyn Resolver) -> std::result::Result<(), ConnectError> {
        self.dial(resolver).await.map(drop)
    }

    async fn dial(&self, resolver: &dyn Resolver) -> std::result::Result<TcpStream, ConnectError> {
        let ProxyUrl(host, port) = &self.url;
        let addresses: Vec<IpAddr> = match host {
            Host::Ipv4(address) => vec![(*address).into()],
            Host::Ipv6(address) => vec![(*address).into()],
            Host::Domain(name) => resolver.resolve(name).await.map_err(ConnectError::Ours)?,
        };
        let mut last = "its name has no address".to_owned();
        for address in addresses {
            match open(SocketAddr::new(address, *port)).await {
                Ok(stream) => return Ok(stream),
                Err(e) => last = e.to_string(),
            }
        }
        Err(ConnectError::Ours(ours(format!("no connection to the proxy: {last}"))))
    }

    /// Asks for the tunnel; what came up to the end of a head, or up to the most that a head may have.
    async fn ask(&self, stream: &mut TcpStream, target: SocketAddr) -> io::Result<Vec<u8>> {
        let mut request = Zeroizing::new(Vec::with_capacity(512));
        request.extend(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").bytes());
        if let Some(authorization) = &self.authorization {
            request.extend(b"Proxy-Authorization: ");
            request.extend(authorization.expose());
            request.extend(b"\r\n");
        }
        request.extend(b"\r\n");
        stream.write_all(&request).await?;
        let mut answer = Vec::with_capacity(512);
        while answer.len() < MAX_HEAD && !answer.windows(4).any(|four| four == b"\r\n\r\n") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed the connection"));
            }
        }
        Ok(answer)
    }
}

fn read_credentials(path: &Path) -> Result<SecretBytes> {
    let refuse = |problem: &str| ours(format!("{}: {problem}", path.display()));
    let text = std::fs::read(path).map(Zeroizing::new).map_err(|e| refuse(&e.to_string()))?;
    let line = text.strip_suffix(b"\n").unwrap_or(&text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let has_control = line.iter().any(u8::is_ascii_control);
    if has_control || !line.contains(&b':') {
        return Err(refuse("expected one line, user:password"));
    }
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(line));
    Ok(SecretBytes::new([b"Basic ", encoded.as_bytes()].concat()))
}
