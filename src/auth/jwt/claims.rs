//! Claims of any JSON, whose texts may hold variables of the call.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Position;

use super::super::{AuthError, Call};
use crate::domain::field::FieldError;
use crate::domain::request::OutboundRequest;

/// A claim's value before a call fills it.
pub(super) enum Claim {
    /// The same for every call.
    Fixed(Value),
    /// A text with variables.
    Text(Vec<Piece>),
    /// A list in which something is open.
    List(Vec<Claim>),
    /// An object in which something is open.
    Object(BTreeMap<String, Claim>),
}

/// What fills it.
pub(super) struct Facts<'f> {
    pub(super) request: &'f OutboundRequest,
    pub(super) call: &'f Call<'f>,
}

pub(super) enum Piece {
    Text(String),
    Variable(Variable),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    JobId,
    JobType,
    CustomerId,
    EndpointId,
    Method,
    Url,
    Host,
    Path,
    Query,
    Now,
}

impl Variable {
    const ALL: [(&str, Self); 10] = [
        ("job.id", Self::JobId),
        ("job.type", Self::JobType),
        ("customer.id", Self::CustomerId),
        ("endpoint.id", Self::EndpointId),
        ("method", Self::Method),
        ("url", Self::Url),
        ("host", Self::Host),
        ("path", Self::Path),
        ("query", Self::Query),
        ("now", Self::Now),
    ];

    fn fill(self, facts: &Facts<'_>) -> Result<String, AuthError> {
        let Facts { request, call } = facts;
        let url = || request.full_url();
        Ok(match self {
            Self::JobId => call.job_id.to_string(),
            Self::JobType => {
                let missing =
                    || AuthError::new("a claim holds {job.type}, and the job has no type");
                call.job_type.ok_or_else(missing)?.to_owned()
            }
            Self::CustomerId => call.customer_id.to_string(),
            Self::EndpointId => call.endpoint_id.to_string(),
            Self::Method => request.method.as_str().to_owned(),
            // A fragment is not sent.
            Self::Url => url()[..Position::AfterQuery].to_owned(),
            Self::Host => request.url[Position::BeforeHost..Position::AfterPort].to_owned(),
            Self::Path => url().path().to_owned(),
            Self::Query => url().query().unwrap_or_default().to_owned(),
            Self::Now => call.now.as_secs().to_string(),
        })
    }

    /// Whether the request itself shows what it was.
    fn is_in_request(self) -> bool {
        match self {
            Self::Method | Self::Url | Self::Host | Self::Path | Self::Query => true,
            Self::JobId | Self::JobType | Self::CustomerId | Self::EndpointId | Self::Now => false,
        }
    }
}

impl Claim {
    /// Reads a claim's value.
    ///
    /// # Errors
    /// With the path, below `path`, of a text with a variable that there is not.
    pub(super) fn compile(path: &str, value: &Value) -> Result<Self, FieldError> {
        let claim = match value {
            Value::String(text) => {
                let pieces = pieces(text).map_err(|e| FieldError::new(path, e))?;
                match &pieces[..] {
                    [] => Self::Fixed("".into()),
                    [Piece::Text(text)] => Self::Fixed(text.as_str().into()),
                    _ => Self::Text(pieces),
                }
            }
            Value::Array(values) => {
                let item = |(i, v)| Self::compile(&format!("{path}[{i}]"), v);
                Self::List(values.iter().enumerate().map(item).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let member = |(name, v): (&String, _)| {
                    Ok((name.clone(), Self::compile(&format!("{path}.{name}"), v)?))
                };
                Self::Object(members.iter().map(member).collect::<Result<_, FieldError>>()?)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Fixed(value.clone()),
        };
        Ok(claim)
    }

    /// The value for one call.
    ///
    /// # Errors
    /// If the call does not have what a variable stands for.
    pub(super) fn fill(&self, facts: &Facts<'_>) -> Result<Value, AuthError> {
        Ok(match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(fixed) => text.push_str(fixed),
                        Piece::Variable(variable) => text.push_str(&variable.fill(facts)?),
                    }
                }
                text.into()
            }
            Self::List(items) => {
                Value::Array(items.iter().map(|i| i.fill(facts)).collect::<Result<_, _>>()?)
            }
            Self::Object(members) => {
                let member = |(name, claim): (&String, &Self)| {
                    claim.fill(facts).map(|value| (name.clone(), value))
                };
                Value::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Whether `value` is what a receiver can expect: where the request does not show what a variable
    /// was, any text.
    pub(super) fn fits(&self, value: &Value, facts: &Facts<'_>) -> bool {
        match (self, value) {
            (Self::Fixed(fixed), _) => fixed == value,
            (Self::Text(_), Value::String(_)) if !self.is_shown() => true,
            (Self::Text(_), _) => self.fill(facts).is_ok_and(|expected| expected == *value),
            (Self::List(items), Value::Array(values)) => {
                let mut pairs = items.iter().zip(values);
                items.len() == values.len() && pairs.all(|(item, v)| item.fits(v, facts))
            }
            (Self::Object(members), Value::Object(values)) => {
                let fits = |(name, claim): (&String, &Self)| {
                    values.get(name).is_some_and(|v| claim.fits(v, facts))
                };
                members.len() == values.len() && members.iter().all(fits)
            }
            (Self::List(_) | Self::Object(_), _) => false,
        }
    }

    /// Whether the URL's query is in it.
    pub(super) fn covers_url(&self) -> bool {
        self.has(&|variable| matches!(variable, Variable::Url | Variable::Query))
    }

    fn is_shown(&self) -> bool {
        !self.has(&|variable| !variable.is_in_request())
    }

    fn has(&self, wanted: &dyn Fn(Variable) -> bool) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Text(pieces) => {
                pieces.iter().any(|piece| matches!(piece, Piece::Variable(v) if wanted(*v)))
            }
            Self::List(items) => items.iter().any(|item| item.has(wanted)),
            Self::Object(members) => members.values().any(|member| member.has(wanted)),
        }
    }
}

/// Reads a text with variables: `{name}`; `{{` and `}}` stand for a brace.
fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut fixed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        fixed.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            fixed.push_str(brace);
            rest = after;
            continue;
        }
        let closed = after.split_once('}').filter(|_| brace == "{");
        let (name, after) =
            closed.ok_or("a brace that is not closed or not opened; write {{ or }} for a brace")?;
        let known = Variable::ALL.into_iter().find(|(known, _)| *known == name);
        let (_, variable) = known.ok_or_else(|| {
            let names: Vec<_> = Variable::ALL.iter().map(|(n, _)| format!("{{{n}}}")).collect();
            format!("{{{name}}} is not a variable; expected one of {}", names.join(", "))
        })?;
        if !fixed.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut fixed)));
        }
        pieces.push(Piece::Variable(variable));
        rest = after;
    }
    fixed.push_str(rest);
    if !fixed.is_empty() {
        pieces.push(Piece::Text(fixed));
    }
    Ok(pieces)
}
