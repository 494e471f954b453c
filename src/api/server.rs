//! The server: connections in, responses out, and a clean end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::failures::Peer;
use crate::worker::Stop;

/// How long a client may take to send the head of a request, or leave its connection unused.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Most connections at once; the next ones wait to be accepted.
const MOST_CONNECTIONS: usize = 4096;
/// How long the server rests when the machine has no more sockets.
const REST: Duration = Duration::from_millis(100);

/// Listens; told whether that is beyond this machine, where keys would go over the wire as they are.
///
/// # Errors
/// If the address cannot be used.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        warn!(event = "api", %address, "keys travel in plain HTTP: put a proxy with TLS before this");
    }
    info!(event = "api_listening", %address);
    Ok(listener)
}

/// Serves until told to stop; requests in progress are finished, for as long as `drain`.
pub async fn serve(listener: TcpListener, router: Router, drain: Duration, stop: Stop) {
    let (places, tasks) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), TaskTracker::new());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.soft.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let connection = serve_one(stream, router.clone(), stop.clone());
                tasks.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(event = "api", "cannot accept: {error}");
                sleep(REST).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    tokio::select! {
        () = stop.hard.cancelled() => {}
        ended = timeout(drain, tasks.wait()) => {
            if ended.is_err() {
                warn!(event = "api", "requests in progress were cut short");
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

async fn serve_one(stream: TcpStream, router: Router, stop: Stop) {
    let peer = stream.peer_addr().ok().map(|peer| Peer(peer.ip()));
    let router = TowerToHyperService::new(router);
    let from_peer = service_fn(move |mut request: Request<Incoming>| {
        peer.and_then(|peer| request.extensions_mut().insert(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), from_peer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.soft.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = stop.hard.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        debug!(event = "api", "a connection broke off: {error}");
    }
}
