//! The demonstration's receiver: what a customer's server would do. It verifies every call by code
//! that shares nothing with the signer: another HMAC, another base64.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::adapters::system::SystemClock;
use crate::ports::Clock;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What the receiver and its customers agreed on.
pub struct Credentials {
    pub signing_key: [u8; 32],
    pub password: String,
    pub api_key: String,
}

impl Credentials {
    /// The signing key as customers of Standard Webhooks hand it over.
    pub fn signing_secret(&self) -> String {
        format!("whsec_{}", encode_base64(&self.signing_key))
    }
}

#[derive(Default)]
struct State {
    /// Calls by job id, the accepted ones apart.
    calls: HashMap<String, u32>,
    accepted: HashMap<String, u32>,
    latencies_ms: Vec<u64>,
    refused: usize,
    mended: bool,
}

/// A server on a port of its own.
pub struct Receiver {
    origin: String,
    credentials: Arc<Credentials>,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Begins to listen.
    pub async fn start(credentials: Credentials) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let (credentials, state) = (Arc::new(credentials), Arc::<Mutex<State>>::default());
        let (agreed, shared) = (Arc::clone(&credentials), Arc::clone(&state));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (agreed, shared) = (Arc::clone(&agreed), Arc::clone(&shared));
                let serve = service_fn(move |request| {
                    answer(request, Arc::clone(&agreed), Arc::clone(&shared))
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        Ok(Self { origin, credentials, state })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// From now on the broken endpoint works.
    pub fn mend(&self) {
        lock(&self.state).mended = true;
    }

    /// How many different jobs were accepted.
    pub fn delivered(&self) -> usize {
        lock(&self.state).accepted.len()
    }

    /// How many calls did not verify.
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    /// How many jobs were accepted more than once.
    pub fn arrived_twice(&self) -> usize {
        lock(&self.state).accepted.values().filter(|times| **times > 1).count()
    }

    /// A quantile of the time from enqueue to accepted arrival.
    pub fn latency_ms(&self, quantile: f64) -> u64 {
        let mut latencies = lock(&self.state).latencies_ms.clone();
        latencies.sort_unstable();
        let rank = (latencies.len() as f64 * quantile).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    request: Request<Incoming>,
    credentials: Arc<Credentials>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let header =
        |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let id = header("webhook-id").to_owned();
    let verified = match head.uri.path().split('/').nth(1) {
        Some("signed") => {
            let (timestamp, signature) = (header("webhook-timestamp"), header("webhook-signature"));
            is_signed(&credentials.signing_key, &id, timestamp, &body, signature)
        }
        Some("basic") => {
            let encoded = header("authorization").strip_prefix("Basic ").unwrap_or_default();
            decode_base64(encoded) == Some(format!("demo:{}", credentials.password).into_bytes())
        }
        Some("keyed") => header("x-api-key") == credentials.api_key,
        Some(_) | None => false,
    };
    let mut state = lock(&state);
    let status = if verified { state.receive(head.uri.path(), &id, &body) } else { state.refuse() };
    let mut response = Response::new(Full::default());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

impl State {
    fn refuse(&mut self) -> u16 {
        self.refused += 1;
        401
    }

    fn receive(&mut self, path: &str, id: &str, body: &[u8]) -> u16 {
        let calls = self.calls.entry(id.to_owned()).or_default();
        *calls += 1;
        if path.ends_with("/flaky") && *calls <= 2 || path.ends_with("/broken") && !self.mended {
            return 503;
        }
        *self.accepted.entry(id.to_owned()).or_default() += 1;
        let data: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let enqueued = data["enqueuedAtMs"].as_i64().unwrap_or_default();
        self.latencies_ms
            .push(u64::try_from(SystemClock.now().as_millis() - enqueued).unwrap_or(0));
        204
    }
}

fn is_signed(key: &[u8], id: &str, timestamp: &str, body: &[u8], signature: &str) -> bool {
    let now = SystemClock.now().as_secs();
    let fresh = timestamp.parse::<i64>().is_ok_and(|then| (now - then).abs() <= 300);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let matches = |one: &str| {
        let tag = one.strip_prefix("v1,").and_then(decode_base64);
        tag.is_some_and(|tag| hmac::verify(&key, &content, &tag).is_ok())
    };
    fresh && signature.split(' ').any(matches)
}

fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for digit in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}
