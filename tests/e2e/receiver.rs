//! A server that notes every call.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One call.
#[derive(Debug)]
pub struct Call {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether the caller has closed the connection since, as a killed one does.
    pub closed: Arc<AtomicBool>,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

type Answer = Arc<dyn Fn(&Call) -> (u16, String) + Send + Sync>;

/// Begins to listen; answers every call with `answer`. Returns the origin and the calls.
pub async fn listen(
    answer: impl Fn(&Call) -> (u16, String) + Send + Sync + 'static,
) -> (String, mpsc::UnboundedReceiver<Call>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (sender, calls) = mpsc::unbounded_channel();
    let answer: Answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sender, answer) = (sender.clone(), Arc::clone(&answer));
            let closed = Arc::new(AtomicBool::new(false));
            let of_calls = Arc::clone(&closed);
            let serve = service_fn(move |request| {
                take(request, Arc::clone(&of_calls), sender.clone(), Arc::clone(&answer))
            });
            tokio::spawn(async move {
                // However it ends.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
                closed.store(true, Ordering::SeqCst);
            });
        }
    });
    (origin, calls)
}

async fn take(
    request: Request<hyper::body::Incoming>,
    closed: Arc<AtomicBool>,
    sender: mpsc::UnboundedSender<Call>,
    answer: Answer,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let header = |(n, v): (&http::HeaderName, &http::HeaderValue)| {
        (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())
    };
    let call = Call {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers.iter().map(header).collect(),
        closed,
        body: body.collect().await.map(|b| b.to_bytes().to_vec()).unwrap_or_default(),
    };
    let (status, text) = answer(&call);
    let _ = sender.send(call);
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}
