//! Whether an endpoint takes our credentials, as far as is known. It is kept beside health: it holds no
//! delivery back, but for a handshake that is asked for and was not passed.

use serde::{Deserialize, Serialize};

use crate::domain::endpoint::Endpoint;
use crate::domain::health::{Health, HealthRecord};
use crate::domain::outcome::AttemptOutcome;
use crate::domain::timestamp::Timestamp;
use crate::domain::verification::{Verified, subject};

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "state")]
pub enum Authorization {
    /// Nothing: it was neither tested nor refused, or its handshake was not passed.
    Unverified,
    /// A handshake is being made, until then at most.
    Authorizing {
        /// When it is over, whatever became of it.
        until: Timestamp,
    },
    /// A test or a delivery was taken, or the handshake passed.
    Authorized {
        /// Since when.
        at: Timestamp,
    },
    /// A credential was refused, or the handshake.
    Deauthorized {
        /// Since when, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// Why, in words.
        why: String,
    },
}

impl Authorization {
    /// Its stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Authorizing { .. } => "authorizing",
            Self::Authorized { .. } => "authorized",
            Self::Deauthorized { .. } => "deauthorized",
        }
    }
}

/// What a call says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The credentials are taken.
    Taken,
    /// They are refused, for this reason.
    Refused(String),
    /// The handshake was passed.
    Agreed,
    /// The handshake was answered, and not passed, for this reason.
    Disagreed(String),
    /// Nothing.
    Nothing,
}

impl Verdict {
    /// What the outcome of a call says.
    pub fn of(outcome: &AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Answered { status: 200..=299, .. } => Self::Taken,
            AttemptOutcome::Answered { status: status @ (401 | 403 | 407), .. } => {
                Self::Refused(format!("the endpoint answered {status}"))
            }
            AttemptOutcome::Answered { .. } | AttemptOutcome::Failed { .. } => Self::Nothing,
        }
    }
}

impl HealthRecord {
    /// Whether a refusal is recorded.
    pub fn is_refused(&self) -> bool {
        matches!(self.authorization, Some(Authorization::Deauthorized { .. }))
    }

    /// Whether deliveries may be made as far as a handshake goes: none is asked for, or it was passed for
    /// this URL.
    pub fn is_verified(&self, endpoint: &Endpoint) -> bool {
        let of = self.verified.as_ref().map(|verified| verified.of.as_str());
        subject(endpoint).is_none_or(|subject| of == Some(&subject))
    }

    /// How the endpoint stands at `now`.
    pub fn authorization_of(&self, endpoint: &Endpoint, now: Timestamp) -> Authorization {
        if let Health::Deauthorized { why, .. } = &self.health {
            return Authorization::Deauthorized { at: None, why: why.clone() };
        }
        match &self.authorization {
            Some(Authorization::Authorizing { until }) if *until > now => {
                Authorization::Authorizing { until: *until }
            }
            Some(known @ Authorization::Deauthorized { .. }) => known.clone(),
            _ if !self.is_verified(endpoint) => Authorization::Unverified,
            Some(known @ Authorization::Authorized { .. }) => known.clone(),
            Some(Authorization::Unverified | Authorization::Authorizing { .. }) | None => {
                match (&self.verified, subject(endpoint)) {
                    (Some(verified), Some(_)) => Authorization::Authorized { at: verified.at },
                    (Some(_) | None, _) => Authorization::Unverified,
                }
            }
        }
    }

    /// The same after a verdict of `endpoint` at `now`.
    #[must_use]
    pub fn judged(&self, endpoint: &Endpoint, verdict: &Verdict, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.authorization = match verdict {
            Verdict::Taken
                if matches!(next.authorization, Some(Authorization::Authorized { .. })) =>
            {
                next.authorization
            }
            Verdict::Taken | Verdict::Agreed => Some(Authorization::Authorized { at: now }),
            Verdict::Refused(_) | Verdict::Disagreed(_) if next.is_refused() => next.authorization,
            Verdict::Refused(why) | Verdict::Disagreed(why) => {
                Some(Authorization::Deauthorized { at: Some(now), why: why.clone() })
            }
            Verdict::Nothing => match &self.authorization {
                Some(Authorization::Authorizing { .. }) => None,
                known => known.clone(),
            },
        };
        match verdict {
            Verdict::Agreed => {
                next.verified = subject(endpoint).map(|of| Verified { of, at: now });
            }
            Verdict::Disagreed(_) => next.verified = None,
            Verdict::Taken | Verdict::Refused(_) | Verdict::Nothing => {}
        }
        next
    }
}

/// Whether a delivery's verdict is news: an endpoint that goes on being taken, or refused, costs no write,
/// and one of which nothing was recorded is not noted when all goes well.
pub fn is_news(known: Option<&Authorization>, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Taken => matches!(known, Some(Authorization::Deauthorized { .. })),
        Verdict::Refused(_) => !matches!(known, Some(Authorization::Deauthorized { .. })),
        Verdict::Agreed | Verdict::Disagreed(_) => true,
        Verdict::Nothing => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(more: &str) -> Endpoint {
        let json =
            format!(r#"{{"customerId":"c","endpointId":"e","url":"https://a.example/"{more}}}"#);
        Endpoint::from_json(&json).unwrap()
    }

    const ASKS: &str = r#","verification":{"handshake":"challenge"}"#;
    const NOW: Timestamp = Timestamp::from_millis(1000);

    #[test]
    fn an_endpoint_that_asks_for_a_handshake_is_verified_by_nothing_else_and_stays_so() {
        let (asks, plain) = (endpoint(ASKS), endpoint(""));
        let record = HealthRecord::default();
        assert!(record.is_verified(&plain) && !record.is_verified(&asks));
        let taken = record.judged(&asks, &Verdict::Taken, NOW);
        assert!(!taken.is_verified(&asks));
        assert_eq!(taken.authorization_of(&asks, NOW), Authorization::Unverified);
        let agreed = record.judged(&asks, &Verdict::Agreed, NOW);
        assert!(agreed.is_verified(&asks));
        // Of a later version only that is left.
        let later = HealthRecord { verified: agreed.verified.clone(), ..HealthRecord::default() };
        assert_eq!(later.authorization_of(&asks, NOW), Authorization::Authorized { at: NOW });
        let refused = agreed.judged(&asks, &Verdict::Refused("401".to_owned()), NOW);
        assert!(refused.is_verified(&asks), "a wrong credential takes no agreement back");
        let disagreed = agreed.judged(&asks, &Verdict::Disagreed("no".to_owned()), NOW);
        assert!(!disagreed.is_verified(&asks));
    }

    #[test]
    fn what_is_going_on_ends_by_itself() {
        let until = Timestamp::from_millis(2000);
        let authorization = Some(Authorization::Authorizing { until });
        let record = HealthRecord { authorization, ..HealthRecord::default() };
        let asks = endpoint(ASKS);
        assert_eq!(record.authorization_of(&asks, NOW), Authorization::Authorizing { until });
        assert_eq!(record.authorization_of(&asks, until), Authorization::Unverified);
        assert_eq!(record.judged(&asks, &Verdict::Nothing, NOW).authorization, None);
    }

    #[test]
    fn only_changes_are_news() {
        let deauthorized = Authorization::Deauthorized { at: None, why: String::new() };
        let authorized = Authorization::Authorized { at: NOW };
        let refused = Verdict::Refused(String::new());
        for (known, verdict, news) in [
            (None, Verdict::Taken, false),
            (Some(&authorized), Verdict::Taken, false),
            (Some(&deauthorized), Verdict::Taken, true),
            (None, refused.clone(), true),
            (Some(&authorized), refused.clone(), true),
            (Some(&deauthorized), refused, false),
            (Some(&deauthorized), Verdict::Nothing, false),
        ] {
            assert_eq!(is_news(known, &verdict), news, "{known:?} {verdict:?}");
        }
    }
}
