//! A connection that notes what passes, to tell a request that never left from one that may have
//! arrived.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::frames::Watch;
use crate::domain::connection::HttpVersion;

const FLOOD: &str = "the server sends more frames than it was asked for";

/// What is known of a connection, shared with the calls that use it.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// The address that was dialled and vetted.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    written: AtomicU64,
    /// How much had been written when the last call ended. HTTP/1.1 has one call at a time.
    mark: AtomicU64,
    refused: AtomicBool,
    flooded: AtomicBool,
    since: Instant,
    /// When something was written last, in nanoseconds after `since`, if anybody asks for it.
    written_at: Option<AtomicU64>,
    /// HTTP/2 has many calls at a time, each in frames of its own.
    watch: Option<Mutex<Watch>>,
}

impl ConnectionInfo {
    /// A new connection to `address`.
    pub fn new(address: SocketAddr, http: HttpVersion, is_timed: bool) -> Self {
        let watch = match http {
            HttpVersion::V1_1 => None,
            HttpVersion::V2 => Some(Mutex::new(Watch::new())),
        };
        let shared = Shared {
            written: AtomicU64::new(0),
            mark: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            flooded: AtomicBool::new(false),
            since: Instant::now(),
            written_at: is_timed.then(AtomicU64::default),
            watch,
        };
        Self { address, shared: Arc::new(shared) }
    }

    /// When something was written last, if it is kept.
    pub fn written_at(&self) -> Option<Instant> {
        let nanos = self.shared.written_at.as_ref()?.load(Ordering::Relaxed);
        Some(self.shared.since + Duration::from_nanos(nanos))
    }

    fn watch(&self) -> Option<MutexGuard<'_, Watch>> {
        let watch = self.shared.watch.as_ref()?;
        Some(watch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.shared.watch.is_some()
    }

    /// Whether anything of the call in progress was written. What belongs to one of many calls is not
    /// known, so it counts as written.
    pub fn wrote(&self) -> bool {
        let Shared { written, mark, .. } = &*self.shared;
        self.is_http2() || written.load(Ordering::Acquire) > mark.load(Ordering::Acquire)
    }

    /// Ends a call: what is written from here on belongs to the next.
    pub fn end_call(&self) {
        let Shared { written, mark, .. } = &*self.shared;
        mark.store(written.load(Ordering::Acquire), Ordering::Release);
    }

    /// Whether the server has refused our side of the handshake after it was over for us.
    pub fn is_refused(&self) -> bool {
        self.shared.refused.load(Ordering::Acquire)
    }

    /// Whether the server sent more than it was asked for.
    pub fn is_flooded(&self) -> bool {
        self.shared.flooded.load(Ordering::Acquire)
    }

    /// Whether an HTTP/2 server has said goodbye and left out the newest request, and so every one that
    /// it ends with its goodbye.
    pub fn is_newest_refused(&self) -> bool {
        self.watch().is_some_and(|watch| watch.is_newest_refused())
    }

    /// Notes the first `written` bytes of `bufs`.
    fn note_sent<'b>(&self, written: usize, bufs: impl Iterator<Item = &'b [u8]>) {
        self.shared.written.fetch_add(written as u64, Ordering::AcqRel);
        if let Some(at) = &self.shared.written_at {
            let nanos = self.shared.since.elapsed().as_nanos();
            at.store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        let Some(mut watch) = self.watch() else { return };
        let mut left = written;
        for buf in bufs {
            let part = left.min(buf.len());
            watch.sent(&buf[..part]);
            left -= part;
        }
    }

    fn note_came(&self, bytes: &[u8]) {
        let Some(mut watch) = self.watch() else { return };
        if !watch.came(bytes, self.shared.since.elapsed()) {
            self.shared.flooded.store(true, Ordering::Release);
        }
    }
}

/// In TLS 1.3 the server judges the client's certificate after the handshake is over for the client;
/// it says so instead of reading the request (RFC 8446 sections 4.4.2 and 6.2).
fn is_refused_handshake(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    matches!(
        inner,
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::HandshakeFailure
                | AlertDescription::DecryptError
        ))
    )
}

/// A plain or an encrypted connection.
pub enum Transport {
    /// Plain.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that notes what passes.
pub struct NotingStream {
    inner: Transport,
    info: ConnectionInfo,
}

impl NotingStream {
    /// Wraps a connection.
    pub fn new(inner: Transport, info: ConnectionInfo) -> Self {
        Self { inner, info }
    }

    fn note_error<T>(&self, result: &Poll<io::Result<T>>) {
        if let Poll::Ready(Err(error)) = result
            && is_refused_handshake(error)
        {
            self.info.shared.refused.store(true, Ordering::Release);
        }
    }
}

impl Connection for NotingStream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.info.clone());
        if self.info.is_http2() { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for NotingStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.info.is_flooded() {
            return Poll::Ready(Err(io::Error::other(FLOOD)));
        }
        let before = buf.filled().len();
        let result = Pin::new(&mut this.inner).poll_read(cx, buf);
        this.note_error(&result);
        // What came in time is passed on: a status may be among it.
        this.info.note_came(&buf.filled()[before..]);
        result
    }
}

impl AsyncWrite for NotingStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.note_error(&result);
        if let Poll::Ready(Ok(written)) = &result {
            this.info.note_sent(*written, std::iter::once(buf));
        }
        result
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.note_error(&result);
        if let Poll::Ready(Ok(written)) = &result {
            this.info.note_sent(*written, bufs.iter().map(|buf| &**buf));
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
