//! What calls say of an endpoint's authorization: whether it takes our credentials, and has agreed to be
//! called. It is written at changes only.

use super::Pipeline;
use super::endpoint_book::KnownEndpoint;
use super::health::TRIES;
use crate::domain::authorization::{Authorization, Verdict, is_news};
use crate::domain::health::HealthRecord;
use crate::domain::operational_event::Fact;
use crate::domain::outcome::AttemptOutcome;

impl Pipeline {
    /// What a delivery's outcome says, after secrets were read again and tried. Deliveries that come at once
    /// find out the same: one of them writes it, and failing to harms none.
    pub(super) async fn learn_authorization(
        &self,
        known: &KnownEndpoint,
        outcome: &AttemptOutcome,
    ) {
        let (seen, verdict) = (&known.record, Verdict::of(outcome));
        if !is_news(seen.authorization.as_ref(), &verdict) || !known.is_first_to_judge() {
            return;
        }
        let next = seen.judged(&known.endpoint, &verdict, self.clock.now());
        if self.try_to_change(known, seen, &next).await {
            self.tell_authorization(known, seen, &next);
        }
    }

    /// What a test or a handshake says, over whatever others have learnt since.
    pub(super) async fn keep_verdict(&self, known: &KnownEndpoint, verdict: &Verdict) {
        for _ in 0..TRIES {
            let Some(seen) = self.read_health(known).await else { return };
            let next = seen.judged(&known.endpoint, verdict, self.clock.now());
            if next == seen {
                return;
            }
            if self.try_to_change(known, &seen, &next).await {
                self.tell_authorization(known, &seen, &next);
                return;
            }
        }
    }

    /// Tells those who watch of a change. That an endpoint of which nothing was known works is no news.
    fn tell_authorization(&self, known: &KnownEndpoint, seen: &HealthRecord, next: &HealthRecord) {
        let (customer, id) = (&known.endpoint.customer_id, &known.endpoint.endpoint_id);
        match &next.authorization {
            Some(Authorization::Deauthorized { why, .. }) if !seen.is_refused() => {
                self.tally.deauthorized(customer, id, why);
                let (endpoint_id, why) = (id.clone(), why.clone());
                let fact = Fact::EndpointDeauthorized { endpoint_id, why, probe_at: None };
                self.tell_operator(known, fact);
            }
            Some(Authorization::Authorized { .. })
                if seen.is_refused() || seen.verified != next.verified =>
            {
                self.tally.authorized(customer, id);
                self.tell_operator(known, Fact::EndpointAuthorized { endpoint_id: id.clone() });
            }
            Some(
                Authorization::Unverified
                | Authorization::Authorizing { .. }
                | Authorization::Authorized { .. }
                | Authorization::Deauthorized { .. },
            )
            | None => {}
        }
    }
}
