//! Why a job waits without an attempt: stable codes, for logs and metrics.

use std::fmt;

macro_rules! waits {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)*) => {
        /// Why a job is put back without an attempt. The code is part of the contract and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Wait { $($(#[$doc])* $name,)* }

        impl Wait {
            /// Every reason to wait, in the order of the documentation.
            pub const ALL: &[Wait] = &[$(Wait::$name,)*];

            /// The stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The same for people.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

waits! {
    /// The job's `notBefore` is to come.
    NotBefore = "not_before", "not before";
    /// The endpoint asked for a pause.
    EndpointPaused = "endpoint_paused", "endpoint paused";
    /// The endpoint is disabled, and holds its jobs.
    EndpointDisabled = "endpoint_disabled", "endpoint disabled";
    /// The endpoint has not agreed to be called.
    EndpointUnverified = "endpoint_unverified", "endpoint not verified";
    /// The endpoint's token server refuses the client.
    EndpointDeauthorized = "endpoint_deauthorized", "endpoint deauthorized";
    /// The token server is out of order.
    NoAccessToken = "no_access_token", "no access token";
    /// The endpoint's rate limit is reached.
    RateLimit = "rate_limit", "rate limit";
    /// As many calls to the endpoint are out as there may be.
    ConcurrencyLimit = "concurrency_limit", "concurrency limit";
    /// The endpoint's breaker is open.
    EndpointLeftAlone = "endpoint_left_alone", "endpoint left alone";
    /// The customer holds its share of the worker.
    CustomerShare = "customer_share", "customer's share of the worker";
    /// Another worker has claimed the attempt.
    Claimed = "claimed", "claimed by another worker";
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
