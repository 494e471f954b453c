//! The commands over AWS.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::program::terminate;
use crate::receiver::listen;

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_works_over_aws_as_over_a_data_directory() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let cloud = Cloud::start().await;
    assert!(cloud.ok(&["tables", "create"], "").contains("sealpost-deliveries is there"));
    cloud.ok(&["secret", "put", "c", "s", "--origin", &origin], "canary-token");
    let listed = cloud.ok(&["secret", "list", "--json"], "");
    assert!(listed.contains("\"s\"") && !listed.contains("canary"), "{listed}");
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": format!("{origin}/in"),
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    let put = cloud.ok(&["endpoint", "put", "-", "--json"], &endpoint.to_string());
    assert_eq!(parse(&put)["version"], 1);
    assert!(cloud.ok(&["endpoint", "list"], "").contains("/in"));
    assert_eq!(parse(&cloud.ok(&["endpoint", "get", "c", "e", "--json"], ""))["version"], 1);
    let job = |endpoint: &str| json!({"customerId": "c", "endpointId": endpoint, "data": 1});
    cloud.ok(&["enqueue", "-"], &format!("{}\n{}", job("e"), job("nope")));

    // Nobody may open secrets here but a worker: it is asked, and there is none yet.
    let preview = |wait| ["preview", "-", "--json", "--wait", wait];
    let alone = cloud.fails(&preview("1s"), &job("e").to_string());
    assert!(alone.contains("no worker answered"), "{alone}");
    let mut worker = cloud.command(&["worker", "--json"]).spawn().unwrap();
    let call = calls.recv().await.unwrap();
    assert_eq!(call.header("authorization"), "Bearer canary-token");
    let shown = parse(&cloud.ok(&preview("30s"), &job("e").to_string()));
    assert_eq!(shown["headers"]["authorization"], "********");
    assert!(cloud.fails(&preview("30s"), &job("nope").to_string()).contains("unknown_endpoint"));
    let revealed = cloud.ok(&["preview", "-", "--json", "--reveal"], &job("e").to_string());
    assert_eq!(parse(&revealed)["headers"]["authorization"], "Bearer canary-token");

    let mut letters = String::new();
    while letters.is_empty() {
        letters = cloud.ok(&["dlq", "list", "--reason", "unknown_endpoint", "--json"], "");
    }
    let id = parse(&letters)["id"].as_str().unwrap().to_owned();
    let kept = parse(&cloud.ok(&["dlq", "show", &id, "--body", "--json"], ""));
    assert_eq!(parse(kept["job"].as_str().unwrap()), job("nope"));
    let mended = json!({"customerId": "c", "endpointId": "nope", "url": format!("{origin}/late")});
    cloud.ok(&["endpoint", "put", "-"], &mended.to_string());
    assert!(cloud.ok(&["dlq", "replay", &id], "").contains("replayed 1"));
    let late = calls.recv().await.unwrap();
    assert_eq!(
        (late.target.as_str(), late.header("webhook-id")),
        ("/late", kept["jobId"].as_str().unwrap())
    );
    assert_eq!(cloud.ok(&["dlq", "list", "--json"], ""), "");

    forget_what_the_queue_does_not_have(&cloud, &job("lost")).await;
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    cloud.ok(&["endpoint", "delete", "c", "nope"], "");
    cloud.ok(&["secret", "delete", "c", "s"], "");
    assert!(cloud.fails(&["serve"], "").contains("sealpost worker"));
}

/// A dead letter whose job is gone stands in the list until it is taken out by its id.
async fn forget_what_the_queue_does_not_have(cloud: &Cloud, job: &Value) {
    cloud.ok(&["enqueue", "-"], &job.to_string());
    while cloud.ok(&["dlq", "list", "--json"], "").is_empty() {}
    cloud.clients.sqs.purge_queue().queue_url(&cloud.dead).send().await.unwrap();
    let complaint = cloud.fails(&["dlq", "replay", "--all"], "");
    assert!(complaint.contains("not found") && complaint.contains("--forget"), "{complaint}");
    assert!(cloud.ok(&["dlq", "list"], "").contains("lost"), "nothing is forgotten unasked");
    assert!(cloud.fails(&["dlq", "purge", "--all", "--forget"], "").contains("<IDS>"));
    let id = parse(&cloud.ok(&["dlq", "list", "--json"], ""))["id"].as_str().unwrap().to_owned();
    assert!(cloud.ok(&["dlq", "purge", "--forget", &id], "").contains("purged 0"));
    assert_eq!(cloud.ok(&["dlq", "list", "--json"], ""), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_aws_is_said_with_the_place_and_the_cause() {
    let cloud = Cloud::start().await;
    let complain = |section: &str, arguments: &[&str]| {
        std::fs::write(cloud.program.data().join("aws.toml"), section).unwrap();
        cloud.fails(arguments, "")
    };
    let jobs = &cloud.jobs;
    let settings = |queue: &str, key: &str| {
        format!(
            "[aws]\nqueue_url = '{queue}'\ndead_letter_queue_url = '{jobs}'\nkms_key_id = '{key}'\n"
        )
    };
    let said = complain("[aws]\nqueue_url = 'https://x.example/q'\n", &["worker"]);
    assert!(said.contains("aws") && said.contains("dead_letter_queue_url"), "{said}");
    let said = complain(&settings("orders", &cloud.key), &["worker"]);
    assert!(said.contains("aws.queue_url") && said.contains("orders"), "{said}");
    let gone = format!("{}-gone", cloud.jobs);
    let said = complain(&settings(&gone, &cloud.key), &["worker"]);
    assert!(said.contains("jobs-gone") && said.contains("queue"), "{said}");
    let said = complain("", &["worker"]);
    assert!(said.contains("[aws]") && said.contains("sealpost serve"), "{said}");
}
