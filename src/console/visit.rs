//! A visit: a session, and the customer whose things are looked at.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::session::{Realm, Session};
use crate::api::problem::{Answer, Problem};
use crate::domain::access::Action;
use crate::domain::ids::{CustomerId, EndpointId};

/// Somebody who looks at one customer's things.
#[derive(Clone)]
pub struct Visit {
    /// Who.
    pub session: Session,
    /// Whose things.
    pub customer: CustomerId,
    id: Option<String>,
}

impl Visit {
    /// The path of a page of this customer; `rest` begins with `/`, or is empty for the first one.
    pub fn link(&self, rest: &str) -> String {
        match self.session.realm {
            Realm::Operator => format!("/console/customers/{}{rest}", self.customer),
            Realm::Customer => format!("/customer{rest}"),
        }
    }

    /// Whether the visitor may do that to something of the customer: to one endpoint, or (`None`) to
    /// what belongs to no single one.
    pub fn may(&self, action: Action, endpoint: Option<&EndpointId>) -> bool {
        self.session.caller.check(action, Some(&self.customer), endpoint).is_ok()
    }

    /// Whether the visitor may do that to something of the customer, be it one endpoint alone.
    pub fn may_reach(&self, action: Action) -> bool {
        self.session.caller.check_reach(action, Some(&self.customer)).is_ok()
    }

    /// What the path names.
    ///
    /// # Errors
    /// If no such thing can have that name.
    pub fn named<T: FromStr>(&self) -> Answer<T> {
        let id = self.id.as_deref().unwrap_or("");
        id.parse().map_err(|_| Problem::not_found("such page"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let session = Session::from_request_parts(parts, state).await?;
        let Path(mut path) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("such page"))?;
        let customer = match session.realm {
            Realm::Operator => path.remove("customer").and_then(|text| text.parse().ok()),
            Realm::Customer => session.caller.0.grant.only_customer().cloned(),
        };
        let customer = customer.ok_or_else(|| Problem::not_found("such customer"))?;
        // Whatever a page asks for besides: nobody comes to another's customer.
        session.caller.check_reach(Action::Read, Some(&customer))?;
        Ok(Self { session, customer, id: path.remove("id") })
    }
}
