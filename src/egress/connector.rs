//! Opens connections: looks the name up, vets every address, dials, and shakes hands. Nothing else
//! in the program opens a connection to the outside.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::guard::{Blocked, Guard};
use super::notes::{Notes, Route, Session};
use super::progress::{PROGRESS, Progress, Stage};
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::stream::{ConnectionInfo, NotingStream, Transport};
use crate::domain::connection::{CONNECT_TIMEOUT, HttpVersion};
use crate::domain::outcome::Phase;
use crate::ports::Error;

/// What a server has to choose in the handshake to speak HTTP/2 (RFC 9113 section 3.2).
pub const H2: &[u8] = b"h2";
const NO_H2: &str =
    "the server does not speak HTTP/2: it did not choose h2 in the handshake (ALPN)";
/// Most addresses of one name that are dialled, one after another.
const MAX_DIALS: usize = 4;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint's fault.
    #[error("{detail}")]
    Endpoint {
        /// How far it came.
        phase: Phase,
        /// What happened.
        detail: String,
    },
    /// Ours: the resolver or the proxy failed.
    #[error(transparent)]
    Ours(Error),
}

/// A failure of the endpoint's.
pub fn fault(phase: Phase, detail: impl Into<String>) -> ConnectError {
    ConnectError::Endpoint { phase, detail: detail.into() }
}

/// Why a connection was not opened. That this machine has no more open files, ports or memory is no
/// fault of the endpoint's.
fn not_opened(address: SocketAddr, error: &io::Error) -> ConnectError {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM) => {
            ConnectError::Ours(Error::new("egress.connect", error.to_string()))
        }
        Some(_) | None => fault(Phase::Connect, format!("{address}: {error}")),
    }
}

fn late(progress: &Progress) -> ConnectError {
    match progress.late() {
        Ok(phase) => fault(phase, "no connection in time"),
        Err(error) => ConnectError::Ours(error),
    }
}

/// The connector.
#[derive(Clone)]
pub struct GuardedConnector {
    /// What may be dialled.
    pub guard: Arc<Guard>,
    /// Looks names up.
    pub resolver: Arc<dyn Resolver>,
    /// Encrypts.
    pub tls: TlsConnector,
    /// What is spoken.
    pub http: HttpVersion,
    /// What everything goes through, if the operator says so.
    pub proxy: Option<Arc<Proxy>>,
    /// Where it is noted what is met, if somebody wants to see it.
    pub notes: Option<Arc<Notes>>,
}

/// A connection as the client takes it.
type Stream = TokioIo<NotingStream>;

impl Service<Uri> for GuardedConnector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // The pool may let a connection finish for a later call, after this one is gone. It keeps
        // to the time of the call that began it.
        let progress = PROGRESS.try_with(Arc::clone).unwrap_or_else(|_| {
            let deadline = Instant::now() + CONNECT_TIMEOUT;
            Arc::new(Progress::new(CONNECT_TIMEOUT, deadline, self.proxy.as_ref()))
        });
        let connector = self.clone();
        Box::pin(async move {
            let connecting = connector.connect(&uri, &progress);
            match timeout_at(progress.connect_by(), connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(late(&progress)),
            }
        })
    }
}

impl GuardedConnector {
    async fn connect(&self, uri: &Uri, progress: &Progress) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let encrypted = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let addresses = self.vetted_addresses(host).await?;
        let begun = Instant::now();
        let (stream, address) = self.dial(&addresses, port, progress).await?;
        self.note(|route| {
            route.connect = begun.elapsed();
            (route.connected, route.proxied) = (Some(address), self.proxy.is_some());
        });
        let transport = match (encrypted, self.http) {
            (true, _) => {
                progress.reach(Stage::Handshaking, None);
                self.handshake(host, stream).await?
            }
            (false, HttpVersion::V1_1) => Transport::Plain(stream),
            (false, HttpVersion::V2) => return Err(fault(Phase::Tls, "HTTP/2 needs https")),
        };
        let info = ConnectionInfo::new(address, self.http, progress.is_timed());
        progress.connected(info.clone());
        Ok(TokioIo::new(NotingStream::new(transport, info)))
    }

    fn note(&self, note: impl FnOnce(&mut Route)) {
        if let Some(notes) = &self.notes {
            notes.note(note);
        }
    }

    /// Every address of `host`. One that may not be dialled refuses them all: an answer that mixes
    /// public and private addresses is an attack or a mistake, and neither is worth a call.
    async fn vetted_addresses(&self, host: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let begun = Instant::now();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let addresses = match literal {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(host).await.map_err(ConnectError::Ours)?,
        };
        self.note(|route| {
            (route.addresses, route.lookup) = (addresses.clone(), begun.elapsed());
        });
        if addresses.is_empty() {
            return Err(fault(Phase::Dns, format!("the name {host} has no address")));
        }
        let vetted: Result<(), Blocked> =
            addresses.iter().try_for_each(|a| self.guard.check_address(*a));
        let verdict = vetted.clone().map_err(|blocked| blocked.to_string());
        self.note(|route| route.vetted = Some(verdict));
        vetted.map_err(|blocked| fault(Phase::Blocked, blocked.to_string()))?;
        Ok(alternate(addresses))
    }

    async fn dial(
        &self,
        addresses: &[IpAddr],
        port: u16,
        progress: &Progress,
    ) -> Result<(tokio::net::TcpStream, SocketAddr), ConnectError> {
        let mut last = fault(Phase::Connect, "there is no address to dial");
        for address in addresses.iter().take(MAX_DIALS) {
            let address = SocketAddr::new(*address, port);
            match self.reach(address, progress).await {
                Ok(stream) => return Ok((stream, address)),
                Err(ConnectError::Ours(error)) => return Err(ConnectError::Ours(error)),
                Err(failure @ ConnectError::Endpoint { .. }) => last = failure,
            }
        }
        Err(last)
    }

    /// A connection to a vetted address.
    async fn reach(
        &self,
        address: SocketAddr,
        progress: &Progress,
    ) -> Result<tokio::net::TcpStream, ConnectError> {
        if let Some(proxy) = &self.proxy {
            return proxy.tunnel(address, &*self.resolver, progress).await;
        }
        progress.reach(Stage::Connecting, Some(address));
        open(address).await.map_err(|e| not_opened(address, &e))
    }

    async fn handshake(
        &self,
        host: &str,
        stream: tokio::net::TcpStream,
    ) -> Result<Transport, ConnectError> {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let name =
            ServerName::try_from(host.to_owned()).map_err(|e| fault(Phase::Tls, e.to_string()))?;
        let begun = Instant::now();
        let shaken = self.tls.connect(name, stream).await;
        let stream = shaken.map_err(|e| fault(Phase::Tls, self.handshake_problem(&e)))?;
        self.note(|route| {
            route.handshake = begun.elapsed();
            route.session = Some(Session::of(stream.get_ref().1));
        });
        match self.http {
            HttpVersion::V2 if stream.get_ref().1.alpn_protocol() != Some(H2) => {
                Err(fault(Phase::Tls, NO_H2))
            }
            HttpVersion::V1_1 | HttpVersion::V2 => Ok(Transport::Tls(Box::new(stream))),
        }
    }

    fn handshake_problem(&self, error: &io::Error) -> String {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        let no_protocol = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        match self.http {
            HttpVersion::V2 if inner == Some(&no_protocol) => NO_H2.to_owned(),
            HttpVersion::V1_1 | HttpVersion::V2 => error.to_string(),
        }
    }
}

/// The addresses with IPv6 and IPv4 in turn (RFC 8305 section 4), so that a machine without one of
/// them reaches a name that has many addresses of it.
fn alternate(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut six, mut four): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(IpAddr::is_ipv6);
    let mut alternating = Vec::with_capacity(six.len() + four.len());
    while !(six.is_empty() && four.is_empty()) {
        alternating.extend(six.pop_front());
        alternating.extend(four.pop_front());
    }
    alternating
}

/// A connection to an address, whatever it is: only what was vetted, and the operator's proxy, may come
/// here.
pub async fn open(address: SocketAddr) -> io::Result<tokio::net::TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
