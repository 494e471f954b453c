//! Calls of SQS as the SDK makes them, ten messages each: the request is written and signed, and the answer,
//! which is always the same, is read.

use std::rc::Rc;

use anyhow::ensure;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry as Entry;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Stage;
use super::jobs::job;

const URL: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
/// Messages in a call.
const TEN: usize = 10;

/// Gives the same answer to every call.
#[derive(Debug, Clone)]
struct Canned(String);

impl HttpConnector for Canned {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = http::StatusCode::OK.into();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(self.0.as_str()))))
    }
}

impl HttpClient for Canned {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

pub fn stages() -> anyhow::Result<Vec<Stage>> {
    let runtime = Rc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
    let numbers = || (0..TEN).map(|number| number.to_string());
    let message = |id: String| json!({"MessageId": id, "ReceiptHandle": id, "Body": job()});
    let messages: Vec<Value> = numbers().map(message).collect();
    let receive = client(&json!({ "Messages": messages }));
    let deleted: Vec<Value> = numbers().map(|id| json!({"Id": id})).collect();
    let delete = client(&json!({"Successful": deleted, "Failed": []}));
    let entries: Vec<Entry> = numbers()
        .map(|id| Entry::builder().receipt_handle("a-handle".repeat(20)).id(id).build())
        .collect::<Result<_, _>>()?;
    ensure!(received(&runtime, &receive)? == TEN, "not all messages came");
    let again = Rc::clone(&runtime);
    Ok(vec![
        Stage::new("sqs: receive ten messages", move || received(&runtime, &receive)),
        Stage::new("sqs: delete ten messages", move || {
            let call = delete.delete_message_batch().queue_url(URL);
            again.block_on(call.set_entries(Some(entries.clone())).send()).is_ok()
        }),
    ])
}

fn received(runtime: &Runtime, client: &Client) -> anyhow::Result<usize> {
    let call = client.receive_message().queue_url(URL).max_number_of_messages(10);
    Ok(runtime.block_on(call.send())?.messages().len())
}

fn client(answer: &Value) -> Client {
    let credentials = Credentials::new("test", "test", None, None, "bench");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Canned(answer.to_string()))
        .build();
    Client::new(&config)
}
