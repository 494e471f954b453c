//! The frame of every page: head, navigation, who is signed in, and the page for what went wrong.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::form::CSRF;
use super::parts;
use super::session::{Realm, Session};
use super::visit::Visit;
use crate::api::problem::{Code, Problem};
use crate::domain::access::{Action, Grant, Scope};

/// Marks a response that is a whole page already, whatever its status.
#[derive(Clone)]
pub struct Whole;

/// A part of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the page of its name")]
pub enum Area {
    Overview,
    Customers,
    AllDeadLetters,
    Keys,
    Endpoints,
    Secrets,
    Deliveries,
    DeadLetters,
    Replays,
    TenantKey,
    Access,
}

/// A page of the operator's.
pub fn page(session: &Session, area: Area, title: &str, body: &Markup) -> Response {
    whole(StatusCode::OK, &frame(Some(session), session.realm, Some(area), title, body))
}

/// A page of one customer's things. `problem`: what was wrong with what was sent, whose status it has.
pub fn customer_page(
    visit: &Visit,
    area: Area,
    title: &str,
    problem: Option<&Problem>,
    body: &Markup,
) -> Response {
    let session = &visit.session;
    let tabs = html! {
        nav.tabs aria-label="Customer" {
            @for (tab, path, name) in tabs(visit) {
                a href=(visit.link(path)) aria-current=[(tab == area).then_some("page")] { (name) }
            }
        }
    };
    let body = html! {
        header.customer {
            @if session.realm == Realm::Operator {
                nav.crumbs aria-label="Breadcrumb" {
                    a href="/console/customers" { "Customers" } span aria-hidden="true" { "/" }
                    a href=(visit.link("")) { (visit.customer) }
                }
            } @else {
                p.crumbs { "Webhooks of " strong { (visit.customer) } }
            }
            (tabs)
        }
        (body)
    };
    let frame = frame(Some(session), session.realm, Some(area), title, &body);
    whole(problem.map_or(StatusCode::OK, |problem| problem.what().status()), &frame)
}

fn tabs(visit: &Visit) -> Vec<(Area, &'static str, &'static str)> {
    let mut tabs = vec![(Area::Endpoints, "", "Endpoints")];
    // What belongs to no single endpoint is not for a key that is limited to some.
    if visit.may(Action::Read, None) {
        tabs.push((Area::Secrets, "/secrets", "Secrets"));
        tabs.push((Area::Deliveries, "/deliveries", "Deliveries"));
        tabs.push((Area::DeadLetters, "/dead-letters", "Dead letters"));
        tabs.push((Area::Replays, "/replays", "Replays"));
    } else {
        tabs.push((Area::Deliveries, "/deliveries", "Deliveries"));
        tabs.push((Area::DeadLetters, "/dead-letters", "Dead letters"));
    }
    if visit.session.realm == Realm::Operator && visit.may(Action::Mint, None) {
        if visit.may(Action::Administer, None) {
            tabs.push((Area::TenantKey, "/tenant-key", "Tenant key"));
        }
        tabs.push((Area::Access, "/access", "Customer's page"));
    }
    tabs
}

/// A page for somebody who is not signed in.
pub fn entrance(realm: Realm, title: &str, status: StatusCode, body: &Markup) -> Response {
    whole(status, &frame(None, realm, None, title, body))
}

/// The page for what went wrong.
pub fn problem(realm: Realm, session: Option<&Session>, problem: &Problem, id: &str) -> Response {
    let status = problem.what().status();
    let title = match problem.what() {
        Code::Unauthenticated => "Signed out",
        Code::Forbidden => "Not allowed",
        Code::NotFound => "Not found",
        Code::Unavailable | Code::Timeout => "Not available just now",
        Code::RateLimited => "Too many requests",
        Code::InvalidRequest
        | Code::MethodNotAllowed
        | Code::Conflict
        | Code::IdempotencyConflict
        | Code::InProgress
        | Code::PreconditionFailed
        | Code::TooLarge
        | Code::UnsupportedMediaType
        | Code::ValidationFailed
        | Code::Internal => "That did not work",
    };
    let back = if session.is_some() { realm.base() } else { realm.entrance() };
    let body = html! {
        (parts::heading(title, None, html! {}))
        section.card.narrow {
            p { (parts::sentence(problem.detail())) }
            p.muted { "Code " code { (problem.what().code()) } ", request " code { (id) } }
            p { a.button href=(back) { @if session.is_some() { "To the first page" } @else { "Sign in" } } }
        }
    };
    let mut response = whole(status, &frame(session, realm, None, title, &body));
    if let Some(seconds) = problem.wait() {
        response.headers_mut().insert(HeaderName::from_static("retry-after"), seconds.into());
    }
    response
}

fn whole(status: StatusCode, frame: &Markup) -> Response {
    let mut response = (status, Html(frame.0.clone())).into_response();
    response.extensions_mut().insert(Whole);
    response.headers_mut().remove(HeaderName::from_static("content-language"));
    let language = HeaderValue::from_static("en");
    response.headers_mut().insert(HeaderName::from_static("content-language"), language);
    response
}

fn frame(
    session: Option<&Session>,
    realm: Realm,
    area: Option<Area>,
    title: &str,
    body: &Markup,
) -> Markup {
    let name = match realm {
        Realm::Operator => "sealpost",
        Realm::Customer => "Webhooks",
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (name) }
                link rel="icon" href="/console/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/console/assets/console.css";
                script src="/console/assets/console.js" defer {}
            }
            body class=(if realm == Realm::Operator { "operator" } else { "customers" }) {
                a.skip href="#main" { "Skip to the content" }
                @if let Some(session) = session { (side(session, area)) }
                main #main tabindex="-1" { (body) }
            }
        }
    }
}

fn side(session: &Session, area: Option<Area>) -> Markup {
    match session.realm {
        Realm::Operator => html! {
            header.side {
                a.brand href="/console" { (parts::seal()) span { "sealpost" } }
                nav aria-label="Console" {
                    @for (item, path, name) in operator_areas(session) {
                        @let here = Some(item) == area.map(operator_area);
                        a href=(path) aria-current=[here.then_some("page")] { (name) }
                    }
                }
                div.who {
                    div.name title=(session.caller.0.id) { (session.caller.0.name) }
                    div.muted { (scope(session)) }
                    (leave(session))
                }
            }
        },
        Realm::Customer => html! { header.top { (leave(session)) } },
    }
}

fn operator_areas(session: &Session) -> Vec<(Area, &'static str, &'static str)> {
    let mut areas = Vec::new();
    if session.may_everywhere(Action::Read) {
        areas.push((Area::Overview, "/console", "Overview"));
    }
    areas.push((Area::Customers, "/console/customers", "Customers"));
    areas.push((Area::AllDeadLetters, "/console/dead-letters", "Dead letters"));
    if session.may_everywhere(Action::Administer) {
        areas.push((Area::Keys, "/console/keys", "Keys"));
    }
    areas
}

/// The item of the operator's navigation that a page belongs to.
fn operator_area(area: Area) -> Area {
    match area {
        Area::Overview | Area::Customers | Area::AllDeadLetters | Area::Keys => area,
        Area::Endpoints
        | Area::Secrets
        | Area::Deliveries
        | Area::DeadLetters
        | Area::Replays
        | Area::TenantKey
        | Area::Access => Area::Customers,
    }
}

fn leave(session: &Session) -> Markup {
    let target = format!("{}/logout", session.realm.base());
    html! {
        form method="post" action=(target) {
            input type="hidden" name=(CSRF) value=(session.csrf);
            button.quiet type="submit" { "Sign out" }
        }
    }
}

/// What the session's key may do, in words.
fn scope(session: &Session) -> String {
    match &session.caller.0.grant {
        Grant::Operator { scope, customers, endpoints } => {
            let scope = match scope {
                Scope::ReadOnly => "may look",
                Scope::Producer => "may send jobs",
                Scope::Operator => "may do everything",
            };
            let limit = |limited: bool, what: &str| {
                if limited { format!(", for some {what}") } else { String::new() }
            };
            let customers = limit(customers.is_some(), "customers");
            format!("{scope}{customers}{}", limit(endpoints.is_some(), "endpoints"))
        }
        Grant::Customer { customer_id } => customer_id.to_string(),
    }
}
