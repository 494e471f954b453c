//! The labels: enums, so that every series is known before the first is counted.

mod known;

pub use known::Outcome;

/// A label with all its values.
pub trait Label: Copy + 'static {
    /// Every value, each at its [`Label::index`].
    const ALL: &'static [Self];

    /// The place among all.
    fn index(self) -> usize;

    /// What is written.
    fn value(self) -> &'static str;
}

macro_rules! labels {
    ($($(#[$doc:meta])* $label:ident { $($(#[$each:meta])* $name:ident = $value:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $label { $($(#[$each])* $name,)* }

        impl Label for $label {
            const ALL: &'static [Self] = &[$(Self::$name,)*];

            fn index(self) -> usize {
                self as usize
            }

            fn value(self) -> &'static str {
                match self { $(Self::$name => $value,)* }
            }
        }
    )*};
}

labels! {
    /// How a delivery ended.
    Ended {
        /// The endpoint accepted it.
        Delivered = "delivered",
        /// It was given up.
        DeadLettered = "dead_lettered",
    }

    /// Whether a call did what it was made for.
    Success {
        /// It did.
        Ok = "ok",
        /// It did not.
        Failed = "failed",
    }

    /// What became of a job that names no endpoint.
    FannedOut {
        /// It went to those that want it.
        Sent = "sent",
        /// Nobody wants it.
        Unmatched = "unmatched",
    }

    /// What of ours failed: the first word of an error's operation.
    Dependency {
        /// The queue.
        Queue = "queue",
        /// The endpoints' store.
        Endpoints = "endpoints",
        /// The secrets' store.
        Secrets = "secrets",
        /// The store of what was learnt of endpoints.
        Health = "health",
        /// Fences and the index of dead letters.
        Deliveries = "deliveries",
        /// What is recorded of deliveries.
        Records = "records",
        /// The accounts of rates that workers share.
        Rates = "rates",
        /// The records of replays.
        Replays = "replays",
        /// API keys and what the API has taken.
        Control = "control",
        /// The key service, or the key file.
        Keys = "keys",
        /// What references lead to.
        References = "references",
        /// AWS roles.
        AwsRoles = "aws_roles",
        /// The name servers.
        Resolver = "resolver",
        /// The way out: the proxy, TLS, or a stop before anything was written.
        Egress = "egress",
        /// Something else: a bug, or the disk.
        Other = "other",
    }

    /// Where a breaker went.
    BreakerState {
        /// The endpoint is left alone.
        Open = "open",
        /// It is probed.
        HalfOpen = "half_open",
        /// It works again.
        Closed = "closed",
    }

    /// What was learnt of an endpoint.
    Learnt {
        /// It works.
        Active = "active",
        /// It asked for a pause.
        Paused = "paused",
        /// Its token server refuses.
        Deauthorized = "deauthorized",
        /// It is disabled.
        Disabled = "disabled",
    }

    /// What a token server said.
    TokenResult {
        /// A token.
        Granted = "granted",
        /// No.
        Refused = "refused",
        /// Nothing of use.
        Unavailable = "unavailable",
        /// It was not asked: the fault is ours, or the request cannot be made.
        Failed = "failed",
    }

    /// What the key service was asked for.
    KeyOperation {
        /// To open what was wrapped.
        Unwrap = "unwrap",
        /// To wrap a value.
        Wrap = "wrap",
        /// For a data key.
        Generate = "generate",
    }

    /// What it came to.
    KeyResult {
        /// It was done.
        Ok = "ok",
        /// It can never be done: what was wrapped was altered, or belongs elsewhere.
        Refused = "refused",
        /// The key service failed, or we may not use it.
        Failed = "failed",
    }

    /// What a cache had.
    Lookup {
        /// A value that is used as it is.
        Fresh = "fresh",
        /// A value that is used, and read anew in the background.
        Stale = "stale",
        /// None that may be used.
        Missing = "missing",
    }

    /// The class of a response's status.
    StatusClass {
        /// It was done.
        Success = "2xx",
        /// It is elsewhere, or as it was.
        Redirect = "3xx",
        /// The caller is at fault.
        ClientError = "4xx",
        /// We are.
        ServerError = "5xx",
        /// None of these.
        Other = "other",
    }

    /// What became of a job that was handed to the API.
    Taken {
        /// It is in the queue.
        Accepted = "accepted",
        /// It was there already.
        Duplicate = "duplicate",
        /// It was refused.
        Rejected = "rejected",
    }

    /// What the operator was told of: the types of operational events.
    Told {
        /// An endpoint was disabled.
        EndpointDisabled = "endpoint.disabled",
        /// It works again.
        EndpointEnabled = "endpoint.enabled",
        /// Its token server refuses.
        EndpointDeauthorized = "endpoint.deauthorized",
        /// It takes our credentials, or has agreed to be called.
        EndpointAuthorized = "endpoint.authorized",
        /// A delivery was given up.
        DeliveryExhausted = "delivery.exhausted",
        /// A client certificate ends.
        CertificateEnding = "certificate.ending",
    }

    /// What became of a span.
    SpanResult {
        /// The collector took it.
        Exported = "exported",
        /// It is lost.
        Dropped = "dropped",
    }

    /// What became of a dead letter that a replay came to.
    Replayed {
        /// It was sent again.
        Sent = "sent",
        /// It was sent or removed before.
        Gone = "gone",
        /// Another replay has it.
        Held = "held",
        /// It is no job for another endpoint.
        Unfit = "unfit",
        /// Its job was not found.
        NotFound = "not_found",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operational_event::Fact;
    use crate::domain::reason::Reason;
    use crate::domain::wait::Wait;
    use crate::ports::Alarm;

    fn check<L: Label + PartialEq + std::fmt::Debug>() {
        let values: std::collections::BTreeSet<&str> = L::ALL.iter().map(|l| l.value()).collect();
        assert_eq!(values.len(), L::ALL.len(), "two of {values:?} are the same");
        for (index, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), index, "{label:?}");
        }
    }

    #[test]
    fn every_label_has_a_place_and_a_value_of_its_own() {
        check::<Ended>();
        check::<Success>();
        check::<Dependency>();
        check::<StatusClass>();
        check::<Outcome>();
        check::<Reason>();
        check::<Wait>();
        check::<Alarm>();
        check::<KeyOperation>();
        check::<Replayed>();
    }

    #[test]
    fn operational_events_are_counted_by_their_types() {
        let types: Vec<&str> = Told::ALL.iter().map(|told| told.value()).collect();
        assert_eq!(types, Fact::TYPES);
    }

    #[test]
    fn a_fault_is_counted_for_what_failed() {
        assert_eq!(Dependency::of("queue.receive"), Dependency::Queue);
        assert_eq!(Dependency::of("aws_roles.credentials"), Dependency::AwsRoles);
        assert_eq!(Dependency::of("tls.roots"), Dependency::Egress);
        assert_eq!(Dependency::of("delivery.state"), Dependency::Other);
    }
}
