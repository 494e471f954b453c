//! The parameters of an endpoint, ready for use: what it puts into the path, the headers, the query
//! and the body of every call.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::resolve::OpenSecrets;
use crate::domain::endpoint::Endpoint;
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::SecretId;
use crate::domain::job::Payload;
use crate::domain::parameter::Parameter;
use crate::domain::secret::SecretBytes;
use crate::transform::{Json, JsonPath, TransformError, data_of};

/// All parameters of an endpoint.
pub struct Parameters {
    /// One for each wildcard of the URL; empty where the job brings them.
    pub path: Vec<Named>,
    /// Names in lower case.
    pub headers: Vec<Named>,
    /// Of the query.
    pub query: Vec<Named>,
    /// Members of the body.
    pub body: Vec<Named>,
}

/// The event, read once for all parameters, and not at all where none wants a piece of it.
pub struct EventData<'p> {
    payload: &'p Payload,
    read: OnceCell<Result<Json, TransformError>>,
}

impl<'p> EventData<'p> {
    /// The event of a job.
    pub fn of(payload: &'p Payload) -> Self {
        Self { payload, read: OnceCell::new() }
    }

    fn get(&self) -> Result<&Json, String> {
        let read = self.read.get_or_init(|| data_of(self.payload));
        read.as_ref().map_err(|e| e.problem.clone())
    }
}

/// A parameter with the path of its field.
pub struct Named {
    /// Its name, as it is sent.
    pub name: String,
    /// Where it stands in the endpoint's configuration.
    pub path: String,
    /// What it is made of.
    pub source: Source,
}

/// What a parameter is made of.
pub enum Source {
    /// This text.
    Plain(String),
    /// The current value of a secret, after a prefix.
    Secret(SecretId, String),
    /// A piece of the event.
    Event(JsonPath, String),
}

impl Parameters {
    /// Checks the parameters of an endpoint.
    ///
    /// # Errors
    /// With the path of one that cannot be read.
    pub fn compile(endpoint: &Endpoint) -> Result<Self, FieldError> {
        let lower = |name: &String| name.to_ascii_lowercase();
        let all = |field: &str, of: &BTreeMap<String, Parameter>, spell: fn(&String) -> String| {
            let one = |(name, value): (&String, &Parameter)| {
                named(spell(name), format!("{field}.{name}"), value)
            };
            of.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        let in_path = endpoint.path_parameters.iter().enumerate();
        let path = in_path.map(|(index, value)| {
            named(index.to_string(), format!("pathParameters[{index}]"), value)
        });
        Ok(Self {
            path: path.collect::<Result<_, _>>()?,
            headers: all("headers", &endpoint.headers, lower)?,
            query: all("query", &endpoint.query, String::clone)?,
            body: all("bodyParameters", &endpoint.body_parameters, String::clone)?,
        })
    }

    /// Checks a value that is to be the secret of a parameter.
    ///
    /// # Errors
    /// With the path of the parameter that could not be sent with it.
    pub fn check_secret(&self, id: &SecretId, value: &SecretBytes) -> Result<(), FieldError> {
        let is_it = |named: &&Named| matches!(&named.source, Source::Secret(own, _) if own == id);
        for named in self.headers.iter().chain(&self.query).filter(is_it) {
            named.check_text(value)?;
        }
        match self.body.iter().find(is_it) {
            Some(named) if value.expose_str().is_none() => {
                Err(named.wrong("the secret is not UTF-8, as a body's text has to be"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn named(name: String, path: String, value: &Parameter) -> Result<Named, FieldError> {
    let source = match value {
        Parameter::Plain(text) => Source::Plain(text.clone()),
        Parameter::Secret { secret, prefix } => Source::Secret(secret.clone(), prefix.clone()),
        Parameter::Event(at) => {
            let wrong = |problem| FieldError::new(format!("{path}.event"), problem);
            Source::Event(JsonPath::compile(at).map_err(|e| wrong(e.problem))?, at.clone())
        }
    };
    Ok(Named { name, path, source })
}

impl Named {
    /// The text, unless it is a secret: a piece of the event has to be a plain value.
    ///
    /// # Errors
    /// If the event has nothing there, or an object or a list.
    pub fn text(&self, event: &EventData<'_>) -> Result<Option<String>, FieldError> {
        match &self.source {
            Source::Plain(text) => Ok(Some(text.clone())),
            Source::Secret(..) => Ok(None),
            Source::Event(path, at) => match self.piece(path, at, event)? {
                Json::Array(_) | Json::Object(_) => Err(self
                    .wrong(format!("at {at} stands an object or a list, expected a plain value"))),
                Json::Null => Ok(Some("null".to_owned())),
                Json::Bool(value) => Ok(Some(value.to_string())),
                Json::Number(text) | Json::String(text) => Ok(Some(text.to_string())),
            },
        }
    }

    /// The value as JSON.
    ///
    /// # Errors
    /// If the event has nothing there, or the secret cannot stand in JSON.
    pub fn json(
        &self,
        event: &EventData<'_>,
        secrets: &OpenSecrets,
    ) -> Result<SecretBytes, FieldError> {
        let quoted =
            |text: &str| SecretBytes::new(serde_json::Value::from(text).to_string().into_bytes());
        match &self.source {
            Source::Plain(text) => Ok(quoted(text)),
            Source::Secret(..) => {
                let value = self.secret(secrets)?;
                let text =
                    value.expose_str().ok_or_else(|| self.wrong("the secret is not UTF-8"))?;
                Ok(quoted(text))
            }
            Source::Event(path, at) => {
                let json = self.piece(path, at, event)?.to_json();
                let json =
                    json.map_err(|_| self.wrong(format!("what stands at {at} is too large")))?;
                Ok(SecretBytes::new(json.into_bytes()))
            }
        }
    }

    /// The secret's current value after its prefix, where it is one.
    ///
    /// # Errors
    /// If the secret has no value in use.
    pub fn secret(&self, secrets: &OpenSecrets) -> Result<SecretBytes, FieldError> {
        match &self.source {
            Source::Plain(_) | Source::Event(..) => Err(self.wrong("no secret")),
            Source::Secret(id, prefix) => {
                let current = secrets.get(id).and_then(|values| values.first());
                let value = current
                    .ok_or_else(|| self.wrong(format!("secret {id} has no value in use")))?;
                Ok(SecretBytes::new([prefix.as_bytes(), value.expose()].concat()))
            }
        }
    }

    /// Whether a value can be this parameter's secret in a header or the query.
    ///
    /// # Errors
    /// If it cannot stand there.
    pub fn check_text(&self, value: &SecretBytes) -> Result<(), FieldError> {
        let text = value.expose_str().filter(|text| header::check_value(text) == Ok(*text));
        text.map(drop).ok_or_else(|| {
            self.wrong("the secret holds characters that a header or a query cannot carry, or white space at an end")
        })
    }

    fn piece(&self, path: &JsonPath, at: &str, event: &EventData<'_>) -> Result<Json, FieldError> {
        let data = event.get().map_err(|problem| self.wrong(problem))?;
        let found = path.select(data).map_err(|e| self.wrong(e.problem))?;
        found.ok_or_else(|| self.wrong(format!("the event has nothing at {at}")))
    }

    /// A complaint about this parameter.
    pub fn wrong(&self, problem: impl Into<String>) -> FieldError {
        FieldError::new(self.path.clone(), problem)
    }
}
