use std::time::Duration;

use sealpost::adapters::aws::dynamodb::DynamoDeliveries;
use sealpost::domain::decide::Disposition;
use sealpost::domain::delivery::DeliveryKey;
use sealpost::domain::outcome::{Attempt, AttemptOutcome};
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Deliveries;
use sealpost::ports::deliveries::{AttemptRecord, Claim, ClaimRequest};

use crate::aws::Aws;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn deliveries(aws: &Aws) -> DynamoDeliveries {
    DynamoDeliveries::new(&aws.clients.dynamodb, aws.config.table_prefix.as_str())
}

fn request(job: &str, attempt: u32, token: &str, now: Timestamp) -> ClaimRequest {
    let key = DeliveryKey {
        customer_id: "c".parse().unwrap(),
        endpoint_id: "e".parse().unwrap(),
        job_id: job.parse().unwrap(),
        round: 1,
        message_id: "m".to_owned(),
    };
    ClaimRequest { key, attempt, token: token.to_owned(), now, lease: Duration::from_secs(20) }
}

#[tokio::test]
async fn a_claim_costs_one_call_whether_it_is_granted_or_not() {
    let aws = Aws::start().await;
    let Some(emulated) = &aws.emulated else { return println!("needs the emulator: skipped") };
    let calls = || emulated.emulator.calls_of("DynamoDB");
    let before = calls();
    let deliveries = deliveries(&aws);
    for token in ["a", "b"] {
        deliveries.claim(request("j", 1, token, NOW)).await.unwrap();
    }
    let after = calls();
    assert_eq!(after["UpdateItem"], 2);
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_granted_and_an_outcome_is_recorded() {
    let aws = Aws::start().await;
    let Some(emulated) = &aws.emulated else { return println!("needs the emulator: skipped") };
    let (deliveries, asked) = (deliveries(&aws), request("j", 1, "a", NOW));
    emulated.emulator.lose_answer("UpdateItem");
    let granted = deliveries.claim(asked.clone()).await.unwrap();
    assert_eq!(granted, Claim::Granted { after_lost_claimer: true }, "what was before is unknown");
    let outcome =
        AttemptOutcome::Answered { status: 200, retry_after_ms: None, never_again: false };
    let (address, detail) = (None, String::new());
    let attempt = Attempt { number: 1, at: NOW, duration_ms: 1, address, outcome, detail };
    let record = AttemptRecord { attempt, disposition: Disposition::Done };
    emulated.emulator.lose_answer("UpdateItem");
    assert!(deliveries.record(&asked.key, "a", &record).await.unwrap());
    assert!(!deliveries.record(&asked.key, "b", &record).await.unwrap());
}

#[tokio::test]
async fn a_fence_that_only_waits_to_be_removed_is_not_seen() {
    let aws = Aws::start().await;
    let deliveries = deliveries(&aws);
    deliveries.claim(request("j", 3, "a", NOW)).await.unwrap();
    let soon = NOW.plus(14 * DAY);
    assert_eq!(deliveries.claim(request("j", 1, "b", soon)).await.unwrap(), Claim::Superseded);
    let late = NOW.plus(16 * DAY);
    let granted = deliveries.claim(request("j", 1, "b", late)).await.unwrap();
    assert_eq!(granted, Claim::Granted { after_lost_claimer: false });
}

#[tokio::test]
async fn job_ids_may_hold_what_separates_the_parts_of_a_key() {
    let aws = Aws::start().await;
    let deliveries = deliveries(&aws);
    for job in ["a", "a#1", "a#fence#1", "#"] {
        let granted = deliveries.claim(request(job, 1, job, NOW)).await.unwrap();
        assert_eq!(granted, Claim::Granted { after_lost_claimer: false }, "{job}");
    }
}
