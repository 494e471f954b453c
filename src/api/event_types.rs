//! Event types: what the operator sends, and endpoints can subscribe to.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::input::{Body, Named, Query};
use super::page::{self, Page, PageQuery};
use super::problem::{Answer, Problem};
use crate::domain::access::Action;
use crate::domain::event_catalog::EventType;
use crate::domain::ids::EventTypeName;

/// An event type to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEventType {
    /// What it says, for people.
    #[serde(default)]
    #[schema(max_length = 1024)]
    description: String,
    /// What its data looks like, any JSON: what a test of this type sends.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    example: Option<Value>,
    /// Whether it is sent no more.
    #[serde(default)]
    archived: bool,
}

/// List the event types
///
/// In the order of their names; archived ones, too. Every key and token may look at them.
#[utoipa::path(get, path = "/v1/event-types", tag = "event types",
    operation_id = "listEventTypes", params(PageQuery),
    responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<EventType>>> {
    caller.check_scope(Action::Read)?;
    let (limit, after) = (page::limit(query.limit)?, page::after(query.cursor.as_deref())?);
    let found = api.app.event_types.list(after.as_deref(), limit + 1).await?;
    Ok(Json(Page::of(found, limit, |event_type| event_type.name.to_string())))
}

/// Show an event type
#[utoipa::path(get, path = "/v1/event-types/{eventType}", tag = "event types",
    operation_id = "getEventType", params(("eventType" = String, Path)),
    responses((status = 200, description = "The event type")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named(name): Named<EventTypeName>,
) -> Answer<Json<EventType>> {
    caller.check_scope(Action::Read)?;
    match api.app.event_types.get(&name).await? {
        Some(event_type) => Ok(Json(event_type)),
        None => Err(Problem::not_found(format!("event type {name}"))),
    }
}

/// Register an event type, or replace it
#[utoipa::path(put, path = "/v1/event-types/{eventType}", tag = "event types",
    operation_id = "putEventType", request_body = NewEventType,
    params(("eventType" = String, Path)),
    responses((status = 200, description = "The event type as it is now")))]
pub async fn put(
    State(api): State<Shared>,
    caller: Caller,
    Named(name): Named<EventTypeName>,
    body: Body,
) -> Answer<Json<EventType>> {
    caller.check(Action::Change, None, None)?;
    let NewEventType { description, example, archived } = body.read()?;
    let updated_at = api.app.clock.now();
    let event_type = EventType { name, description, example, archived, updated_at };
    event_type.check()?;
    api.app.event_types.put(&event_type).await?;
    Ok(Json(event_type))
}

/// Remove an event type
///
/// Endpoints that subscribe to it go on doing so.
#[utoipa::path(delete, path = "/v1/event-types/{eventType}", tag = "event types",
    operation_id = "deleteEventType", params(("eventType" = String, Path)),
    responses((status = 204, description = "It is removed")))]
pub async fn delete(
    State(api): State<Shared>,
    caller: Caller,
    Named(name): Named<EventTypeName>,
) -> Answer<StatusCode> {
    caller.check(Action::Change, None, None)?;
    if !api.app.event_types.delete(&name).await? {
        return Err(Problem::not_found(format!("event type {name}")));
    }
    Ok(StatusCode::NO_CONTENT)
}
