//! What `sealpost doctor` looks at: the form's own parts from the outside, and its stores to be read.

use std::path::Path;
use std::sync::Arc;

use super::App;
#[cfg(feature = "aws")]
use super::AwsConfig;
use super::{Config, Role};
#[cfg(feature = "aws")]
use crate::adapters::aws::{
    Clients, KmsOpener, checkup,
    dynamodb::{DynamoEndpoints, DynamoSecrets},
};
pub use crate::adapters::embedded::checkup::{Checkup, examine as examine_data_directory};
use crate::adapters::system::SystemClock;
use crate::domain::check::{Check, Duty};
use crate::ports::{MasterKeys, OpenKeys, ReadEndpoints, ReadSecrets, Result};
use crate::vault::{Opener, Vault};

/// The stores, to be read; what opens secrets tells nobody of anything.
pub struct Stores {
    /// The endpoints.
    pub endpoints: Arc<dyn ReadEndpoints>,
    /// The sealed secrets.
    pub secrets: Arc<dyn ReadSecrets>,
    /// What opens them.
    pub opener: Opener,
    /// The keys of the key file, and what knows which of them is needed; `None` on AWS.
    pub master_keys: Option<(Arc<dyn MasterKeys>, Vault)>,
}

impl Stores {
    /// Opens the stores that the settings choose. Of a data directory it has to be known that it is whole:
    /// what is missing would be made.
    ///
    /// # Errors
    /// If they cannot be used.
    pub async fn open(root: &Path, config: &Config) -> Result<Self> {
        #[cfg(feature = "aws")]
        if let Some(aws) = &config.aws {
            return Self::aws(aws, config).await;
        }
        let app = App::open(root, config.clone(), Role::Command).await?;
        let master_keys = app.master_keys.map(|keys| (keys, app.vault));
        let (endpoints, secrets, keys) = (app.endpoints, app.secrets, app.keys);
        Ok(Self::of(config, endpoints, secrets, keys, master_keys))
    }

    /// Without the queue, which may be what is wrong.
    #[cfg(feature = "aws")]
    async fn aws(aws: &AwsConfig, config: &Config) -> Result<Self> {
        let clients = Clients::load().await?;
        let (dynamodb, prefix) = (&clients.dynamodb, aws.table_prefix.as_str());
        let endpoints = Arc::new(DynamoEndpoints::new(dynamodb, prefix));
        let secrets = Arc::new(DynamoSecrets::new(dynamodb, prefix));
        let keys = KmsOpener::new(&clients.kms, aws.kms_key_id.as_str());
        let keys = Arc::new(keys.with_legacy(aws.legacy_keys()));
        Ok(Self::of(config, endpoints, secrets, keys, None))
    }

    fn of(
        config: &Config,
        endpoints: Arc<dyn ReadEndpoints>,
        secrets: Arc<dyn ReadSecrets>,
        keys: Arc<dyn OpenKeys>,
        master_keys: Option<(Arc<dyn MasterKeys>, Vault)>,
    ) -> Self {
        let lifetimes = config.cache.lifetimes(config.is_aws());
        let (clock, policy) = (Arc::new(SystemClock), config.secrets.policy());
        let opener = Opener::new(Arc::clone(&secrets), keys, clock, policy, lifetimes);
        Self { endpoints, secrets, opener, master_keys }
    }
}

/// Looks at what a section `[aws]` names.
#[cfg(feature = "aws")]
pub async fn examine_aws(aws: &AwsConfig, max_receives: u32, duty: Option<Duty>) -> Vec<Check> {
    let resources = checkup::Resources {
        queue_url: aws.queue_url.to_string(),
        dead_letter_queue_url: aws.dead_letter_queue_url.to_string(),
        table_prefix: aws.table_prefix.to_string(),
        key: aws.kms_key_id.to_string(),
        legacy_keys: aws.legacy_keys(),
        senders: aws.senders.clone(),
        max_receives,
    };
    checkup::examine(&resources, duty).await
}

/// Says that this build cannot.
#[cfg(not(feature = "aws"))]
pub async fn examine_aws(_: &super::AwsConfig, _: u32, _: Option<Duty>) -> Vec<Check> {
    let subject = crate::domain::check::look("aws.region", "the section [aws]");
    let found = "this program was built without the cargo feature `aws`";
    vec![subject.failed(found, "a program with it", "build it with the feature, or remove [aws]")]
}
