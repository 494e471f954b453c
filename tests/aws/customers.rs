//! Erasing a customer in DynamoDB, whose items go one by one.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use sealpost::app::App;
use sealpost::config::Config;
use sealpost::customer::{Asked, erase};
use sealpost::domain::ids::CustomerId;
use sealpost::domain::secret::SecretBytes;
use sealpost::ports::Clock;
use sealpost::vault::{NewSecret, Sealing};

use crate::aws::Aws;

/// The items of the customer in `secrets` that hold anything beside keys and a version's number.
async fn holding(aws: &Aws) -> usize {
    let table = format!("{}secrets", aws.config.table_prefix);
    let scanned = aws.clients.dynamodb.scan().table_name(table).send().await.unwrap();
    let is_bare =
        |name: &String| ["customerId", "secretId", "version", "writer"].contains(&&**name);
    let of_key = |id: Option<&AttributeValue>| {
        id.is_some_and(|id| id.as_s().unwrap().starts_with("sealpost:"))
    };
    let items = scanned.items().iter().filter(|item| !of_key(item.get("secretId")));
    items.filter(|item| !item.keys().all(is_bare)).count()
}

#[tokio::test]
async fn an_erasure_that_fails_among_the_versions_of_a_secret_removes_the_others_next_time() {
    let aws = Aws::start().await;
    let Some(clock) = aws.emulated.clone() else { return println!("needs the emulator: skipped") };
    let mut config = Config::default();
    config.secrets.sealing = Sealing::TenantKey;
    config.aws = Some(aws.config.clone());
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let app = App::over_aws(&aws.clients, &aws.config, config, shared).await.unwrap();
    let customer: CustomerId = "acme".parse().unwrap();
    for value in ["one", "two", "three", "four"] {
        let new = NewSecret {
            customer: customer.clone(),
            secret: "s".parse().unwrap(),
            value: SecretBytes::new(value.into()),
            origins: ["https://a.example".parse().unwrap()].into(),
            overlap: None,
        };
        app.vault.put(new).await.unwrap();
    }
    assert!(holding(&aws).await > 3);
    clock.emulator.fail("DeleteItem", 400, "AccessDeniedException", 4);
    let asked = Asked { who: "ops-1".to_owned(), ..Asked::default() };
    let failed = erase(&app, &customer, &asked).await.unwrap_err();
    assert!(failed.to_string().contains("AccessDenied"), "{failed}");
    assert!(holding(&aws).await > 0, "its history");
    assert!(app.secrets.list(Some(&customer)).await.unwrap().len() == 1, "the shredded key's mark");
    let erased = erase(&app, &customer, &asked).await.unwrap();
    assert!(erased.complete && erased.removed.secret_versions > 0, "{erased:?}");
    assert_eq!(holding(&aws).await, 0);
}
