//! Why a delivery was given up: the stable codes of dead letters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $advice:literal;)*) => {
        /// Why a delivery became a dead letter. The code is part of the contract and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What to do about it.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }
        }
    };
}

reasons! {
    /// The message is not JSON in UTF-8.
    MalformedJob = "malformed_job", "send one JSON object in UTF-8";
    /// The message is JSON, but not a job.
    InvalidJob = "invalid_job", "correct the field that the message names and send the job again";
    /// The message is larger than the limit.
    OversizedJob = "oversized_job", "send a smaller body, or a reference to it";
    /// Who sent the message may not send jobs of the customer.
    SenderNotAllowed = "sender_not_allowed", "name the sender with the customer under `[aws.senders]`, then replay";
    /// The job names no endpoint, and more endpoints want it than one job goes to.
    FanOutTooLarge = "fan_out_too_large", "narrow the endpoints' `eventTypes`, or send a job for each endpoint, then replay";
    /// The job asks for order, and the queue that it came through keeps none.
    OrderNotKept = "order_not_kept", "send it to a FIFO queue, or without `orderingGroup`";
    /// The endpoint, or the customer, does not exist.
    UnknownEndpoint = "unknown_endpoint", "register it with `sealpost endpoint put`, then replay";
    /// The endpoint is disabled.
    EndpointDisabled = "endpoint_disabled", "mend the endpoint and put it again, then replay";
    /// The endpoint has not agreed to be called, for as long as the job may wait.
    EndpointUnverified = "endpoint_unverified", "have it verified with `sealpost endpoint verify`, then replay";
    /// The endpoint's stored configuration cannot be used by this version.
    InvalidEndpoint = "invalid_endpoint", "put the endpoint again with the field corrected, then replay";
    /// A secret that an auth step names does not exist.
    UnknownSecret = "unknown_secret", "store it with `sealpost secret put`, then replay";
    /// A sealed value does not open: it was altered, or belongs to another secret or key.
    SecretNotDecrypted = "secret_not_decrypted", "put the secret's value again, then replay";
    /// The secret was sealed without a context, and unbound secrets are not accepted.
    UnboundSecret = "unbound_secret", "put the secret again with its origins, or set `accept_unbound_secrets = true` under `[secrets]`, then replay";
    /// The tenant key that the secret is sealed to was shredded.
    TenantKeyShredded = "tenant_key_shredded", "its value is lost on purpose: make a new key with `sealpost tenant-key create`, put the value again, then replay";
    /// The secret may not go to the endpoint's origin.
    OriginNotAllowed = "origin_not_allowed", "put the secret again with `--origin` naming the endpoint's origin, then replay";
    /// An auth step could not be applied, so nothing was sent.
    AuthFailed = "auth_failed", "correct the auth step or the secret's value, then replay";
    /// Whoever gives out access tokens for the endpoint refused to, for as long as the job may wait.
    EndpointDeauthorized = "endpoint_deauthorized", "correct the client's credentials or the auth step, then replay";
    /// No access token could be had for as long as the job may wait.
    TokenUnavailable = "token_unavailable", "see whether the token URL answers as RFC 6749 asks, then replay";
    /// The body or a parameter cannot be made of the job.
    TransformFailed = "transform_failed", "correct the endpoint's body settings or the job's data as the message says, then replay";
    /// The request cannot be built from this job and endpoint.
    InvalidRequest = "invalid_request", "correct the job or the endpoint as the message says, then replay";
    /// The endpoint's status, or its failure, is not among those tried again.
    Rejected = "rejected", "see the status in the history; mend the endpoint, then replay";
    /// The endpoint answered 410 Gone and was disabled.
    EndpointGone = "endpoint_gone", "the receiver is gone: register its new URL, then replay";
    /// Every attempt of the round failed.
    AttemptsExhausted = "attempts_exhausted", "see the history; mend the endpoint, then replay";
    /// The next attempt would be later than the policy's longest age.
    TooOld = "too_old", "see the history; mend the endpoint, then replay";
    /// The job's `expiresAt` has passed.
    Expired = "expired", "the producer asked for no delivery after this time; replay to send it still";
    /// The call may have been processed and the policy forbids sending it twice.
    Ambiguous = "ambiguous", "ask the receiver whether it has the id; replay if it has not";
    /// The worker stopped while it held the message, too many times.
    CrashLoop = "crash_loop", "the message may crash the worker: report it with its bytes";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl From<Reason> for &'static str {
    fn from(reason: Reason) -> Self {
        reason.code()
    }
}

/// A text that is no reason's code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a reason code")]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        let found = Self::ALL.iter().copied().find(|reason| reason.code() == text);
        found.ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

impl TryFrom<String> for Reason {
    type Error = UnknownReason;
    fn try_from(text: String) -> Result<Self, UnknownReason> {
        text.parse()
    }
}
