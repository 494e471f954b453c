//! What `infra/` describes is what the program wants: the template's queues, tables and key are made on
//! the emulator as they stand there, and a worker runs on them. The template is written by `make infra`.

use std::path::PathBuf;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde_json::Value;

use crate::program::Program;
use crate::receiver;
use crate::sqs::Sqs;

const TABLE: &str = "AWS::DynamoDB::GlobalTable";

fn template() -> Value {
    let folder = std::env::var_os("INFRA_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/infra"),
        PathBuf::from,
    );
    let path = folder.join("cdk.out/Sealpost.template.json");
    let text = std::fs::read_to_string(&path);
    let text = text.unwrap_or_else(|e| panic!("{}: {e}: run `make infra`", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The properties of every resource of a type, with its logical id.
fn of_type<'t>(template: &'t Value, kind: &str) -> Vec<(&'t str, &'t Value)> {
    let resources = template["Resources"].as_object().unwrap().iter();
    let found = resources.filter(|(_, resource)| resource["Type"] == kind);
    found.map(|(id, resource)| (id.as_str(), &resource["Properties"])).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn key_schema(keys: &Value) -> Vec<KeySchemaElement> {
    list(keys)
        .map(|key| {
            let kind = KeyType::from(key["KeyType"].as_str().unwrap());
            let element = KeySchemaElement::builder().key_type(kind);
            element.attribute_name(key["AttributeName"].as_str().unwrap()).build().unwrap()
        })
        .collect()
}

fn index(index: &Value) -> GlobalSecondaryIndex {
    let projection = &index["Projection"];
    let attributes = list(&projection["NonKeyAttributes"]).map(|a| a.as_str().unwrap().to_owned());
    let projection = Projection::builder()
        .projection_type(ProjectionType::from(projection["ProjectionType"].as_str().unwrap()))
        .set_non_key_attributes(Some(attributes.collect()))
        .build();
    let built = GlobalSecondaryIndex::builder().index_name(index["IndexName"].as_str().unwrap());
    let built = built.set_key_schema(Some(key_schema(&index["KeySchema"]))).projection(projection);
    built.build().unwrap()
}

async fn make_table(dynamodb: &aws_sdk_dynamodb::Client, table: &Value) {
    let name = table["TableName"].as_str().unwrap();
    let attributes = list(&table["AttributeDefinitions"]).map(|attribute| {
        let kind = ScalarAttributeType::from(attribute["AttributeType"].as_str().unwrap());
        let name = attribute["AttributeName"].as_str().unwrap();
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    });
    let indexes: Vec<_> = list(&table["GlobalSecondaryIndexes"]).map(index).collect();
    (dynamodb.create_table().table_name(name))
        .billing_mode(BillingMode::from(table["BillingMode"].as_str().unwrap()))
        .set_key_schema(Some(key_schema(&table["KeySchema"])))
        .set_attribute_definitions(Some(attributes.collect()))
        .set_global_secondary_indexes(Some(indexes).filter(|indexes| !indexes.is_empty()))
        .send()
        .await
        .unwrap();
    let ttl = &table["TimeToLiveSpecification"];
    if ttl["Enabled"] == true {
        let ttl = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(ttl["AttributeName"].as_str().unwrap());
        let update = dynamodb.update_time_to_live().table_name(name);
        update.time_to_live_specification(ttl.build().unwrap()).send().await.unwrap();
    }
}

/// A queue of the template, by its logical id; its redrive policy names the dead-letter queue's ARN.
async fn make_queue(sqs: &aws_sdk_sqs::Client, id: &str, queue: &Value) -> String {
    let mut request = sqs.create_queue().queue_name(id);
    let plain = [
        ("VisibilityTimeout", Name::VisibilityTimeout),
        ("MessageRetentionPeriod", Name::MessageRetentionPeriod),
        ("MaximumMessageSize", Name::MaximumMessageSize),
    ];
    for (property, name) in plain {
        if let Some(value) = queue[property].as_i64() {
            request = request.attributes(name, value.to_string());
        }
    }
    if let Some(redrive) = queue["RedrivePolicy"].as_object() {
        let dead = redrive["deadLetterTargetArn"]["Fn::GetAtt"][0].as_str().unwrap();
        let policy = serde_json::json!({
            "deadLetterTargetArn": format!("arn:aws:sqs:us-east-1:123456789012:{dead}"),
            "maxReceiveCount": redrive["maxReceiveCount"]});
        request = request.attributes(Name::RedrivePolicy, policy.to_string());
    }
    request.send().await.unwrap().queue_url.unwrap()
}

/// The program on what the template describes.
async fn deployed() -> Program {
    let (template, sqs) = (template(), Sqs::start().await);
    let clients = sqs.emulator.clients();
    for (_, table) in of_type(&template, TABLE) {
        make_table(&clients.dynamodb, table).await;
    }
    let mut queues = of_type(&template, "AWS::SQS::Queue");
    // The one with a redrive policy needs the other.
    queues.sort_by_key(|(_, queue)| queue["RedrivePolicy"].is_object());
    let (dead, jobs) = (queues[0], queues[1]);
    let dead = make_queue(&clients.sqs, dead.0, dead.1).await;
    let jobs = make_queue(&clients.sqs, jobs.0, jobs.1).await;
    let key = of_type(&template, "AWS::KMS::Key")[0].1;
    let made = clients.kms.create_key().description(key["Description"].as_str().unwrap());
    let key = made.send().await.unwrap().key_metadata.unwrap().key_id;
    Program::on(sqs, &jobs, &dead, &key)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_finds_every_table_with_its_keys_and_indexes() {
    let program = deployed().await;
    let made = program.ok(&["tables", "create"], "");
    assert_eq!(made.len(), 5);
    // A table with other keys, indexes or another end of its items is an error.
    assert!(made.iter().all(|table| table["created"] == false), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_delivers_and_gives_up_on_what_was_deployed_and_warns_of_nothing() {
    let program = deployed().await;
    let (origin, mut calls) =
        receiver::listen(|call| (if call.target == "/down" { 500 } else { 200 }, String::new()))
            .await;
    program.ok(&["secret", "put", "acme", "token", "--origin", &origin], "canary-of-the-secret");
    for path in ["up", "down"] {
        let endpoint = serde_json::json!({"customerId": "acme", "endpointId": path,
            "url": format!("{origin}/{path}"), "retry": {"maxAttempts": 1},
            "auth": [{"scheme": "bearer", "secret": "token"}]});
        program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
        let job = serde_json::json!({"customerId": "acme", "endpointId": path, "data": 1});
        program.ok(&["enqueue", "-"], &job.to_string());
    }
    let mut worker = program.command(&["worker"]).spawn().unwrap();
    for _ in 0..2 {
        let call = calls.recv().await.unwrap();
        assert_eq!(call.header("authorization"), "Bearer canary-of-the-secret");
    }
    while program.ok(&["dlq", "list"], "").is_empty() {}
    worker.kill().unwrap();
    let output = worker.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for warning in ["redrive_policy", "retention", "fault"] {
        assert!(!said.contains(&format!(r#""event":"{warning}""#)), "{said}");
    }
}
