use std::time::Duration;

use sealpost::domain::access::Scope;
use sealpost::domain::submission::REMEMBERED;
use serde_json::{Value, json};

use crate::server::{Reply, Server};

fn job(id: &str) -> Value {
    json!({"id": id, "customerId": "acme", "endpointId": "orders", "data": {"orderId": 42}})
}

async fn pending(server: &Server) -> u64 {
    server.app.queue.depth().await.unwrap().pending
}

async fn bulk(server: &Server, key: &str, lines: &str) -> Reply {
    let authorization = format!("Bearer {key}");
    let headers =
        [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
    server.send("POST", "/v1/jobs/bulk", &headers, lines.to_owned().into()).await
}

#[tokio::test]
async fn a_job_is_in_the_queue_byte_by_byte_when_this_answers() {
    let server = Server::start().await;
    let bytes = "{\"customerId\":\"acme\",  \"endpointId\":\"orders\",\"data\":{\"n\":1.0}}";
    let authorization = format!("Bearer {}", server.operator);
    let headers = [("authorization", authorization.as_str())];
    let sent = server.send("POST", "/v1/jobs", &headers, bytes.into()).await;
    let accepted = sent.is(202);
    assert_eq!(accepted["id"], accepted["messageId"], "a job without an id has the message's");
    let received = server.app.queue.receive(1, Duration::ZERO).await.unwrap();
    assert_eq!(
        (&received[0].body[..], &*received[0].message_id),
        (bytes.as_bytes(), accepted["messageId"].as_str().unwrap())
    );
}

#[tokio::test]
async fn a_job_that_comes_again_within_a_day_is_taken_once() {
    let server = Server::start().await;
    let first = server.call("POST", "/v1/jobs", job("evt_1")).await.is(202);
    assert_eq!(first["duplicate"], false);
    let again = server.call("POST", "/v1/jobs", job("evt_1")).await.is(202);
    assert_eq!((&again["duplicate"], &again["messageId"]), (&json!(true), &first["messageId"]));
    assert_eq!(pending(&server).await, 1);
    let mut other = job("evt_1");
    other["data"] = json!(43);
    let refused = server.call("POST", "/v1/jobs", other.clone()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (409, "idempotency_conflict"));
    other["endpointId"] = "other".into();
    server.call("POST", "/v1/jobs", other).await.is(202);
    server.clock.advance(REMEMBERED);
    let later = server.call("POST", "/v1/jobs", job("evt_1")).await.is(202);
    assert_eq!((&later["duplicate"], pending(&server).await), (&json!(false), 3));
}

#[tokio::test]
async fn of_many_who_send_the_same_job_at_once_one_is_taken_and_none_is_told_otherwise() {
    let server = Server::start().await;
    let sent = (0..16).map(|_| server.call("POST", "/v1/jobs", job("evt_1")));
    let replies = futures_util::future::join_all(sent).await;
    let new = replies.iter().filter(|r| r.status == 202 && r.json()["duplicate"] == false).count();
    assert_eq!((new, pending(&server).await), (1, 1));
    for reply in replies.iter().filter(|reply| reply.status != 202) {
        assert_eq!((reply.problem().as_str(), reply.header("retry-after")), ("in_progress", "1"));
    }
}

#[tokio::test]
async fn what_is_no_job_is_refused_with_the_field() {
    let server = Server::start().await;
    for (body, status, path) in [
        (json!({"endpointId": "orders", "data": 1}), 422, ""),
        (json!({"customerId": "a b", "data": 1}), 422, "customerId"),
        (json!({"customerId": "acme", "data": 1, "body": "x"}), 422, "data"),
        (json!({"customerId": "acme", "data": 1, "notBefore": "tomorrow"}), 422, "notBefore"),
        (json!(["evt_1", "acme", "orders"]), 422, ""),
        (json!("evt_1"), 422, ""),
    ] {
        let refused = server.call("POST", "/v1/jobs", body.clone()).await;
        assert_eq!(
            (refused.status, refused.path().as_str()),
            (status, path),
            "{body}: {refused:?}"
        );
    }
    let authorization = format!("Bearer {}", server.operator);
    let headers = [("authorization", authorization.as_str())];
    let refused = server.send("POST", "/v1/jobs", &headers, "{".into()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (400, "invalid_request"));
    let long = format!("\"{}\"", "x".repeat(1024 * 1024));
    let refused = server.send("POST", "/v1/jobs", &headers, long.into()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (413, "too_large"));
    let typed = [headers[0], ("content-type", "text/xml")];
    let refused = server.send("POST", "/v1/jobs", &typed, job("a").to_string().into()).await;
    assert_eq!((refused.status, refused.problem().as_str()), (415, "unsupported_media_type"));
    assert_eq!(pending(&server).await, 0);
}

#[tokio::test]
async fn a_producer_sends_to_its_customers_and_endpoints_alone() {
    let server = Server::start().await;
    let key = server.key(Scope::Producer, &["acme"], &["orders"]).await;
    server.call_as(&key, "POST", "/v1/jobs", job("a")).await.is(202);
    for change in [
        json!({"customerId": "other"}),
        json!({"endpointId": "other"}),
        json!({"endpointId": null}),
    ] {
        let mut other = job("b");
        other.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = server.call_as(&key, "POST", "/v1/jobs", other.clone()).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"), "{change}");
        let refused = bulk(&server, &key, &other.to_string()).await.is(200);
        assert_eq!(refused["errors"][0]["problem"]["code"], "forbidden", "{change}");
    }
    assert_eq!(pending(&server).await, 1);
}

#[tokio::test]
async fn lines_are_taken_or_refused_each_for_itself() {
    let server = Server::start().await;
    let mut lines: Vec<String> = (0..1200).map(|n| job(&format!("evt_{n}")).to_string()).collect();
    lines[3] = "not json".to_owned();
    lines[700] = json!({"customerId": "a b", "data": 1}).to_string();
    lines[800] = String::new();
    lines[1100] = lines[5].clone();
    let told = bulk(&server, &server.operator, &lines.join("\n")).await.is(200);
    assert_eq!(
        (&told["accepted"], &told["duplicates"], &told["rejected"]),
        (&json!(1196), &json!(1), &json!(2))
    );
    assert_eq!(told["errors"][0]["line"], 4);
    assert_eq!(told["errors"][1]["line"], 701);
    assert_eq!(told["errors"][1]["problem"]["errors"][0]["path"], "customerId");
    assert_eq!(pending(&server).await, 1196);
    let again = bulk(&server, &server.operator, &lines.join("\n")).await.is(200);
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(1197)));
    let none = bulk(&server, &server.operator, "").await.is(200);
    assert_eq!(none["accepted"], 0);
}

#[tokio::test]
async fn of_many_refused_lines_the_first_hundred_are_told() {
    let server = Server::start().await;
    let told = bulk(&server, &server.operator, &"x\n".repeat(3000)).await.is(200);
    assert_eq!(told["rejected"], 3000);
    assert_eq!(told["errors"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn an_idempotency_key_is_the_id_of_a_job_that_names_none() {
    let server = Server::start().await;
    let mut job = job("evt_1");
    job.as_object_mut().unwrap().remove("id");
    let send = async |key: &str, job: &Value| {
        server.call_with(("idempotency-key", key), "POST", "/v1/jobs", job.clone()).await
    };
    let first = send("order-42", &job).await.is(202);
    assert_eq!((&first["id"], &first["duplicate"]), (&json!("order-42"), &json!(false)));
    let again = send("order-42", &job).await.is(202);
    assert_eq!((&again["duplicate"], &again["messageId"]), (&json!(true), &first["messageId"]));
    assert_eq!(send("order-43", &job).await.is(202)["duplicate"], false);
    assert_eq!(pending(&server).await, 2);
    let received = server.app.queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let state: Value = serde_json::from_slice(&received.state.unwrap()).unwrap();
    assert_eq!(state["jobId"], "order-42", "the worker knows it by that name");

    job["data"] = json!(43);
    assert_eq!(send("order-42", &job).await.problem(), "idempotency_conflict");
    assert_eq!(send("a b", &job).await.path(), "idempotency-key");
    job["id"] = json!("evt_2");
    assert_eq!(send("order-44", &job).await.path(), "idempotency-key");
    send("evt_2", &job).await.is(202);
    assert_eq!(pending(&server).await, 3);
}
