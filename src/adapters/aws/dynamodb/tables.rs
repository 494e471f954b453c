//! The tables: their keys and indexes, and how they are made.
//!
//! For development. In production they belong to the infrastructure's own description.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};

use crate::adapters::aws::classify::failed;
use crate::ports::{Error, Result};

/// One table: its name after the prefix, its keys (all strings) and its indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// The name, after the prefix.
    pub name: &'static str,
    /// Partition key and sort key.
    pub key: [&'static str; 2],
    /// Global secondary indexes.
    pub indexes: &'static [Index],
    /// The attribute after whose time, in seconds since the epoch, an item is removed.
    pub ttl: Option<&'static str>,
}

/// A global secondary index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Partition key and sort key.
    pub key: [&'static str; 2],
    /// What it holds beside the keys.
    pub projected: &'static [&'static str],
}

/// Sealed values.
pub const SECRETS: Definition =
    Definition { name: "secrets", key: ["customerId", "secretId"], indexes: &[], ttl: None };
/// Configuration.
pub const ENDPOINTS: Definition =
    Definition { name: "endpoints", key: ["customerId", "endpointId"], indexes: &[], ttl: None };
/// What was learnt of endpoints.
pub const HEALTH: Definition =
    Definition { name: "health", key: ["customerId", "endpointId"], indexes: &[], ttl: None };
/// Fences and dead letters.
pub const DELIVERIES: Definition = Definition {
    name: "deliveries",
    key: ["pk", "sk"],
    indexes: &[DEAD_LETTERS, DEAD_LETTERS_BY_CUSTOMER, DELIVERIES_BY_CUSTOMER],
    ttl: Some("ttl"),
};
/// API keys, customers' tokens, jobs that the API has taken.
pub const CONTROL: Definition =
    Definition { name: "control", key: ["pk", "sk"], indexes: &[], ttl: Some("ttl") };

/// Dead letters by age, in shards, so that no partition takes the writes of all.
pub const DEAD_LETTERS: Index = Index {
    name: "dead-letters",
    key: ["deadShard", "deadOrder"],
    projected: &["endpointId", "reason"],
};
/// Dead letters of one customer by age.
pub const DEAD_LETTERS_BY_CUSTOMER: Index = Index {
    name: "dead-letters-by-customer",
    key: ["customerId", "deadOrder"],
    projected: &["endpointId", "reason"],
};

/// Recorded deliveries of one customer by the time of acceptance.
pub const DELIVERIES_BY_CUSTOMER: Index = Index {
    name: "deliveries-by-customer",
    key: ["recordedCustomer", "recordedOrder"],
    projected: &["endpointId", "recorded", "ttl"],
};

/// All tables.
pub const ALL: [Definition; 5] = [SECRETS, ENDPOINTS, HEALTH, DELIVERIES, CONTROL];

/// How long a table may take to become active, and how often that is looked up.
const ACTIVE_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What creating a table came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was made.
    New,
    /// It was there already.
    Existing,
}

/// Makes what is missing of the tables whose names begin with `prefix`, and waits until all can be
/// used; returns their names. Can be repeated.
///
/// # Errors
/// If a table of the name is there with other keys or indexes, or DynamoDB fails.
pub async fn create(client: &Client, prefix: &str) -> Result<Vec<(String, Created)>> {
    let mut created = Vec::with_capacity(ALL.len());
    for definition in &ALL {
        let name = format!("{prefix}{}", definition.name);
        let made = create_one(client, definition, &name).await?;
        created.push((name, made));
    }
    for (definition, (name, _)) in ALL.iter().zip(&created) {
        await_active(client, definition, name).await?;
        if let Some(attribute) = definition.ttl {
            enable_ttl(client, name, attribute).await?;
        }
    }
    Ok(created)
}

async fn create_one(client: &Client, definition: &Definition, name: &str) -> Result<Created> {
    let mut attributes: Vec<&str> = definition.key.to_vec();
    attributes.extend(definition.indexes.iter().flat_map(|index| index.key));
    attributes.sort_unstable();
    attributes.dedup();
    let attributes: Result<Vec<_>> = attributes.into_iter().map(string_attribute).collect();
    let indexes: Result<Vec<_>> = definition.indexes.iter().map(global_index).collect();
    let sent = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes?))
        .set_key_schema(Some(key_schema(definition.key)?))
        .set_global_secondary_indexes(Some(indexes?).filter(|indexes| !indexes.is_empty()))
        .send()
        .await;
    match sent {
        Ok(_) => Ok(Created::New),
        Err(SdkError::ServiceError(e))
            if matches!(e.err(), CreateTableError::ResourceInUseException(_)) =>
        {
            Ok(Created::Existing)
        }
        Err(e) => Err(failed("tables.create", &e)),
    }
}

async fn await_active(client: &Client, definition: &Definition, name: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + ACTIVE_WITHIN;
    loop {
        let described = client.describe_table().table_name(name).send().await;
        let described = described.map_err(|e| failed("tables.describe", &e))?;
        if let Some(table) = described.table() {
            if let Err(found) = check_keys(definition, table) {
                let problem = format!(
                    "table {name} is there with other keys or indexes: {found}; remove it, or choose \
                     another aws.table_prefix"
                );
                return Err(Error::new("tables.create", problem));
            }
            if is_active(table) {
                return Ok(());
            }
        }
        if tokio::time::Instant::now() >= deadline {
            let problem = format!("table {name} is not active after {}s", ACTIVE_WITHIN.as_secs());
            return Err(Error::new("tables.create", problem));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether it and its indexes can be used.
pub(in crate::adapters::aws) fn is_active(table: &TableDescription) -> bool {
    table.table_status() == Some(&TableStatus::Active)
        && table
            .global_secondary_indexes()
            .iter()
            .all(|index| index.index_status() == Some(&IndexStatus::Active))
}

/// Whether a table has the keys and indexes of its definition; if not, what it has instead.
pub(in crate::adapters::aws) fn check_keys(
    definition: &Definition,
    table: &TableDescription,
) -> std::result::Result<(), String> {
    let mut found = vec![("the table", names_of(table.key_schema()))];
    let mut wanted = vec![("the table", definition.key.to_vec())];
    for index in definition.indexes {
        wanted.push((index.name, index.key.to_vec()));
        let indexes = table.global_secondary_indexes();
        let same = indexes.iter().find(|found| found.index_name() == Some(index.name));
        found.push((index.name, same.map_or(Vec::new(), |found| names_of(found.key_schema()))));
    }
    if found == wanted {
        return Ok(());
    }
    Err(format!("found {found:?}, expected {wanted:?}"))
}

fn names_of(schema: &[KeySchemaElement]) -> Vec<&str> {
    schema.iter().map(KeySchemaElement::attribute_name).collect()
}

async fn enable_ttl(client: &Client, name: &str, attribute: &str) -> Result<()> {
    let described = client.describe_time_to_live().table_name(name).send().await;
    let described = described.map_err(|e| failed("tables.ttl", &e))?;
    let status = described.time_to_live_description().and_then(|ttl| ttl.time_to_live_status());
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build();
    let ttl = ttl.map_err(|e| Error::new("tables.ttl", e))?;
    let sent = client.update_time_to_live().table_name(name).time_to_live_specification(ttl);
    sent.send().await.map(drop).map_err(|e| failed("tables.ttl", &e))
}

fn string_attribute(name: &str) -> Result<AttributeDefinition> {
    let attribute = AttributeDefinition::builder().attribute_name(name);
    let attribute = attribute.attribute_type(ScalarAttributeType::S).build();
    attribute.map_err(|e| Error::new("tables.create", e))
}

fn key_schema(key: [&str; 2]) -> Result<Vec<KeySchemaElement>> {
    let element = |(name, kind): (&str, KeyType)| {
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        element.map_err(|e| Error::new("tables.create", e))
    };
    key.into_iter().zip([KeyType::Hash, KeyType::Range]).map(element).collect()
}

fn global_index(index: &Index) -> Result<GlobalSecondaryIndex> {
    let projected = index.projected.iter().map(ToString::to_string).collect();
    let projection = Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(projected))
        .build();
    let built = GlobalSecondaryIndex::builder()
        .index_name(index.name)
        .set_key_schema(Some(key_schema(index.key)?))
        .projection(projection)
        .build();
    built.map_err(|e| Error::new("tables.create", e))
}
