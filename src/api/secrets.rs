//! Secrets: values go in and never come out. What is shown of them was put beside the sealed value.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::input::{Body, Expected, Length, Named, Query};
use super::page::{self, Page, PageQuery};
use super::problem::{Answer, Code, Problem};
use super::secret_value::{self, PutSecret, RotateSecret};
use crate::domain::access::Action;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::{Facts, SealedKind, SealedSecret, SealedVersion};
use crate::domain::secret_record::Standing;
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::registration::{put_secret_over, roll_back_secret};
use crate::vault::{NewSecret, Rollback, WriteError};

/// How long the version before serves beside a rotated one, where nobody says.
const USUAL_OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// What is known of one version of a secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownVersion {
    /// Its number.
    pub version: u64,
    /// Whether it is in use; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<&'static str>,
    /// When it was put.
    pub created_at: Timestamp,
    /// How it is sealed.
    pub sealing: &'static str,
    /// Where it may go.
    pub origins: BTreeSet<Origin>,
    /// What may be told of it.
    #[serde(flatten)]
    pub facts: Option<Facts>,
}

impl ShownVersion {
    fn of(version: SealedVersion, standing: Option<Standing>) -> Self {
        let sealing = SealedKind::split(&version.sealed).map_or("unknown", |(kind, _)| kind.word());
        let SealedVersion { version, origins, created_at, facts, .. } = version;
        let standing = standing.map(Standing::word);
        Self { version, standing, created_at, sealing, origins, facts }
    }
}

/// What is known of a secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownSecret {
    /// Whose it is.
    pub customer_id: CustomerId,
    /// Its name.
    pub secret_id: SecretId,
    /// The version in use.
    #[serde(flatten)]
    pub current: ShownVersion,
    /// The version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<u64>,
    /// Until when that is in use, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Timestamp>,
    /// Every version that is kept; not in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<ShownVersion>,
}

fn shown(customer_id: CustomerId, secret_id: SecretId, secret: SealedSecret) -> ShownSecret {
    let previous_version = secret.previous.map(|version| version.version);
    ShownSecret {
        customer_id,
        secret_id,
        current: ShownVersion::of(secret.current, None),
        previous_version,
        previous_until: secret.previous_until,
        versions: Vec::new(),
    }
}

/// Which version becomes current again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// Its number.
    to: u64,
    /// How long the version that is current now stays in use beside it, as in `1h`.
    #[schema(value_type = Option<String>)]
    overlap: Option<Length>,
}

/// A secret of a customer's own: what the program keeps among them is not there for anybody else.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SecretId")]
pub struct OwnSecret(pub SecretId);

impl TryFrom<SecretId> for OwnSecret {
    type Error = WriteError;
    fn try_from(id: SecretId) -> Result<Self, WriteError> {
        if id.is_reserved() { Err(WriteError::Reserved(id)) } else { Ok(Self(id)) }
    }
}

type Name = Named<(CustomerId, OwnSecret)>;

/// List what is known of a customer's secrets
///
/// In the order of their ids. Values are never shown.
#[utoipa::path(get, path = "/v1/customers/{customerId}/secrets", tag = "secrets",
    operation_id = "listSecrets",
    params(("customerId" = String, Path), PageQuery),
    responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<ShownSecret>>> {
    caller.check(Action::Read, Some(&customer), None)?;
    let (limit, after) = (page::limit(query.limit)?, page::after(query.cursor.as_deref())?);
    let secrets = api.app.secrets.list(Some(&customer)).await?.into_iter();
    let own = secrets.filter(|(_, id, _)| !id.is_reserved());
    let wanted = own.filter(|(_, id, _)| after.as_deref().is_none_or(|a| id.as_str() > a));
    let shown = wanted.take(limit + 1).map(|(customer, id, secret)| shown(customer, id, secret));
    Ok(Json(Page::of(shown.collect(), limit, |shown| shown.secret_id.to_string())))
}

/// Show what is known of a secret and of each version that is kept
#[utoipa::path(get, path = "/v1/customers/{customerId}/secrets/{secretId}", tag = "secrets",
    operation_id = "getSecret",
    params(("customerId" = String, Path), ("secretId" = String, Path)),
    responses((status = 200, description = "The facts; the version is the `etag`")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, OwnSecret(id))): Name,
) -> Answer<Response> {
    caller.check(Action::Read, Some(&customer), None)?;
    read(&api, customer, id).await
}

/// Store a value as the secret's new version
///
/// With `If-Match` only over that version, with `If-None-Match: *` only if there is none. The value is
/// checked with the endpoints that name the secret, and never comes back.
#[utoipa::path(put, path = "/v1/customers/{customerId}/secrets/{secretId}", tag = "secrets",
    operation_id = "putSecret", request_body = PutSecret,
    params(("customerId" = String, Path), ("secretId" = String, Path),
        ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The facts of the secret as it is now")))]
pub async fn put(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, OwnSecret(id))): Name,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), None)?;
    let given = secret_value::read(&body, &["value", "valueBase64", "origins", "overlap"])?;
    let now = async { current(&api, &customer, &id).await };
    let expected = Expected::of(&headers)?.for_store(now).await?;
    let secret_value::Given { value, origins, overlap } = given;
    let new = NewSecret { customer, secret: id, value, origins, overlap };
    store(&api, new, expected).await
}

/// Replace a secret's value; its origins stay
///
/// The version before serves beside the new one while they overlap.
#[utoipa::path(post, path = "/v1/customers/{customerId}/secrets/{secretId}/rotate", tag = "secrets",
    operation_id = "rotateSecret", request_body = RotateSecret,
    params(("customerId" = String, Path), ("secretId" = String, Path),
        ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The facts of the secret as it is now")))]
pub async fn rotate(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, OwnSecret(id))): Name,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), None)?;
    let given = secret_value::read(&body, &["value", "valueBase64", "overlap"])?;
    let known = api.app.secrets.get(&customer, &id).await?;
    let known = known.ok_or_else(|| missing(&customer, &id))?;
    Expected::of(&headers)?.check(known.current.version)?;
    if known.current.is_unbound() {
        let detail = "the secret names no origins: put it with the origins where it may go";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let overlap = given.overlap.unwrap_or(USUAL_OVERLAP);
    let overlap = Some(overlap).filter(|overlap| !overlap.is_zero());
    // The origins are those of the version that was read: they must not be another's by then.
    let (origins, expected) = (known.current.origins, Some(known.current.version));
    let new = NewSecret { customer, secret: id, value: given.value, origins, overlap };
    store(&api, new, expected).await
}

/// Make an old version the current one again
#[utoipa::path(post, path = "/v1/customers/{customerId}/secrets/{secretId}/rollback",
    tag = "secrets", operation_id = "rollBackSecret", request_body = RollBack,
    params(("customerId" = String, Path), ("secretId" = String, Path),
        ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The facts of the secret as it is now")))]
pub async fn roll_back(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, OwnSecret(id))): Name,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), None)?;
    let RollBack { to, overlap } = body.read()?;
    let now = async { current(&api, &customer, &id).await };
    let expected = Expected::of(&headers)?.for_store(now).await?;
    let overlap = overlap.map(|length| length.0).filter(|overlap| !overlap.is_zero());
    let rollback = Rollback { customer: customer.clone(), secret: id.clone(), to, overlap };
    match roll_back_secret(&api.app, rollback, expected).await? {
        PutResult::Put(_) => read(&api, customer, id).await,
        PutResult::Conflict(now) => Err(Problem::other_version(now)),
    }
}

/// Remove a secret with all its versions
#[utoipa::path(delete, path = "/v1/customers/{customerId}/secrets/{secretId}", tag = "secrets",
    operation_id = "deleteSecret",
    params(("customerId" = String, Path), ("secretId" = String, Path),
        ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "It is removed")))]
pub async fn delete(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, OwnSecret(id))): Name,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    caller.check(Action::Change, Some(&customer), None)?;
    let now = async { current(&api, &customer, &id).await };
    let expected = Expected::of(&headers)?.for_store(now).await?;
    if !api.app.secrets.delete(&customer, &id, expected).await? {
        Expected::of(&headers)?.check(current(&api, &customer, &id).await?)?;
        return Err(missing(&customer, &id));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn store(api: &Shared, new: NewSecret, expected: Option<u64>) -> Answer<Response> {
    let (customer, id) = (new.customer.clone(), new.secret.clone());
    match put_secret_over(&api.app, new, expected).await? {
        PutResult::Put(_) => read(api, customer, id).await,
        PutResult::Conflict(now) => Err(Problem::other_version(now)),
    }
}

async fn read(api: &Shared, customer: CustomerId, id: SecretId) -> Answer<Response> {
    let shown = facts(api, customer, id).await?;
    let etag = format!("\"{}\"", shown.current.version);
    Ok(([(header::ETAG, etag)], Json(shown)).into_response())
}

/// What is known of a secret and of each version that is kept. Whether the caller may ask is not looked
/// at here.
pub(crate) async fn facts(api: &Shared, customer: CustomerId, id: SecretId) -> Answer<ShownSecret> {
    let record = api.app.secrets.record(&customer, &id).await?;
    let past = api.app.secrets.history(&customer, &id).await?;
    let versions = record.versions(past, api.app.clock.now());
    let versions = versions.into_iter();
    let versions = versions.map(|(standing, version)| ShownVersion::of(version, Some(standing)));
    let secret = record.secret.ok_or_else(|| missing(&customer, &id))?;
    Ok(ShownSecret { versions: versions.collect(), ..shown(customer, id, secret) })
}

async fn current(api: &Shared, customer: &CustomerId, id: &SecretId) -> Answer<u64> {
    Ok(api.app.secrets.record(customer, id).await?.current_version())
}

fn missing(customer: &CustomerId, id: &SecretId) -> Problem {
    Problem::not_found(format!("secret {id} of customer {customer}"))
}
