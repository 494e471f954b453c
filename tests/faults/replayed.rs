//! Dead letters that are replayed when the world has changed.

use std::time::Duration;

use sealpost::config::Config;
use sealpost::ports::Clock;
use sealpost::ports::queue::Redrive;
use serde_json::json;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::dns_server::{self, Answer};
use crate::web::Web;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Replays the only dead letter.
async fn replay(bench: &Bench) {
    let letters = bench.dead_letters().await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    let state = letter.replayed(bench.clock.now()).map(|s| serde_json::to_vec(&s).unwrap().into());
    let redrive = Redrive { dead_letter_id: letter.id.clone(), state };
    assert_eq!(bench.app.queue.redrive(vec![redrive]).await.unwrap().found.len(), 1);
    bench.app.deliveries.remove_dead_letters(&letters).await.unwrap();
    bench.deliver_due().await;
}

/// What was read is due to be read anew at once, and would be used in the meantime for a minute.
fn with_short_soft_lifetime() -> Config {
    let mut config = loopback();
    config.cache.soft = Some(Duration::ZERO);
    config
}

#[tokio::test]
async fn a_replay_goes_where_the_endpoint_is_now_whatever_the_cache_remembers() {
    let web = Web::start(|request| {
        let is_mended = request.starts_with("POST /mended ");
        (if is_mended { "204 No Content" } else { "404 Not Found" }.to_owned(), String::new())
    })
    .await;
    let bench = Bench::open(with_short_soft_lifetime()).await;
    let at = |path: &str| {
        json!({"customerId": "c", "endpointId": "e", "url": format!("{}{path}", web.origin),
               "retry": {"maxAttempts": 1}})
    };
    put(&bench.app, at("/wrong")).await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    put(&bench.app, at("/mended")).await;
    replay(&bench).await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    assert_eq!(web.count(), 2);
}

#[tokio::test]
async fn a_replay_after_a_rotation_is_signed_with_the_new_secret_at_the_new_time() {
    let web = Web::start(|request| {
        let is_new = request.contains("Bearer the-new-one");
        (if is_new { "204 No Content" } else { "400 Bad Request" }.to_owned(), String::new())
    })
    .await;
    let bench = Bench::open(with_short_soft_lifetime()).await;
    put_secret(&bench.app, "the-old-one", &[&web.origin]).await;
    let auth = json!([{"scheme": "standard_webhooks", "secret": "w"},
                      {"scheme": "bearer", "secret": "s"}]);
    let mut key = crate::bench::secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &[&web.origin]);
    key.secret = "w".parse().unwrap();
    bench.app.vault.put(key).await.unwrap();
    let retry = json!({"maxAttempts": 1});
    put(
        &bench.app,
        json!({"customerId": "c", "endpointId": "e", "url": web.origin, "auth": auth, "retry": retry}),
    )
    .await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    bench.clock.advance(10 * DAY);
    put_secret(&bench.app, "the-new-one", &[&web.origin]).await;
    replay(&bench).await;
    let requests = web.all();
    let line = |n: usize, name: &str| {
        let found = requests[n].lines().find_map(|line| line.strip_prefix(name));
        found.unwrap().to_owned()
    };
    assert_eq!(requests.len(), 2);
    assert_eq!(line(0, "webhook-id: "), line(1, "webhook-id: "));
    assert_eq!(line(1, "webhook-timestamp: "), bench.clock.now().as_secs().to_string());
    assert_ne!(line(0, "webhook-signature: "), line(1, "webhook-signature: "));
    assert_eq!(bench.app.tally.counts().delivered, 1);
}

#[tokio::test]
async fn a_replay_to_an_endpoint_that_moved_to_a_private_address_is_not_sent() {
    let web = Web::start(|_| ("400 Bad Request".to_owned(), String::new())).await;
    let at = |address: &str| Answer::Addresses(vec![address.parse().unwrap()], None);
    // 127.0.0.1 is allowed here, 10.0.0.1 is not.
    let (nameserver, _) = dns_server::serve(vec![at("127.0.0.1"), at("10.0.0.1")]).await;
    let mut config = loopback();
    config.egress.nameservers = vec![nameserver];
    let mut bench = Bench::open(config).await;
    let port = web.origin.rsplit(':').next().unwrap();
    let retry = json!({"maxAttempts": 1});
    put(
        &bench.app,
        json!({"customerId": "c", "endpointId": "e", "url": format!("http://h.test-a.com:{port}/"),
               "retry": retry}),
    )
    .await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(web.count(), 1);
    bench.clock.advance(DAY);
    // A worker that has no connection there.
    bench.pipeline = bench.app.pipeline().unwrap();
    replay(&bench).await;
    assert_eq!(web.count(), 1);
    let letters = bench.dead_letters().await;
    assert!(letters[0].message.contains("blocked"), "{}", letters[0].message);
}
