//! One operation of an AWS service that speaks JSON, over the SDK's own runtime: its credentials,
//! signatures, retries, timeouts and connections. For services of which we need one operation; the
//! SDK's crate of Systems Manager alone is larger than all others together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput,
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use aws_types::service_config::ServiceConfigKey;

use super::call_counts::CountCalls;
use super::client::{Clients, timeouts};
use crate::domain::secret::SecretBytes;

/// Which operation.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The service as endpoints and signatures spell it, as in `ssm`.
    pub service: &'static str,
    /// The service as the SDK's configuration spells it, as in `Secrets Manager`.
    pub service_id: &'static str,
    /// The operation's name.
    pub operation: &'static str,
    /// The header that names the operation.
    pub target: &'static str,
}

/// What a service says of a call that it refused.
#[derive(Debug)]
pub struct ServiceError(ErrorMetadata);

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ServiceError {}

impl ProvideErrorMetadata for ServiceError {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

/// An answer's body. It holds a secret, so it cannot be printed.
pub struct Answer(pub SecretBytes);

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// The operation, ready to be called.
pub struct JsonCall(Operation<String, Answer, ServiceError>);

impl JsonCall {
    /// The operation as every client works, and counted with them.
    pub fn new(clients: &Clients, target: Target) -> Self {
        let config = &clients.config;
        let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let limits = config.timeout_config().cloned();
        let mut builder = Operation::builder()
            .service_name(target.service)
            .operation_name(target.operation)
            .endpoint_url(&endpoint(config, target))
            .standard_retry(&retries)
            .timeout_config(limits.unwrap_or_else(|| timeouts(Duration::ZERO)))
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(TransientErrorClassifier::<ServiceError>::new())
            .retry_classifier(AwsErrorCodeClassifier::<ServiceError>::new())
            .with_connection_poisoning()
            .interceptor(CountCalls(Arc::clone(&clients.calls)))
            .runtime_plugin(signed(config, target));
        if let Some(version) = config.behavior_version() {
            builder = builder.behavior_version(version);
        }
        if let Some(http) = config.http_client() {
            builder = builder.http_client(http);
        }
        if let Some(sleep) = config.sleep_impl() {
            builder = builder.sleep_impl(sleep);
        }
        let operation = builder
            .serializer(move |body: String| Ok(request(target, body)))
            .deserializer::<Answer, ServiceError>(answer)
            .build();
        Self(operation)
    }

    /// Calls the operation with a JSON body.
    pub async fn send(
        &self,
        body: &serde_json::Value,
    ) -> Result<Answer, SdkError<ServiceError, HttpResponse>> {
        self.0.invoke(body.to_string()).await
    }
}

/// Where the service is: as configured for it, for all services, or by region.
fn endpoint(config: &SdkConfig, target: Target) -> String {
    let key = ServiceConfigKey::builder()
        .service_id(target.service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
    if let Some(url) = own.or_else(|| config.endpoint_url().map(str::to_owned)) {
        return url;
    }
    let region = config.region().map_or("us-east-1", |region| region.as_ref());
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let fips = if config.use_fips() == Some(true) { "-fips" } else { "" };
    format!("https://{}{fips}.{region}.{suffix}", target.service)
}

/// Signs with the configuration's credentials, and keeps answers out of the SDK's log.
fn signed(config: &SdkConfig, target: Target) -> StaticRuntimePlugin {
    let schemes = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
    let mut components = RuntimeComponentsBuilder::new("json_call")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(schemes)))
        .with_identity_cache(config.identity_cache());
    if let Some(credentials) = config.credentials_provider() {
        components = components.with_identity_resolver(SCHEME_ID, credentials);
    }
    let region = config.region().cloned().unwrap_or_else(|| Region::new("us-east-1"));
    let mut layer = Layer::new("json_call");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SensitiveOutput);
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(region)),
        name: Some(SigningName::from_static(target.service)),
        ..SigV4OperationSigningConfig::default()
    });
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}

fn request(target: Target, body: String) -> HttpRequest {
    let length = body.len().to_string();
    let mut request = HttpRequest::new(SdkBody::from(body));
    // The words are the standard's and our own: they are always accepted.
    let _ = request.set_method("POST");
    let _ = request.set_uri("/");
    let headers = request.headers_mut();
    headers.insert("content-type", "application/x-amz-json-1.1");
    headers.insert("content-length", length);
    headers.insert("x-amz-target", target.target);
    request
}

fn answer(response: &HttpResponse) -> Result<Answer, OrchestratorError<ServiceError>> {
    let bytes = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(Answer(SecretBytes::new(bytes.to_vec())));
    }
    let said: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |name: &str| said.get(name).and_then(serde_json::Value::as_str);
    let code = response.headers().get("x-amzn-errortype").or_else(|| text("__type"));
    // `com.amazonaws.ssm#ParameterNotFound:http://…`: what matters stands in the middle.
    let code = code.map(|code| code.split(':').next().unwrap_or(code));
    let code = code.map(|code| code.rsplit('#').next().unwrap_or(code));
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code {
        error = error.code(code);
    }
    if let Some(message) = text("message").or_else(|| text("Message")) {
        error = error.message(message);
    }
    Err(OrchestratorError::operation(ServiceError(error.build())))
}
