//! What is done about deliveries and endpoints that fail, and about tenant keys.

use sealpost::domain::access::Scope;
use serde_json::{Value, json};

use super::browser::Browser;
use crate::deliveries::with_kept_job;
use crate::server::Server;
use crate::test_calls::work;

const ACME: &str = "/console/customers/acme";
const ENDPOINT: &str = "/v1/customers/acme/endpoints/orders";

fn at(rest: &str) -> String {
    format!("{ACME}{rest}")
}

/// The path of the page of a job's delivery.
async fn delivery_of(server: &Server, job: &str) -> String {
    let path = format!("/v1/customers/acme/deliveries?jobId={job}");
    let listed = server.call("GET", &path, Value::Null).await.is(200);
    at(&format!("/deliveries/{}", listed["data"][0]["id"].as_str().unwrap()))
}

#[tokio::test]
async fn a_delivery_is_sent_again_and_its_page_says_by_whom() {
    let server = crate::deliveries::server().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let page = delivery_of(&server, "one").await;
    let shown = browser.page(&page).await;
    assert!(shown.contains(">Send again<") && shown.contains("What happened"), "{shown}");
    assert!(shown.contains("The queue accepted the job"), "{shown}");
    let refused = browser.post(&format!("{page}/resend"), &[]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("is not kept") && refused.text.contains("role=\"alert\""));
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 0);

    with_kept_job(&server, page.rsplit('/').next().unwrap()).await;
    let sent = browser.done(&format!("{page}/resend"), &[]).await;
    assert!(sent.contains("It is sent again, as its next round."), "{sent}");
    assert!(
        sent.contains("Who had it sent again") && sent.contains("Ordered by <code>key_"),
        "{sent}"
    );
    assert_eq!(server.app.queue.depth().await.unwrap().pending, 1);
    let looker = server.key(Scope::ReadOnly, &[], &[]).await;
    let looker = Browser::operator(&server, &looker).await;
    assert!(!looker.page(&page).await.contains(">Send again<"));
    assert_eq!(looker.post(&format!("{page}/resend"), &[]).await.status, 403);
}

#[tokio::test]
async fn failures_of_an_endpoint_are_recovered_from_its_page() {
    let server = Server::start().await;
    server.call("PUT", ENDPOINT, json!({"url": "https://acme.example/hook"})).await.is(200);
    let browser = Browser::operator(&server, &server.operator).await;
    let page = at("/endpoints/orders");
    assert!(browser.page(&page).await.contains("Failures since, UTC"));
    let recover = format!("{page}/recover");
    for wrong in ["", "yesterday"] {
        let refused = browser.post(&recover, &[("since", wrong)]).await;
        assert!(refused.status == 422 && refused.text.contains("since"), "{refused:?}");
    }
    let begun = browser.done(&recover, &[("since", "2026-11-23T10:00")]).await;
    assert!(begun.contains("endpointId orders, since 2026-11-23T10:00:00Z"), "{begun}");
    let token = server.token("acme").await;
    let customer = Browser::customer(&server, &token).await;
    customer.done("/customer/endpoints/orders/recover", &[("since", "2026-11-23T10:00")]).await;
}

#[tokio::test]
async fn an_endpoint_that_has_to_agree_is_asked_from_its_page() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let page = at("/endpoints/orders");
    let put = async |more: Value| {
        let mut endpoint = json!({"url": "https://acme.example/hook",
                                  "auth": [{"scheme": "bearer", "secret": "missing"}]});
        endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.call("PUT", ENDPOINT, endpoint).await.is(200);
    };
    put(json!({})).await;
    let shown = browser.page(&page).await;
    assert!(shown.contains(">unverified<") && !shown.contains(">Verify<"), "{shown}");
    let refused = browser.post(&format!("{page}/verify"), &[]).await;
    assert!(refused.status == 409 && refused.text.contains("asks for no handshake"));
    put(json!({"verification": {"handshake": "challenge"}})).await;
    let shown = browser.page(&page).await;
    assert!(shown.contains(">Verify<") && shown.contains("deliveries wait"), "{shown}");
    let verify = format!("{page}/verify");
    let working = async {
        while work(&server).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    let (told, ()) = tokio::join!(browser.post(&verify, &[]), working);
    // It lacks a secret, so nothing was sent.
    assert!(told.status == 200 && told.text.contains("It failed at: Secrets."), "{told:?}");
}

#[tokio::test]
async fn a_tenant_key_is_made_and_shredded_once_the_customer_is_named() {
    let server = Server::start().await;
    let browser = Browser::operator(&server, &server.operator).await;
    let page = at("/tenant-key");
    assert!(browser.page(&page).await.contains("No tenant key"));
    let made = browser.done(&format!("{page}/create"), &[]).await;
    assert!(made.contains("The tenant key is made.") && made.contains(">usable<"), "{made}");
    let again = browser.post(&format!("{page}/create"), &[]).await;
    assert!(again.status == 409 && again.text.contains("has a tenant key"), "{again:?}");
    let shred = format!("{page}/shred");
    for wrong in ["", "ACME", "globex"] {
        let refused = browser.post(&shred, &[("customerId", wrong)]).await;
        assert!(
            refused.status == 422 && refused.text.contains("id=\"e-customerId\""),
            "{refused:?}"
        );
        assert!(browser.page(&page).await.contains(">usable<"));
    }
    let shredded = browser.done(&shred, &[("customerId", "acme")]).await;
    assert!(shredded.contains("is shredded") && shredded.contains(">shredded<"), "{shredded}");
    assert!(browser.done(&format!("{page}/create"), &[]).await.contains(">usable<"));
    let looker = server.key(Scope::ReadOnly, &[], &[]).await;
    let looker = Browser::operator(&server, &looker).await;
    assert_eq!(looker.get(&page).await.status, 403);
    assert_eq!(looker.post(&shred, &[("customerId", "acme")]).await.status, 403);
}

#[tokio::test]
async fn the_overview_says_for_how_long_a_job_is_overdue() {
    let server = Server::start().await;
    let job = json!({"customerId": "acme", "endpointId": "orders", "data": 1});
    server.call("POST", "/v1/jobs", job).await.is(202);
    server.clock.advance(std::time::Duration::from_secs(180));
    let browser = Browser::operator(&server, &server.operator).await;
    let shown = browser.page("/console").await;
    assert!(shown.contains("Oldest due job") && shown.contains("3 min"), "{shown}");
}
