//! The accounts of endpoints' rates: the attribute `rateFullAt` of an endpoint's item in `health`, in
//! nanoseconds since the Unix epoch.
//!
//! A lease is one conditional update. Which one depends on how the account stands, and what the
//! worker heard of it last tells; if that was wrong, the refusal brings the item along.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;

use super::item::{Item, Reader, n, values};
use super::{Table, endpoint_key, tables};
use crate::adapters::aws::classify::failed;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::rate_lease::{LeaseAnswer, LeaseRequest, Standing};
use crate::ports::{Error, Rates, Result};

const OPERATION: &str = "rates.lease";
/// As often as an account may change how it stands while one lease is made.
const MOST_TRIES: usize = 4;

/// The rates' accounts in a table.
pub struct DynamoRates(Table);

impl DynamoRates {
    /// The accounts in the tables that begin with `prefix`.
    pub fn new(client: &Client, prefix: &str) -> Self {
        Self(Table::new(client, prefix, tables::HEALTH.name))
    }

    /// Moves the account on, if it stands as supposed. Where it stood, and whether it was moved.
    ///
    /// Repeated by the SDK after a lost answer, it takes tokens once more, which nobody uses: a rate is
    /// never exceeded by that.
    async fn update(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        request: &LeaseRequest,
        supposed: Standing,
    ) -> Result<(Duration, bool)> {
        let now = (":now", number(request.now()));
        let stretch = request.terms.stretch(request.count);
        let add = (":stretch", number(stretch));
        let put = |from: Duration| (":end", number(from + stretch));
        let (update, condition, given) = match supposed {
            Standing::Rested => (
                "SET #full = :end",
                "attribute_not_exists(#full) OR #full <= :now",
                values([put(request.now()), now]),
            ),
            Standing::Running | Standing::Ahead => (
                "SET #full = #full + :stretch",
                "#full > :now AND #full <= :latest",
                values([add, now, (":latest", number(request.latest()))]),
            ),
            Standing::Astray => (
                "SET #full = :end",
                "#full > :furthest",
                values([put(request.latest()), (":furthest", number(request.furthest()))]),
            ),
        };
        let sent = (self.0.client.update_item().table_name(&self.0.name))
            .set_key(endpoint_key(customer, endpoint))
            .update_expression(update)
            .condition_expression(condition)
            .set_expression_attribute_names(Some([("#full".into(), ACCOUNT.into())].into()))
            .set_expression_attribute_values(given)
            .return_values(ReturnValue::UpdatedOld)
            .return_values_on_condition_check_failure(AllOld)
            .send()
            .await;
        match sent {
            Ok(updated) => Ok((account(&updated.attributes.unwrap_or_default())?, true)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failure)) => {
                    Ok((account(failure.item().unwrap_or(&Item::new()))?, false))
                }
                _ => Err(failed(OPERATION, &error)),
            },
        }
    }
}

const ACCOUNT: &str = "rateFullAt";

fn number(time: Duration) -> aws_sdk_dynamodb::types::AttributeValue {
    n(time.as_nanos())
}

/// Where an account stands.
fn account(item: &Item) -> Result<Duration> {
    let read = Reader { operation: OPERATION, item };
    Ok(Duration::from_nanos(read.optional_number(ACCOUNT)?.unwrap_or(0)))
}

#[async_trait]
impl Rates for DynamoRates {
    async fn lease(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
        request: &LeaseRequest,
    ) -> Result<LeaseAnswer> {
        let mut supposed = request.standing(request.known);
        for _ in 0..MOST_TRIES {
            let (before, is_made) = self.update(customer, endpoint, request, supposed).await?;
            match request.carry_out(&mut before.clone()) {
                answer @ LeaseAnswer::Granted { .. } if is_made => return Ok(answer),
                LeaseAnswer::Granted { .. } => supposed = request.standing(before),
                answer @ LeaseAnswer::Refused { .. } => return Ok(answer),
            }
        }
        Err(Error::new(OPERATION, "the account never stood as it was found to stand just before"))
    }
}
