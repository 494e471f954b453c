//! Makes the handshake that an endpoint asks for, and judges the answer.

use super::build::{self, Built};
use super::fill::{fill_head, secret_path};
use super::grants::Grants;
use super::resolve::Resolved;
use super::sign::{call_of, lacks_challenge};
use super::{Halt, Pipeline};
use crate::auth::AuthError;
use crate::domain::endpoint::Method;
use crate::domain::reason::Reason;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::verification::{
    ALLOWED_ORIGIN, ALLOWED_RATE, Handshake, Judgement, REQUEST_RATE, challenge, judge_challenge,
    judge_cloudevents, per_minute,
};
use crate::egress::client::Answer;
use crate::transform::Made;

/// A handshake as it is asked, with what the answer is compared with.
pub enum Asking {
    /// The origin that has to be let in.
    Cloudevents(String),
    /// The challenge that has to come back.
    Challenge(String),
}

impl Pipeline {
    /// The request of the handshake that an endpoint asks for, without credentials.
    pub(super) fn build_handshake<'d>(
        &self,
        resolved: Resolved<'d>,
    ) -> Result<(Built<'d>, Asking), Halt> {
        let settings = resolved.known.endpoint.verification.ok_or_else(|| {
            let problem = "verification: the endpoint asks for no handshake".to_owned();
            Halt::DeadLetter(Reason::InvalidEndpoint, problem)
        })?;
        let (body, asking) = match settings.handshake {
            Handshake::Cloudevents => (None, None),
            Handshake::Challenge => {
                let text = self.chance.token();
                (Some(challenge(&text).to_string()), Some(Asking::Challenge(text)))
            }
        };
        let made = Made {
            content_type: body.is_some().then(|| "application/json".to_owned()),
            bytes: body.unwrap_or_default().into(),
            headers: Vec::new(),
        };
        let rate = resolved.known.endpoint.limits.rate;
        let mut built = build::build(resolved, made, &self.guard, self.traceparent)?;
        self.say_origin(&mut built)?;
        match asking {
            Some(asking) => {
                built.request.method = Method::Post;
                Ok((built, asking))
            }
            None => {
                built.request.method = Method::Options;
                built.request.headers.retain(|header| header.name != "content-type");
                if let Some(rate) = rate {
                    let wanted = HeaderValue::Plain(per_minute(&rate).to_string());
                    built.request.set_header(REQUEST_RATE, wanted);
                }
                let origin = self.webhook_origin.as_ref().map(|origin| origin.as_str().to_owned());
                Ok((built, Asking::Cloudevents(origin.unwrap_or_default())))
            }
        }
    }

    /// The same with the endpoint's secrets and every auth step. It carries nothing of a message; a step that
    /// answers a challenge of the server's has none to answer, and is left out.
    pub(super) fn sign_handshake(
        &self,
        resolved: &Resolved<'_>,
        unsigned: &OutboundRequest,
        grants: &Grants,
    ) -> Result<OutboundRequest, Halt> {
        let nonce = || self.chance.token();
        let call = call_of(resolved, &nonce, self.clock.now());
        let mut request = unsigned.clone();
        request.secret_path = secret_path(resolved)?;
        fill_head(&mut request, resolved)?;
        let chain = &resolved.known.chain;
        let applied = match lacks_challenge(resolved, grants) {
            true => chain.apply_to_opening(&mut request, &call),
            false => chain.apply(&mut request, &call, grants),
        };
        applied.map_err(|e: AuthError| Halt::DeadLetter(Reason::AuthFailed, e.to_string()))?;
        Ok(request)
    }
}

/// Whether the answer agrees.
pub fn judge(asking: &Asking, resolved: &Resolved<'_>, answer: &Answer) -> Judgement {
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    match asking {
        Asking::Cloudevents(origin) => {
            let rate = resolved.known.endpoint.limits.rate.as_ref();
            judge_cloudevents(origin, header(ALLOWED_ORIGIN), header(ALLOWED_RATE), rate)
        }
        Asking::Challenge(text) => judge_challenge(answer.status, text, &answer.excerpt),
    }
}
