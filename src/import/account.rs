//! What an account has, in the words of the Amazon EventBridge API Reference ("DescribeConnection",
//! "DescribeApiDestination", "DescribeRule", "ListTargetsByRule"). Members that are of no interest here are
//! not read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// All that was read.
#[derive(Debug, Default)]
pub struct Account {
    /// The connections, with all that they say of themselves.
    pub connections: Vec<Connection>,
    /// The API destinations.
    pub destinations: Vec<ApiDestination>,
    /// The rules that have one of them for a target.
    pub rules: Vec<Rule>,
}

/// A connection: how calls are authenticated.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Connection {
    /// Its name, unique in the account and region.
    pub name: String,
    /// Its ARN, which API destinations name.
    pub connection_arn: String,
    /// `AUTHORIZED`, or why it is not used.
    pub connection_state: Option<String>,
    /// Which kind of authorization.
    pub authorization_type: AuthorizationType,
    /// The secret in Secrets Manager with the values.
    pub secret_arn: Option<String>,
    /// The plain part of the settings.
    #[serde(default)]
    pub auth_parameters: AuthParameters,
    /// How a private API is reached.
    pub invocation_connectivity_parameters: Option<Value>,
}

/// The kinds of authorization that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum AuthorizationType {
    Basic,
    ApiKey,
    OauthClientCredentials,
}

/// The settings of a connection. What is secret is left out by AWS.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AuthParameters {
    /// Of `BASIC`.
    pub basic_auth_parameters: Option<Basic>,
    /// Of `API_KEY`.
    pub api_key_auth_parameters: Option<ApiKey>,
    /// Of `OAUTH_CLIENT_CREDENTIALS`.
    #[serde(rename = "OAuthParameters")]
    pub oauth_parameters: Option<OAuth>,
    /// What is added to every call.
    pub invocation_http_parameters: HttpParameters,
    /// How a private token server is reached.
    pub connectivity_parameters: Option<Value>,
}

/// A user.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Basic {
    /// The user's name.
    pub username: String,
}

/// A header with a key.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ApiKey {
    /// The header's name.
    pub api_key_name: String,
}

/// A token server.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OAuth {
    /// Its URL.
    pub authorization_endpoint: String,
    /// The method of the token request.
    pub http_method: String,
    /// Who asks.
    pub client_parameters: Client,
    /// What is added to the token request.
    #[serde(rename = "OAuthHttpParameters", default)]
    pub http_parameters: HttpParameters,
}

/// A client of a token server.
#[derive(Debug, Clone, Deserialize)]
pub struct Client {
    /// Its id.
    #[serde(rename = "ClientID")]
    pub id: String,
}

/// Parameters that a connection adds to requests.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HttpParameters {
    /// Headers.
    pub header_parameters: Vec<Parameter>,
    /// Query parameters.
    pub query_string_parameters: Vec<Parameter>,
    /// Members of the body.
    pub body_parameters: Vec<Parameter>,
}

/// One of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Parameter {
    /// Its name.
    pub key: String,
    /// Its value, if it is no secret.
    pub value: Option<String>,
    /// Whether the value stands in the secret alone.
    #[serde(default)]
    pub is_value_secret: bool,
}

/// An API destination: where calls go.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ApiDestination {
    /// Its name, unique in the account and region.
    pub name: String,
    /// Its ARN, which targets name.
    pub api_destination_arn: String,
    /// `ACTIVE` or `INACTIVE`.
    pub api_destination_state: Option<String>,
    /// The connection that authenticates its calls.
    pub connection_arn: String,
    /// The URL, with `*` for each path parameter.
    pub invocation_endpoint: String,
    /// The method of its calls.
    pub http_method: String,
    /// Most calls in a second.
    pub invocation_rate_limit_per_second: Option<u32>,
}

/// A rule with its targets.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    /// Its name, unique on its bus.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `DISABLED`, or a kind of enabled.
    pub state: Option<String>,
    /// The bus; the default one without it.
    pub event_bus_name: Option<String>,
    /// Its targets.
    #[serde(skip)]
    pub targets: Vec<Target>,
}

/// The answer of "ListTargetsByRule".
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Targets {
    /// The targets.
    pub targets: Vec<Target>,
}

/// Where a rule sends events, and what it makes of them first.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Target {
    /// Its name, unique for the rule.
    pub id: String,
    /// What it is: for us, an API destination.
    pub arn: String,
    /// A constant in the place of the event.
    pub input: Option<String>,
    /// A piece of the event in its place.
    pub input_path: Option<String>,
    /// A template in its place.
    pub input_transformer: Option<InputTransformer>,
    /// What is added to each call.
    #[serde(default)]
    pub http_parameters: TargetParameters,
    /// How long it is tried.
    #[serde(default)]
    pub retry_policy: RetryPolicy,
    /// Where what was given up goes.
    pub dead_letter_config: Option<DeadLetterConfig>,
}

/// A template with the paths of its values.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InputTransformer {
    /// Names and paths.
    #[serde(default)]
    pub input_paths_map: BTreeMap<String, String>,
    /// The template.
    pub input_template: String,
}

/// What a target adds to each call; a value may be a path into the event.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TargetParameters {
    /// What fills the wildcards of the URL.
    pub path_parameter_values: Vec<String>,
    /// Headers.
    pub header_parameters: BTreeMap<String, String>,
    /// Query parameters.
    pub query_string_parameters: BTreeMap<String, String>,
}

/// How long a target is tried.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RetryPolicy {
    /// In seconds, 60 to 86,400.
    pub maximum_event_age_in_seconds: Option<u64>,
    /// Retries after the first attempt, 0 to 185.
    pub maximum_retry_attempts: Option<u32>,
}

/// Where a target's dead letters go.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeadLetterConfig {
    /// The queue.
    pub arn: Option<String>,
}
