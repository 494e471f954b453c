//! A connection, as auth steps, parameters and secrets of an endpoint.

use serde_json::{Map, Value, json};

use super::Finding;
use super::account::{AuthorizationType, Connection, HttpParameters, OAuth, Parameter};
use super::values::{Part, Place};
use crate::domain::profile::Profile;

/// What a connection gives to an endpoint.
#[derive(Debug, Default)]
pub struct Mapped {
    /// The auth steps.
    pub auth: Vec<Value>,
    /// The endpoint's `headers`.
    pub headers: Map<String, Value>,
    /// The endpoint's `query`.
    pub query: Map<String, Value>,
    /// The endpoint's `bodyParameters`.
    pub body: Map<String, Value>,
    /// The secrets that these name: the id, and where the value stands.
    pub secrets: Vec<(String, Part)>,
    /// What its owner should know.
    pub findings: Vec<Finding>,
}

/// Maps a connection.
pub fn map(connection: &Connection) -> Mapped {
    let mut mapped = Mapped::default();
    let settings = &connection.auth_parameters;
    if connection.invocation_connectivity_parameters.is_some()
        || settings.connectivity_parameters.is_some()
    {
        mapped.change(
            "the connection reaches a private API through a resource configuration of VPC Lattice: \
             sealpost calls the URL itself, so its network must reach it and `egress.allow` name its \
             addresses",
        );
    }
    if let Some(state) = connection.connection_state.as_deref().filter(|s| *s != "AUTHORIZED") {
        mapped.change(&format!("the connection is {state}: its values may be out of date"));
    }
    mapped.authorize(connection);
    let parameters = &settings.invocation_http_parameters;
    for (place, list) in each(parameters) {
        for parameter in list {
            let value = mapped.value(connection, false, place, parameter);
            mapped.put(place, parameter, value);
        }
    }
    mapped
}

fn each(parameters: &HttpParameters) -> [(Place, &[Parameter]); 3] {
    [
        (Place::Header, &parameters.header_parameters),
        (Place::Query, &parameters.query_string_parameters),
        (Place::Body, &parameters.body_parameters),
    ]
}

impl Mapped {
    fn change(&mut self, what: &str) {
        self.findings.push(Finding::Change(what.to_owned()));
    }

    fn secret(&mut self, connection: &Connection, part: Part) -> String {
        let name = format!("{}.{}", connection.name, part.suffix());
        let mut id = name.clone();
        // Names of parameters that an id cannot hold as they are may come out the same.
        for n in 2.. {
            if !self.secrets.iter().any(|(taken, _)| *taken == id) {
                break;
            }
            id = format!("{name}-{n}");
        }
        self.secrets.push((id.clone(), part));
        id
    }

    fn authorize(&mut self, connection: &Connection) {
        let settings = &connection.auth_parameters;
        let step = match connection.authorization_type {
            AuthorizationType::Basic => settings.basic_auth_parameters.as_ref().map(|basic| {
                let secret = self.secret(connection, Part::Password);
                json!({"scheme": "basic", "username": basic.username, "secret": secret})
            }),
            AuthorizationType::ApiKey => settings.api_key_auth_parameters.as_ref().map(|key| {
                let secret = self.secret(connection, Part::ApiKey);
                json!({"scheme": "api_key", "in": "header", "name": key.api_key_name,
                       "secret": secret})
            }),
            AuthorizationType::OauthClientCredentials => {
                settings.oauth_parameters.as_ref().map(|oauth| self.token(connection, oauth))
            }
        };
        match step {
            Some(step) => self.auth.push(step),
            None => self.findings.push(Finding::Missing(
                "the connection does not say how it authorizes: read it with describe-connection"
                    .to_owned(),
            )),
        }
    }

    /// The step that obtains a token. AWS does not document how the client proves itself there.
    fn token(&mut self, connection: &Connection, oauth: &OAuth) -> Value {
        let secret = self.secret(connection, Part::ClientSecret);
        let mut step = json!({"scheme": "oauth2_client_credentials",
                              "token_url": oauth.authorization_endpoint,
                              "client_id": oauth.client_parameters.id, "secret": secret});
        let form = if oauth.http_method == "GET" { Place::Query } else { Place::Body };
        if oauth.http_method != "POST" {
            step["method"] = json!(oauth.http_method);
        }
        for (place, list) in each(&oauth.http_parameters) {
            let mut members = Map::new();
            for parameter in list {
                let value = self.value(connection, true, place, parameter);
                // What the scheme says by settings of its own.
                let own = matches!(parameter.key.as_str(), "grant_type" | "scope");
                if own && place == form && value.is_string() {
                    step[&parameter.key] = value;
                } else {
                    members.insert(parameter.key.clone(), value);
                }
            }
            let setting = match place {
                Place::Header => "headers",
                Place::Query => "query",
                Place::Body => "body",
            };
            if !members.is_empty() {
                step[setting] = Value::Object(members);
            }
        }
        self.change(
            "client id and secret go to the token server as HTTP Basic (client_secret_basic), for AWS \
             does not say how it sends them: if the server refuses, set \
             `\"client_authentication\": \"client_secret_post\"`",
        );
        step
    }

    /// A parameter's value: a text, or a secret.
    fn value(
        &mut self,
        connection: &Connection,
        of_token_request: bool,
        place: Place,
        parameter: &Parameter,
    ) -> Value {
        match &parameter.value {
            Some(value) if !parameter.is_value_secret => json!(value),
            Some(_) | None => {
                let key = parameter.key.clone();
                let id = self.secret(connection, Part::Parameter { of_token_request, place, key });
                json!({"secret": id})
            }
        }
    }

    fn put(&mut self, place: Place, parameter: &Parameter, value: Value) {
        let key = parameter.key.clone();
        match place {
            Place::Header if !Profile::EventBridge.lets_be_set(&key.to_ascii_lowercase()) => {
                self.change(&format!(
                    "the header {key} is left out: EventBridge removes it as well"
                ));
                self.secrets.retain(|(id, _)| value["secret"] != id.as_str());
            }
            Place::Header => drop(self.headers.insert(key, value)),
            Place::Query => drop(self.query.insert(key, value)),
            Place::Body => drop(self.body.insert(key, value)),
        }
    }
}
