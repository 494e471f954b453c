use sealpost::adapters::aws::dynamodb::DynamoDeliveries;
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use sealpost::domain::reason::Reason;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Deliveries;

use crate::aws::Aws;

/// Enough for several pages in every shard.
const LETTERS: i64 = 450;

fn letter(number: i64) -> DeadLetter {
    let at = Timestamp::from_millis(1_800_000_000_000 + number / 3);
    DeadLetter {
        id: format!("dl_{:04}", (number * 7919) % 10_000),
        message_id: "m".to_owned(),
        customer_id: (number % 5 != 0).then(|| format!("c{}", number % 5).parse().unwrap()),
        endpoint_id: (number % 2 == 0).then(|| "orders".parse().unwrap()),
        job_id: None,
        child: None,
        event_type: None,
        round: 1,
        reason: if number % 3 == 0 { Reason::TooOld } else { Reason::Rejected },
        message: "why".to_owned(),
        accepted_at: at,
        dead_at: at,
        attempts: 0,
        history: Vec::new(),
        job_size: 1,
        job_sha256: String::new(),
        attributes: Default::default(),
    }
}

async fn filled(aws: &Aws) -> (DynamoDeliveries, Vec<DeadLetter>) {
    let prefix = aws.config.table_prefix.as_str();
    let deliveries = DynamoDeliveries::new(&aws.clients.dynamodb, prefix);
    let mut letters: Vec<DeadLetter> = (0..LETTERS).map(letter).collect();
    for letter in &letters {
        deliveries.put_dead_letter(letter).await.unwrap();
    }
    letters.sort_by(|a, b| (a.dead_at, &a.id).cmp(&(b.dead_at, &b.id)));
    (deliveries, letters)
}

#[tokio::test]
async fn every_filter_lists_exactly_its_letters_oldest_first_and_none_scans_the_table() {
    let aws = Aws::start().await;
    let (deliveries, all) = filled(&aws).await;
    let customers = [None, Some("c1"), Some("nobody")];
    for customer in customers {
        for endpoint in [None, Some("orders")] {
            for reason in [None, Some(Reason::TooOld)] {
                let filter = DeadLetterFilter {
                    customer_id: customer.map(|id| id.parse().unwrap()),
                    endpoint_id: endpoint.map(|id| id.parse().unwrap()),
                    reason,
                    ..Default::default()
                };
                let wanted: Vec<_> = all.iter().filter(|l| filter.matches(l)).cloned().collect();
                let listed = deliveries.list_dead_letters(&filter, None, usize::MAX).await.unwrap();
                assert_eq!(listed, wanted, "{filter:?}");
            }
        }
    }
    let Some(emulated) = &aws.emulated else { return };
    assert!(!emulated.emulator.calls_of("DynamoDB").contains_key("Scan"));
}

#[tokio::test]
async fn pages_join_without_gap_or_overlap() {
    let aws = Aws::start().await;
    let (deliveries, all) = filled(&aws).await;
    let (mut pages, mut after) = (Vec::new(), None::<String>);
    loop {
        let filter = DeadLetterFilter::default();
        let page = deliveries.list_dead_letters(&filter, after.as_deref(), 130).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        pages.extend(page);
    }
    assert_eq!(pages, all);
    deliveries.remove_dead_letters(&all[..400]).await.unwrap();
    let filter = DeadLetterFilter::default();
    let left = deliveries.list_dead_letters(&filter, None, usize::MAX).await.unwrap();
    assert_eq!(left, all[400..]);
}
