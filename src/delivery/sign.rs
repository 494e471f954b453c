//! Built → signed: every auth step is applied. If one cannot be, nothing is sent.

use super::admit::Admitted;
use super::build::Built;
use super::fill::{fill, secret_path};
use super::grants::Grants;
use super::resolve::Resolved;
use super::{Halt, Pipeline};
use bytes::Bytes;

use crate::auth::need::Need;
use crate::auth::{AuthError, Call, Part};
use crate::domain::endpoint::Method;
use crate::domain::reason::Reason;
use crate::domain::request::OutboundRequest;
use crate::domain::timestamp::Timestamp;
use crate::ports::Chance;

/// A job with its request, ready to be sent.
pub struct Signed<'d> {
    /// The job, endpoint and secrets.
    pub resolved: Resolved<'d>,
    /// What the auth steps were granted.
    pub grants: Grants,
    /// The request that is sent.
    pub request: OutboundRequest,
    /// Whether it carries no message, and only asks for the server's challenge.
    pub opens: bool,
}

/// Applies the auth steps.
pub fn sign<'d>(
    built: Built<'d>,
    grants: Grants,
    chance: &dyn Chance,
    now: Timestamp,
) -> Result<Box<Signed<'d>>, Halt> {
    let Built { resolved, request: unsigned } = built;
    let opens = lacks_challenge(&resolved, &grants);
    let request = apply(&resolved, unsigned, &grants, chance, now)?;
    // Boxed: it goes through several hands, and is more than a kilobyte.
    Ok(Box::new(Signed { resolved, grants, request, opens }))
}

impl Pipeline {
    /// The request built and signed once more, with other secrets or grants.
    pub(super) fn sign_again(
        &self,
        resolved: &Resolved<'_>,
        grants: &Grants,
    ) -> Result<OutboundRequest, Halt> {
        let Built { resolved, request } = self.build(Admitted(resolved.clone()))?;
        apply(&resolved, request, grants, &*self.chance, self.clock.now())
    }
}

/// Whether a step waits for the server's challenge.
pub fn lacks_challenge(resolved: &Resolved<'_>, grants: &Grants) -> bool {
    let mut needs = resolved.known.chain.needs().zip(grants);
    needs.any(|(need, grant)| matches!(need, Some(Need::Challenge)) && grant.is_none())
}

/// The request with every auth step applied, at `now`; or, where a step waits for the server's
/// challenge, the one without a message that brings it.
fn apply(
    resolved: &Resolved<'_>,
    unsigned: OutboundRequest,
    grants: &Grants,
    chance: &dyn Chance,
    now: Timestamp,
) -> Result<OutboundRequest, Halt> {
    let refuse = |e: &str| Halt::DeadLetter(Reason::AuthFailed, e.to_owned());
    let chain = &resolved.known.chain;
    // What a step sets, a job may not: its credential would be replaced, or stand twice.
    for header in chain.sets().filter_map(|part| match part {
        Part::Header(name) => Some(name),
        Part::Query(_) | Part::Identity | Part::Body(_) => None,
    }) {
        if resolved.decoded.job.headers.contains_key(&header) {
            return Err(refuse(&format!("headers.{header}: an auth step sets this header")));
        }
    }
    let nonce = || chance.token();
    let call = call_of(resolved, &nonce, now);
    let opens = lacks_challenge(resolved, grants);
    let mut request = if opens { opening(&unsigned) } else { unsigned };
    request.secret_path = secret_path(resolved)?;
    let applied = if opens {
        chain.apply_to_opening(&mut request, &call)
    } else {
        fill(&mut request, resolved)?;
        chain.apply(&mut request, &call, grants)
    };
    applied.map_err(|e: AuthError| refuse(&e.to_string()))?;
    Ok(request)
}

/// What the steps may know of a call.
pub fn call_of<'c>(
    resolved: &'c Resolved<'_>,
    nonce: &'c (dyn Fn() -> String + Sync),
    now: Timestamp,
) -> Call<'c> {
    let endpoint = &resolved.known.endpoint;
    Call {
        customer_id: &endpoint.customer_id,
        endpoint_id: &endpoint.endpoint_id,
        job_id: &resolved.decoded.state.job_id,
        job_type: resolved.decoded.job.event_type.as_deref(),
        now,
        nonce,
        secrets: &resolved.secrets,
        grant: None,
    }
}

/// The request that brings the server's challenge by being refused. It carries nothing of the message,
/// not even its id: a server that remembers ids must not take it for the message. Where the method
/// alone would do something, it is a HEAD.
fn opening(unsigned: &OutboundRequest) -> OutboundRequest {
    let method = match unsigned.method {
        Method::Post => Method::Post,
        Method::Put
        | Method::Patch
        | Method::Delete
        | Method::Get
        | Method::Head
        | Method::Options => Method::Head,
    };
    let mut request = OutboundRequest::new(method, unsigned.url.clone(), Bytes::new());
    request.secret_path.clone_from(&unsigned.secret_path);
    request.connection = unsigned.connection;
    let is_kept = |name: &str| matches!(name, "user-agent" | "content-type");
    request.headers = unsigned.headers.iter().filter(|h| is_kept(&h.name)).cloned().collect();
    request
}
