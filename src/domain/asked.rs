//! What a message asks of a worker instead of a delivery: what only workers can do, because only they
//! may open secrets.

use serde::Deserialize;

use crate::domain::dry_run::DryRun;
use crate::domain::resend::ResendOrder;
use crate::domain::test_call::TestCall;

/// Something that is no delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To show the request of a job.
    DryRun(DryRun),
    /// To call an endpoint once, and to tell what was met on the way.
    TestCall(TestCall),
    /// To send a delivery again whose job is kept.
    Resend(ResendOrder),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    #[serde(default)]
    dry_run: Option<DryRun>,
    #[serde(default)]
    test_call: Option<TestCall>,
    #[serde(default)]
    resend: Option<ResendOrder>,
}

impl Asked {
    /// What a message's state asks for, if it is not a delivery's.
    pub fn of(state: &[u8]) -> Option<Self> {
        let State { dry_run, test_call, resend } = serde_json::from_slice(state).ok()?;
        let resend = resend.filter(ResendOrder::is_short).map(Self::Resend);
        dry_run.map(Self::DryRun).or(test_call.map(Self::TestCall)).or(resend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_call::TestKind;
    use crate::domain::timestamp::Timestamp;

    #[test]
    fn what_is_asked_is_told_from_a_delivery_by_its_state() {
        let until = Timestamp::from_millis(1000);
        let dry_run = DryRun { id: "d".to_owned(), at: None, until };
        assert_eq!(Asked::of(&dry_run.to_state().unwrap()), Some(Asked::DryRun(dry_run)));
        let (customer_id, endpoint_id) = ("c".parse().unwrap(), "e".parse().unwrap());
        let test =
            TestCall::new("t".to_owned(), customer_id, endpoint_id, TestKind::Handshake, until);
        assert_eq!(Asked::of(&test.to_state().unwrap()), Some(Asked::TestCall(test)));
        let order = ResendOrder::new("dv_1".to_owned(), "ops-1");
        assert_eq!(Asked::of(&order.to_state().unwrap()), Some(Asked::Resend(order)));
        let long = ResendOrder { delivery_id: "d".repeat(257), who: "ops-1".to_owned() };
        assert_eq!(Asked::of(&long.to_state().unwrap()), None);
        let delivery =
            br#"{"jobId":"j","round":1,"attempt":1,"hops":0,"acceptedAt":"2026-11-23T10:00:00Z"}"#;
        assert_eq!(Asked::of(delivery), None);
    }
}
