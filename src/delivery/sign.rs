//! Built → signed: every auth step is applied. If one cannot be, nothing is sent.

use super::Halt;
use super::build::Built;
use super::resolve::Resolved;
use crate::auth::{AuthError, Call, Part};
use crate::domain::reason::Reason;
use crate::domain::request::OutboundRequest;
use crate::domain::timestamp::Timestamp;
use crate::ports::Chance;

/// A job with its request, ready to be sent.
pub struct Signed<'d> {
    /// The job, endpoint and secrets.
    pub resolved: Resolved<'d>,
    /// The request as it was before the auth steps, to be signed anew.
    pub unsigned: OutboundRequest,
    /// The request that is sent.
    pub request: OutboundRequest,
}

/// Applies the auth steps.
pub fn sign<'d>(built: Built<'d>, chance: &dyn Chance, now: Timestamp) -> Result<Signed<'d>, Halt> {
    let Built { resolved, request: unsigned } = built;
    let request = apply(&resolved, &unsigned, chance, now)?;
    Ok(Signed { resolved, unsigned, request })
}

/// The request with every auth step applied, at `now`.
pub fn apply(
    resolved: &Resolved<'_>,
    unsigned: &OutboundRequest,
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
    let mut request = unsigned.clone();
    let (job, endpoint) = (&resolved.decoded.job, &resolved.known.endpoint);
    let call = Call {
        customer_id: &endpoint.customer_id,
        endpoint_id: &endpoint.endpoint_id,
        job_id: &resolved.decoded.state.job_id,
        job_type: job.event_type.as_deref(),
        now,
        nonce: &|| chance.token(),
        secrets: &resolved.secrets,
        grant: None,
    };
    chain.apply(&mut request, &call, &[]).map_err(|e: AuthError| refuse(&e.to_string()))?;
    Ok(request)
}
