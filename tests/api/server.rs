//! A server of its own for each test, with a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sealpost::access::{issue_key, issue_token};
use sealpost::api::{Api, serve};
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::console;
use sealpost::domain::access::{ApiKey, Grant, Scope};
use sealpost::domain::timestamp::Timestamp;
use sealpost::monitor::Monitor;
use sealpost::ports::Clock;
use sealpost::worker::Stop;
use serde_json::Value;

pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub struct Server {
    pub app: Arc<App>,
    pub clock: Arc<TestClock>,
    /// A key that may do everything.
    pub operator: String,
    pub origin: String,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: Stop,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.hard.cancel();
        self.stop.soft.cancel();
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    /// The body, which has to be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{self:?}: {e}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body, after the status was looked at.
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The code of the problem, which has to be a whole problem document.
    pub fn problem(&self) -> String {
        let document = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(document["status"], self.status, "{self:?}");
        assert_eq!(document["requestId"], self.header("x-request-id"), "{self:?}");
        assert!(document["title"].is_string() && document["detail"].is_string(), "{self:?}");
        let code = document["code"].as_str().unwrap().to_owned();
        assert_eq!(document["type"], format!("urn:sealpost:problem:{code}"));
        code
    }

    /// The path of the first field that is wrong.
    pub fn path(&self) -> String {
        self.json()["errors"][0]["path"].as_str().unwrap_or("no path").to_owned()
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(set: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000)));
        let mut config = Config::default();
        // Tests of who is let in fail many times from one address.
        config.api.failed_authentications_per_minute = 1_000_000;
        set(&mut config);
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let app = App::embedded_with_clock(dir.path(), config, Role::Worker, shared).await;
        let app = Arc::new(app.unwrap());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let stop = Stop::default();
        let api = Arc::new(Api::new(Monitor::new(Arc::clone(&app), None)));
        let router = console::site(api, stop.soft.clone());
        tokio::spawn(serve(listener, router, Duration::from_secs(5), stop.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut server =
            Self { app, clock, operator: String::new(), origin, client, stop, _dir: dir };
        server.operator = server.key(Scope::Operator, &[], &[]).await;
        server
    }

    /// The text of a new key.
    pub async fn key(&self, scope: Scope, customers: &[&str], endpoints: &[&str]) -> String {
        self.full_key(scope, customers, endpoints).await.1
    }

    /// A new key with its text.
    pub async fn full_key(
        &self,
        scope: Scope,
        customers: &[&str],
        endpoints: &[&str],
    ) -> (ApiKey, String) {
        let limited = |ids: &[&str]| !ids.is_empty();
        let customers =
            limited(customers).then(|| customers.iter().map(|id| id.parse().unwrap()).collect());
        let endpoints =
            limited(endpoints).then(|| endpoints.iter().map(|id| id.parse().unwrap()).collect());
        let grant = Grant::Operator { scope, customers, endpoints };
        let issued = issue_key(&self.app, "test".to_owned(), grant, None).await.unwrap();
        (issued.key, issued.text.expose_str().unwrap().to_owned())
    }

    /// The text of a new token for a customer.
    pub async fn token(&self, customer: &str) -> String {
        let (key, _) = self.full_key(Scope::Operator, &[], &[]).await;
        let lifetime = Duration::from_secs(3600);
        let issued = issue_token(&self.app, customer.parse().unwrap(), lifetime, &key).await;
        issued.unwrap().text.expose_str().unwrap().to_owned()
    }

    /// A request by the operator.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.call_as(&self.operator, method, path, body).await
    }

    /// A request with this key.
    pub async fn call_as(&self, key: &str, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = format!("Bearer {key}");
        self.send(method, path, &[("authorization", &authorization)], body.into()).await
    }

    /// A request by the operator with one header more.
    pub async fn call_with(
        &self,
        header: (&str, &str),
        method: &str,
        path: &str,
        body: Value,
    ) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let authorization = format!("Bearer {}", self.operator);
        self.send(method, path, &[("authorization", &authorization), header], body.into()).await
    }

    /// A request as it is.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.client.request(request.body(Full::new(body)).unwrap()).await;
        let (head, body) = sent.unwrap_or_else(|e| panic!("{method} {path}: {e:?}")).into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(head.status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {path}: {text}");
        Reply { status: head.status.as_u16(), headers: head.headers, text }
    }
}
