//! The AWS form, put together; and what the embedded form has from AWS, where its settings ask for it.

use std::sync::Arc;

use super::{App, Parts};
use crate::adapters::aws::{
    AwsReferences, Clients, KmsKeys, KmsRebind, StsRoles,
    dynamodb::{
        DynamoControl, DynamoCustomers, DynamoDeliveries, DynamoEndpoints, DynamoEventTypes,
        DynamoHealth, DynamoRates, DynamoRecords, DynamoReplays, DynamoSecrets, DynamoTestCalls,
        MessageStates, tables,
    },
    sqs::SqsQueue,
};
use crate::adapters::system::SystemChance;
use crate::config::{AwsConfig, Config, TablePrefix};
use crate::delivery::Fencing;
use crate::domain::aws_role::RolePolicy;
use crate::ports::{AwsRoles, Chance, Clock, References, Result};

pub use crate::adapters::aws::dynamodb::tables::Created;

/// Makes the tables of the AWS form that are missing, and waits until all can be used; returns their
/// names.
///
/// # Errors
/// If DynamoDB fails, or a table of the name is there with other keys.
pub async fn create_tables(prefix: &TablePrefix) -> Result<Vec<(String, Created)>> {
    tables::create(&Clients::load().await?.dynamodb, prefix.as_str()).await
}

impl App {
    pub(super) async fn aws(
        aws: &AwsConfig,
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Self::over_aws(&Clients::load().await?, aws, config, clock).await
    }

    /// The AWS form over clients of one's own. Any number of processes work on it at once, so none
    /// takes a role.
    ///
    /// # Errors
    /// If the queues cannot be reached.
    pub async fn over_aws(
        clients: &Clients,
        aws: &AwsConfig,
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let chance: Arc<dyn Chance> = Arc::new(SystemChance);
        let queue = Self::sqs(clients, aws, config.worker.fence, &clock, &chance);
        let (dynamodb, prefix) = (&clients.dynamodb, aws.table_prefix.as_str());
        let queue = queue.await?.held_to(aws.senders.clone());
        let key = aws.kms_key_id.as_str();
        let parts = Parts {
            intake: Some(Arc::new(queue.intake())),
            queue: Arc::new(queue),
            endpoints: Arc::new(DynamoEndpoints::new(dynamodb, prefix)),
            secrets: Arc::new(DynamoSecrets::new(dynamodb, prefix)),
            health: Arc::new(DynamoHealth::new(dynamodb, prefix)),
            changes: None,
            rates: Some(Arc::new(DynamoRates::new(dynamodb, prefix))),
            deliveries: Arc::new(DynamoDeliveries::new(dynamodb, prefix)),
            records: Arc::new(DynamoRecords::new(dynamodb, prefix)),
            replays: Arc::new(DynamoReplays::new(dynamodb, prefix)),
            test_calls: Arc::new(DynamoTestCalls::new(dynamodb, prefix)),
            event_types: Arc::new(DynamoEventTypes::new(dynamodb, prefix)),
            customers: Arc::new(DynamoCustomers::new(dynamodb, prefix)),
            control: Arc::new(DynamoControl::new(dynamodb, prefix)),
            keys: Arc::new(KmsKeys::new(&clients.kms, key).with_legacy(aws.legacy_keys())),
            master_keys: None,
            rebind: Some(Arc::new(KmsRebind::new(&clients.kms, key, aws.legacy_keys()))),
            roles: Some(Arc::new(StsRoles::new(clients, Arc::clone(&clock)))),
            references: Some(Arc::new(AwsReferences::new(clients))),
            clock,
            chance,
            aws_calls: Some(Arc::clone(&clients.calls)),
        };
        Ok(Self::assemble(parts, config))
    }

    async fn sqs(
        clients: &Clients,
        aws: &AwsConfig,
        fence: Fencing,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
    ) -> Result<SqsQueue> {
        let (sqs, jobs) = (clients.sqs.clone(), aws.queue_url.as_str());
        let (dead, clock, chance) =
            (aws.dead_letter_queue_url.as_str(), Arc::clone(clock), Arc::clone(chance));
        if !aws.is_fifo() {
            return SqsQueue::open(sqs, jobs, dead, clock, chance).await;
        }
        if fence != Fencing::All {
            let problem = "`queue_url` under [aws] names a FIFO queue, where every attempt has to be claimed: set `fence = \"all\"` under [worker]";
            return Err(crate::ports::Error::new("aws.configure", problem));
        }
        let states = MessageStates::new(&clients.dynamodb, aws.table_prefix.as_str());
        SqsQueue::open_fifo(sqs, jobs, dead, clock, chance, states).await
    }

    /// Who gives the credentials of AWS roles, where the settings allow any.
    pub(super) async fn roles(
        config: &Config,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn AwsRoles>>> {
        if config.auth.role_policy() == RolePolicy::default() {
            return Ok(None);
        }
        let clients = Clients::load().await?;
        Ok(Some(Arc::new(StsRoles::new(&clients, Arc::clone(clock)))))
    }

    /// Who follows references, where the settings allow any.
    pub(super) async fn references(config: &Config) -> Result<Option<Arc<dyn References>>> {
        if config.secrets.references.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::new(AwsReferences::new(&Clients::load().await?))))
    }
}
