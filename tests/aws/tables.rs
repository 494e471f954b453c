use sealpost::adapters::aws::dynamodb::tables::{self, Created};

use crate::aws::Aws;

#[tokio::test]
async fn tables_can_be_made_again_and_only_deliveries_expire() {
    let aws = Aws::start().await;
    let (dynamodb, prefix) = (&aws.clients.dynamodb, aws.config.table_prefix.as_str());
    let again = tables::create(dynamodb, prefix).await.unwrap();
    assert_eq!(again.len(), 5);
    for (name, created) in again {
        assert_eq!(created, Created::Existing, "{name}");
        let ttl = dynamodb.describe_time_to_live().table_name(&name).send().await.unwrap();
        let ttl = ttl.time_to_live_description.unwrap();
        let has_ttl = ["deliveries", "control"].iter().any(|table| name.ends_with(table));
        let expected = has_ttl.then_some("ttl");
        assert_eq!(ttl.attribute_name(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_table_of_the_same_name_with_other_keys_is_told() {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    };
    let aws = Aws::start().await;
    let dynamodb = &aws.clients.dynamodb;
    let name = format!("{}other-secrets", aws.config.table_prefix);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    let attribute = AttributeDefinition::builder().attribute_name("id");
    let attribute = attribute.attribute_type(ScalarAttributeType::S).build().unwrap();
    (dynamodb.create_table().table_name(&name).key_schema(key.unwrap()))
        .attribute_definitions(attribute)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    let prefix = format!("{}other-", aws.config.table_prefix);
    let error = tables::create(dynamodb, &prefix).await.unwrap_err().to_string();
    assert!(error.contains("other keys") && error.contains("customerId"), "{error}");
    for table in tables::ALL {
        let _ = dynamodb.delete_table().table_name(format!("{prefix}{}", table.name)).send().await;
    }
}

#[test]
fn the_documentation_names_every_table_index_and_key() {
    let text = include_str!("../../docs/AWS.md");
    for table in tables::ALL {
        let row = format!("| `{}` | `{}` | `{}` |", table.name, table.key[0], table.key[1]);
        assert!(text.contains(&row), "{row}");
        for index in table.indexes {
            let begins = format!("| `{}` | `{}`", index.name, index.key[0]);
            let row = text.lines().find(|line| line.starts_with(&begins)).unwrap_or_default();
            let parts = index.projected.iter().chain([&index.key[1]]);
            assert!(
                parts.clone().all(|part| row.contains(&format!("`{part}`"))),
                "{begins}: {row}"
            );
        }
    }
}
