//! What customers register: endpoints and secrets, checked against each other before they are stored.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::App;
use crate::delivery::{Compiled, compile, destinations};
use crate::domain::authorization::Authorization;
use crate::domain::endpoint::{Endpoint, Health};
use crate::domain::event_catalog::{EventType, UnknownTypes, unknown};
use crate::domain::field::FieldError;
use crate::domain::health::HealthRecord;
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::SecretBytes;
use crate::domain::target::secret_segments;
use crate::domain::test_call::{BEGIN_WITHIN, LONGEST, TestEvent};
use crate::domain::verification::Handshake;
use crate::ports::Error;
use crate::ports::endpoints::{PutResult, StoredEndpoint};
use crate::vault::{NewReference, NewSecret, Rollback, WriteError};

/// Event types read at once.
const PAGE: usize = 500;

/// Why something is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// It could not be used.
    #[error(transparent)]
    Refused(#[from] FieldError),
    /// The secret could not be written.
    #[error(transparent)]
    Secret(#[from] WriteError),
    /// The store or the key service failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

/// Checks an endpoint as a whole, with the secrets that are there already, and stores it.
///
/// # Errors
/// With the path of the field that is wrong.
pub async fn put_endpoint(
    app: &App,
    endpoint: Endpoint,
    expected: Option<u64>,
) -> Result<PutResult, RegistrationError> {
    check_endpoint(app, &endpoint, Values::Opened).await?;
    Ok(app.endpoints.put(endpoint, expected, app.clock.now()).await?)
}

/// The same, without opening a secret, for those who may only seal.
///
/// # Errors
/// As [`put_endpoint`].
pub async fn put_endpoint_unopened(
    app: &App,
    endpoint: Endpoint,
    expected: Option<u64>,
) -> Result<PutResult, RegistrationError> {
    check_endpoint(app, &endpoint, Values::Sealed).await?;
    Ok(app.endpoints.put(endpoint, expected, app.clock.now()).await?)
}

/// Whether the values of secrets are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Where this process can open them.
    Opened,
    /// Never.
    Sealed,
}

/// What an endpoint subscribes to that is not registered, each with its path.
///
/// # Errors
/// If the store fails.
pub async fn unknown_event_types(app: &App, endpoint: &Endpoint) -> Result<Vec<FieldError>, Error> {
    let Some(patterns) = &endpoint.event_types else { return Ok(Vec::new()) };
    let mut known: Vec<EventType> = Vec::new();
    loop {
        let after = known.last().map(|last| last.name.to_string());
        let page = app.event_types.list(after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        known.extend(page);
        if is_last {
            return Ok(unknown(patterns, &known));
        }
    }
}

/// What a test sends: the event as it was given, with the example of its type where it has no data.
///
/// # Errors
/// If the store fails.
pub async fn with_example(app: &App, event: TestEvent) -> Result<TestEvent, Error> {
    let name = event.event_type.as_deref().and_then(|name| name.parse().ok());
    let (None, Some(name)) = (&event.data, name) else { return Ok(event) };
    let known = app.event_types.get(&name).await?;
    Ok(TestEvent { data: known.and_then(|known| known.example), ..event })
}

/// Notes that a handshake is being made, unless the endpoint has agreed already. Whoever writes at the same
/// time knows better.
///
/// # Errors
/// If the store fails.
pub async fn begin_authorizing(app: &App, stored: &StoredEndpoint) -> Result<(), Error> {
    let (customer, endpoint) = (&stored.endpoint.customer_id, &stored.endpoint.endpoint_id);
    let seen = app.health.read(customer, endpoint, stored.version).await?;
    if seen.is_verified(&stored.endpoint) {
        return Ok(());
    }
    let until = app.clock.now().plus(BEGIN_WITHIN + LONGEST);
    let authorization = Some(Authorization::Authorizing { until });
    let next = HealthRecord { authorization, ..seen.clone() };
    app.health.change(customer, endpoint, stored.version, &seen, &next).await.map(drop)
}

/// Checks an endpoint with its secrets.
async fn check_endpoint(
    app: &App,
    endpoint: &Endpoint,
    values: Values,
) -> Result<(), RegistrationError> {
    let compiled = compile(endpoint, &app.guard)?;
    let asks_for_origin =
        endpoint.verification.is_some_and(|settings| settings.handshake == Handshake::Cloudevents);
    if asks_for_origin && app.config.egress.webhook_origin.is_none() {
        let problem = "cloudevents needs the operator's setting egress.webhook_origin";
        return Err(FieldError::new("verification.handshake", problem).into());
    }
    if app.config.events.unknown_types == UnknownTypes::Refuse
        && let Some(unknown) = unknown_event_types(app, endpoint).await?.into_iter().next()
    {
        return Err(unknown.into());
    }
    for (id, origins) in destinations(endpoint, &compiled.chain) {
        // A secret may be stored later; one that is there must be allowed to go where it is sent.
        let stored = app.secrets.get(&endpoint.customer_id, &id).await?;
        let Some(stored) = stored else { continue };
        if let Some(origin) = origins.iter().find(|origin| !stored.current.may_go_to(origin)) {
            let problem = format!(
                "secret {id} may not be sent to {origin}: put it again with --origin {origin}"
            );
            let path = if origin == endpoint.url.origin() { "url" } else { "auth" };
            return Err(FieldError::new(path, problem).into());
        }
        // What is no secret is known to whoever cannot open the value, too.
        if let Some(facts) = &stored.current.facts {
            compiled.chain.check_facts(&id, facts)?;
        }
        // On AWS whoever registers cannot decrypt. Where one process does both, a wrong value is heard
        // of now.
        if values == Values::Opened
            && !app.config.is_aws()
            && let Ok(open) = app.vault.open(&endpoint.customer_id, &id).await
            && let Ok(values) = open.values_for(&origins, app.clock.now())
        {
            for value in &values {
                check_value(endpoint, &compiled, &id, value)?;
            }
        }
    }
    Ok(())
}

/// Checks a value with the endpoints that name the secret already, and stores it. Endpoints that were
/// refused with the value before are tried again.
///
/// # Errors
/// With the endpoint and the path of the step that could not use the value.
pub async fn put_secret(app: &App, new: NewSecret) -> Result<PutResult, RegistrationError> {
    put_secret_over(app, new, None).await
}

/// The same, if the version `expected` is the current one (0: there is none).
///
/// # Errors
/// As [`put_secret`].
pub async fn put_secret_over(
    app: &App,
    new: NewSecret,
    expected: Option<u64>,
) -> Result<PutResult, RegistrationError> {
    let (customer, id) = (new.customer.clone(), new.secret.clone());
    let using = using(app, &customer, &id).await?;
    for (stored, compiled) in &using {
        let name = format!("endpoint {}", stored.endpoint.endpoint_id);
        check_value(&stored.endpoint, compiled, &id, &new.value).map_err(|e| e.under(&name))?;
    }
    let put = app.vault.put_over(new, expected).await?;
    try_again(app, &customer, using, put).await?;
    Ok(put)
}

/// Stores a reference in place of a value. It is not followed here, so nobody can tell whether its
/// endpoints can use what it leads to; those that were refused before are tried again.
///
/// # Errors
/// As [`put_secret`].
pub async fn put_reference(
    app: &App,
    new: NewReference,
    expected: Option<u64>,
) -> Result<PutResult, RegistrationError> {
    let customer = new.customer.clone();
    let using = using(app, &customer, &new.secret).await?;
    let put = app.vault.put_reference(new, expected).await?;
    try_again(app, &customer, using, put).await?;
    Ok(put)
}

/// Makes an old version of a secret current again. Endpoints that were refused with the other value are
/// tried again. The value is not looked at: it was checked when it was put.
///
/// # Errors
/// If there is no such version, or it is the current one.
pub async fn roll_back_secret(
    app: &App,
    rollback: Rollback,
    expected: Option<u64>,
) -> Result<PutResult, RegistrationError> {
    let customer = rollback.customer.clone();
    let using = using(app, &customer, &rollback.secret).await?;
    let put = app.vault.roll_back(rollback, expected).await?;
    try_again(app, &customer, using, put).await?;
    Ok(put)
}

/// Where a customer's endpoints send each secret, as far as they can be used.
///
/// # Errors
/// If the store fails.
pub async fn origins_of(
    app: &App,
    customer: &CustomerId,
) -> Result<BTreeMap<SecretId, BTreeSet<Origin>>, Error> {
    let mut named: BTreeMap<SecretId, BTreeSet<Origin>> = BTreeMap::new();
    for stored in app.endpoints.list(Some(customer)).await? {
        let Ok(compiled) = compile(&stored.endpoint, &app.guard) else { continue };
        for (id, origins) in destinations(&stored.endpoint, &compiled.chain) {
            named.entry(id).or_default().extend(origins);
        }
    }
    Ok(named)
}

/// The endpoints that name a secret, as far as they can be used: one that cannot says so when it is.
async fn using(
    app: &App,
    customer: &CustomerId,
    id: &SecretId,
) -> Result<Vec<(StoredEndpoint, Compiled)>, Error> {
    let mut using = Vec::new();
    for stored in app.endpoints.list(Some(customer)).await? {
        let Ok(compiled) = compile(&stored.endpoint, &app.guard) else { continue };
        if destinations(&stored.endpoint, &compiled.chain).iter().any(|(named, _)| named == id) {
            using.push((stored, compiled));
        }
    }
    Ok(using)
}

/// Lets endpoints be called again whose token server refused the value before.
async fn try_again(
    app: &App,
    customer: &CustomerId,
    using: Vec<(StoredEndpoint, Compiled)>,
    put: PutResult,
) -> Result<(), Error> {
    if matches!(put, PutResult::Conflict(_)) {
        return Ok(());
    }
    for (stored, _) in using {
        let endpoint = &stored.endpoint.endpoint_id;
        let seen = app.health.read(customer, endpoint, stored.version).await?;
        if matches!(seen.health, Health::Deauthorized { .. }) {
            app.health.set(customer, endpoint, stored.version, &Health::Active).await?;
        } else if matches!(seen.authorization, Some(Authorization::Deauthorized { .. })) {
            // Of the new value nothing is known yet.
            let next = HealthRecord { authorization: None, ..seen.clone() };
            app.health.change(customer, endpoint, stored.version, &seen, &next).await?;
        }
    }
    Ok(())
}

/// Whether calls to the endpoint could be made with this value.
fn check_value(
    endpoint: &Endpoint,
    compiled: &Compiled,
    id: &SecretId,
    value: &SecretBytes,
) -> Result<(), FieldError> {
    compiled.chain.check_secret(id, value)?;
    compiled.parameters.check_secret(id, value)?;
    if endpoint.url.secrets().any(|named| named == id) {
        let refuse = |problem| FieldError::new("url", format!("secret {id}: {problem}"));
        secret_segments(value).map_err(refuse)?;
    }
    Ok(())
}
