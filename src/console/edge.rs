//! What happens to every request for a page before and after its handler: the session, the headers that
//! keep a page to itself, and a page for what went wrong.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{HOST, LOCATION, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};
use tracing::{debug, info};
use url::form_urlencoded::byte_serialize;

use super::session::{Realm, Session};
use super::{Console, Pages, layout};
use crate::api::problem::{Answer, Code, Problem};
use crate::config::ConsoleConfig;

/// Longest time that a request may take.
const LONGEST: Duration = Duration::from_secs(30);
/// Where pages may be asked for without a session.
const OPEN: [&str; 3] = ["/console/login", "/customer/enter", "/customer/session"];

/// Handles a request from its first byte to its last.
pub async fn handle(
    State((console, realm)): State<(Pages, Realm)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (started, method, uri) = (Instant::now(), request.method().clone(), request.uri().clone());
    let session = Session::of(&console, realm, request.headers()).await;
    let id = format!("req_{}", console.api.app.chance.token());
    let (session, response) = match session {
        Err(problem) => (None, problem.into_response()),
        Ok(session) => {
            let permitted = admit(&console, realm, session.as_ref(), &request);
            let response = match permitted {
                Err(response) => *response,
                Ok(()) => {
                    if let Some(session) = session.clone() {
                        request.extensions_mut().insert(session);
                    }
                    within(next.run(request)).await
                }
            };
            (session, response)
        }
    };
    let response = finished(&console, realm, session.as_ref(), response, &id);
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis() as u64);
    let key = session.map_or_else(|| "-".to_owned(), |session| session.caller.0.id.clone());
    let path = uri.path();
    // Who changed what stands in the log. Ids and numbers only: no query, no form.
    if method == Method::GET {
        debug!(event = "request", %method, path, status, ms, key, request_id = id);
    } else {
        info!(event = "request", %method, path, status, ms, key, request_id = id);
    }
    response
}

/// Whether the request goes on to its handler.
fn admit(
    console: &Console,
    realm: Realm,
    session: Option<&Session>,
    request: &Request,
) -> Result<(), Box<Response>> {
    let boxed = |problem: Problem| Box::new(problem.into_response());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read {
        let settings = &console.api.app.config.console;
        check_origin(settings, request.headers(), request.uri()).map_err(boxed)?;
    }
    let Some(session) = session else {
        if OPEN.contains(&request.uri().path()) {
            return Ok(());
        }
        if is_read {
            return Err(Box::new(see(&entrance(realm, request.uri()))));
        }
        return Err(boxed(Problem::new(
            Code::Unauthenticated,
            "the session has ended: sign in again",
        )));
    };
    console.api.keys.count(&session.caller, session.now).map_err(boxed)
}

/// Where to sign in, and where to go then.
fn entrance(realm: Realm, uri: &Uri) -> String {
    let wanted = uri.path_and_query().map_or(uri.path(), |wanted| wanted.as_str());
    match realm {
        Realm::Operator if wanted != realm.base() => {
            let next: String = byte_serialize(wanted.as_bytes()).collect();
            format!("{}?next={next}", realm.entrance())
        }
        Realm::Operator | Realm::Customer => realm.entrance().to_owned(),
    }
}

/// Sends the browser to another page.
pub fn see(path: &str) -> Response {
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/console"));
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}

/// Whether a form was sent from a page of ours: what a browser says of that cannot be made up by another
/// site. The product that shows the customer's page in a frame may open a session there.
///
/// # Errors
/// If it was sent from elsewhere.
fn check_origin(settings: &ConsoleConfig, headers: &HeaderMap, uri: &Uri) -> Answer<()> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let from_elsewhere = match (text(ORIGIN), text(HeaderName::from_static("sec-fetch-site"))) {
        (Some(origin), _) => {
            let sender = origin.split_once("://").map_or("", |(_, host)| host);
            let may_open = uri.path() == "/customer/session"
                && origin.parse().is_ok_and(|origin| settings.embed_origins.contains(&origin));
            !may_open && text(HOST) != Some(sender)
        }
        (None, Some(site)) => !matches!(site, "same-origin" | "none"),
        // A browser this old sends neither; the form's own token stands.
        (None, None) => false,
    };
    if from_elsewhere {
        return Err(Problem::new(Code::Forbidden, "the form was sent from another site"));
    }
    Ok(())
}

async fn within(handled: impl Future<Output = Response>) -> Response {
    match timeout(LONGEST, handled).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::Timeout, format!("not done in {LONGEST:?}")).into_response(),
    }
}

/// The response with its headers; whatever went wrong is a page that says so.
fn finished(
    console: &Console,
    realm: Realm,
    session: Option<&Session>,
    mut response: Response,
    id: &str,
) -> Response {
    let status = response.status();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let again = response.headers().get(RETRY_AFTER).cloned();
        response = layout::problem(realm, session, &problem, id);
        response.headers_mut().extend(again.map(|again| (RETRY_AFTER, again)));
    } else if status.is_client_error() && response.extensions().get::<layout::Whole>().is_none() {
        response = layout::problem(realm, session, &Problem::of_status(status), id);
    }
    let embed = match realm {
        Realm::Operator => None,
        Realm::Customer => Some(&console.api.app.config.console),
    };
    protect(response.headers_mut(), embed, id);
    response
}

/// The headers that keep a page to itself: nothing from elsewhere runs or is loaded in it, nobody frames
/// it who may not, no cache keeps it.
fn protect(headers: &mut HeaderMap, embed: Option<&ConsoleConfig>, id: &str) {
    let framers = embed.map(|settings| &settings.embed_origins).filter(|set| !set.is_empty());
    let ancestors = match framers {
        Some(origins) => origins.iter().map(|o| o.as_str()).collect::<Vec<_>>().join(" "),
        None => "'none'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    );
    let fixed = [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        // To other sites nothing is told; with "no-referrer" our own forms would have no origin.
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ];
    for (name, value) in fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if framers.is_none() {
        let deny = HeaderValue::from_static("DENY");
        headers.insert(HeaderName::from_static("x-frame-options"), deny);
        let opener = HeaderValue::from_static("same-origin");
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), opener);
    }
    for (name, value) in [("content-security-policy", policy.as_str()), ("x-request-id", id)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
