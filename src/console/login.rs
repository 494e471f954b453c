//! Signing in and out: a key or a token is exchanged for a session.

use axum::Extension;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded::byte_serialize;

use super::form::{Asked, Entrance, Fields, Form};
use super::layout;
use super::parts;
use super::session::{
    CUSTOMER_LIFETIME, OPERATOR_LIFETIME, Realm, Session, belongs, is_local, set_cookie,
};
use super::{Console, Pages, edge};
use crate::access::issue_session;
use crate::api::failures::Peer;
use crate::api::problem::{Answer, Code, Problem};
use crate::domain::access::Action;

/// `GET /console/login`
pub async fn ask(
    session: Option<Extension<Session>>,
    headers: HeaderMap,
    Asked(asked): Asked,
) -> Response {
    if session.is_some() {
        return edge::see(own(asked.get("next")));
    }
    let told = (asked.get("cookie") == "lost").then(|| lost_cookie(&headers));
    let status = StatusCode::OK;
    layout::entrance(Realm::Operator, "Sign in", status, &operator_form(&asked, told.as_deref()))
}

/// A session was begun, and the browser did not send it back.
fn lost_cookie(headers: &HeaderMap) -> String {
    if is_local(headers) {
        return "The browser did not keep the session: it has to accept cookies of this page"
            .to_owned();
    }
    "The browser did not keep the session. Over a network the console needs HTTPS: put a proxy with TLS \
     before it, which leaves the Host header as it is"
        .to_owned()
}

/// `POST /console/login`
pub async fn enter(
    State(console): State<Pages>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Entrance(fields): Entrance,
) -> Answer<Response> {
    let refused = |problem: &str, status| {
        let form = operator_form(&fields, Some(problem));
        Ok(layout::entrance(Realm::Operator, "Sign in", status, &form))
    };
    match begin(&console, Realm::Operator, (&headers, peer), fields.get("key")).await {
        Ok(cookie) => {
            // By way of this page, which sees whether the browser has kept the session.
            let next: String = byte_serialize(own(fields.get("next")).as_bytes()).collect();
            Ok(entered(&format!("/console/login?cookie=lost&next={next}"), cookie))
        }
        Err(problem) if problem.what() == Code::Unauthenticated => {
            refused("That is no key, or one that is revoked or has ended", StatusCode::UNAUTHORIZED)
        }
        Err(problem) if problem.what() == Code::Forbidden => {
            refused(problem.detail(), StatusCode::FORBIDDEN)
        }
        Err(problem) => Err(problem),
    }
}

/// Where to go then: only to a page of this console, as the name may come from a link of somebody else's.
fn own(next: &str) -> &str {
    if is_own(next) { next } else { "/console" }
}

fn is_own(next: &str) -> bool {
    next.strip_prefix("/console")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !next.starts_with("/console/log")
}

fn entered(next: &str, cookie: HeaderValue) -> Response {
    let mut response = edge::see(next);
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}

/// Begins a session; the header that gives it to the browser. Whoever fails is counted as over the API.
async fn begin(
    console: &Console,
    realm: Realm,
    (headers, peer): (&HeaderMap, Option<Extension<Peer>>),
    text: &str,
) -> Answer<HeaderValue> {
    let (api, peer) = (&console.api, peer.map(|Extension(peer)| peer));
    let caller = api.keys.recognise_text(&api.app, text.trim(), headers, peer).await?;
    api.keys.count(&caller, api.app.clock.now())?;
    if !belongs(&caller, realm) {
        return Err(Problem::new(Code::Unauthenticated, "that is for other pages"));
    }
    if caller.check_scope(Action::Read).is_err() {
        let detail =
            "This key sends jobs and sees nothing. Sign in with one of scope read-only or operator";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let lifetime = match realm {
        Realm::Operator => OPERATOR_LIFETIME,
        Realm::Customer => CUSTOMER_LIFETIME,
    };
    let issued = issue_session(&api.app, &caller.0, lifetime).await?;
    let framed = realm == Realm::Customer && !api.app.config.console.embed_origins.is_empty();
    let text = issued.text.expose_str().unwrap_or_default();
    set_cookie(realm, headers, text, lifetime, framed)
        .ok_or_else(|| Problem::new(Code::Internal, Code::Internal.title()))
}

/// `POST /console/logout`, `POST /customer/logout`
pub async fn leave(
    State(console): State<Pages>,
    session: Session,
    headers: HeaderMap,
    _: Form,
) -> Answer<Response> {
    let api = &console.api;
    api.app.control.revoke_key(&session.id, api.app.clock.now()).await?;
    api.keys.forget(&session.id).await;
    let realm = session.realm;
    let framed = realm == Realm::Customer && !api.app.config.console.embed_origins.is_empty();
    let gone = set_cookie(realm, &headers, "", std::time::Duration::ZERO, framed);
    let gone = gone.ok_or_else(|| Problem::new(Code::Internal, Code::Internal.title()))?;
    Ok(entered(realm.entrance(), gone))
}

/// `GET /customer/enter`: for somebody who comes with a token behind the `#` of the address, which no
/// server and no log sees. The script sends it as a form and takes it out of the address.
pub async fn ask_customer() -> Response {
    layout::entrance(Realm::Customer, "Sign in", StatusCode::OK, &customer_form(None))
}

/// `POST /customer/session`
pub async fn enter_customer(
    State(console): State<Pages>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Entrance(fields): Entrance,
) -> Answer<Response> {
    match begin(&console, Realm::Customer, (&headers, peer), fields.get("token")).await {
        Ok(cookie) => Ok(entered("/customer", cookie)),
        Err(problem) if problem.what() == Code::Unauthenticated => {
            let told = "The link is not good any more. Open the page anew from where you came";
            let form = customer_form(Some(told));
            Ok(layout::entrance(Realm::Customer, "Sign in", StatusCode::UNAUTHORIZED, &form))
        }
        Err(problem) => Err(problem),
    }
}

fn operator_form(fields: &Fields, problem: Option<&str>) -> Markup {
    let next = fields.get("next");
    html! {
        section.card.sign-in {
            div.brand { (parts::seal()) span { "sealpost" } }
            h1 { "Sign in" }
            (told(problem))
            form method="post" action="/console/login" {
                input type="hidden" name="next" value=(next);
                div.field {
                    label for="f-key" { "API key" }
                    input #f-key name="key" type="password" required autofocus autocomplete="current-password"
                        spellcheck="false" aria-describedby="h-key";
                    p.hint id="h-key" { "It begins with " code { "sp_" } ". Make one with " code { "sealpost api-key create NAME --scope operator" } "." }
                }
                button.primary type="submit" { "Sign in" }
            }
        }
    }
}

fn customer_form(problem: Option<&str>) -> Markup {
    html! {
        section.card.sign-in {
            h1 { "Your webhooks" }
            (told(problem))
            form method="post" action="/customer/session" data-enter {
                div.field {
                    label for="f-token" { "Access token" }
                    input #f-token name="token" type="password" required autocomplete="off" spellcheck="false"
                        aria-describedby="h-token";
                    p.hint id="h-token" { "It comes with the link to this page, and begins with " code { "spt_" } "." }
                }
                button.primary type="submit" { "Open" }
            }
        }
    }
}

fn told(problem: Option<&str>) -> Markup {
    html! {
        @if let Some(problem) = problem { div.problem role="alert" { p { (parts::sentence(problem)) } } }
    }
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn after_signing_in_nobody_is_led_elsewhere() {
        for own in ["/console", "/console/keys", "/console/customers/a?x=1&y=%2F"] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "",
            "/",
            "//evil.example",
            "/consolex",
            "/console\\evil",
            "/console/a b",
            "https://evil.example/console",
            "/console/logout",
            "/console/login",
            "\\/console",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
