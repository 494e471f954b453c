//! A token server that does as it is told, and an endpoint that wants its tokens.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::bench::{Bench, loopback, put, put_secret};
use crate::web::Web;

/// A token server that does as it is told, and counts its tokens.
pub struct TokenServer {
    pub web: Web,
    pub answer: Arc<Mutex<(String, String)>>,
}

impl TokenServer {
    pub async fn start() -> Self {
        let good = r#"{"access_token":"token-N","token_type":"Bearer","expires_in":3600}"#;
        let answer = Arc::new(Mutex::new(("200 OK".to_owned(), good.to_owned())));
        let (shared, given) = (Arc::clone(&answer), AtomicUsize::new(0));
        let web = Web::start(move |_| {
            let (head, body) = shared.lock().unwrap().clone();
            let number = given.fetch_add(1, Ordering::SeqCst) + 1;
            (head, body.replace("-N", &format!("-{number}")))
        });
        Self { web: web.await, answer }
    }

    pub fn answers(&self, head: &str, body: &str) {
        *self.answer.lock().unwrap() = (head.to_owned(), body.to_owned());
    }
}

/// An endpoint that takes every token but those whose name holds `refused`.
pub async fn target(refused: &'static str) -> Web {
    Web::start(move |request| {
        let status = if !refused.is_empty() && request.contains(refused) {
            "401 Unauthorized"
        } else if request.contains("authorization: Bearer token-") {
            "204 No Content"
        } else {
            "403 Forbidden"
        };
        (status.to_owned(), String::new())
    })
    .await
}

pub async fn bench(tokens: &TokenServer, target: &Web, retry: Value) -> Bench {
    let bench = Bench::open(loopback()).await;
    put(&bench.app, endpoint(tokens, target, retry)).await;
    put_secret(&bench.app, "client-secret", &[&target.origin, &tokens.web.origin]).await;
    bench
}

pub fn endpoint(tokens: &TokenServer, target: &Web, retry: Value) -> Value {
    let step = json!({"scheme": "oauth2_client_credentials", "client_id": "me", "secret": "s",
                      "token_url": format!("{}/token", tokens.web.origin)});
    json!({"customerId": "c", "endpointId": "e", "url": target.origin, "auth": [step], "retry": retry})
}
