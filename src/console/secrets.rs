//! A customer's secrets: values go in and never come out. What is shown was put beside the sealed value.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::{Asked, Fields, Form, body};
use super::layout::{self, Area};
use super::parts::{self, Field, Tone};
use super::visit::Visit;
use super::{Pages, edge};
use crate::api::input::{Named, Query};
use crate::api::page::PageQuery;
use crate::api::problem::{Answer, Code, Problem};
use crate::api::secrets::{self as api, OwnSecret, ShownSecret, ShownVersion};
use crate::domain::access::Action;
use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;

const SHOWN: [&str; 4] = ["secretId", "value", "origins", "overlap"];

/// `GET …/secrets`
pub async fn list(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    let query = PageQuery { cursor: asked.read_as::<PageQuery>(&["cursor"])?.cursor, limit: None };
    let (caller, customer) = (visit.session.caller.clone(), visit.customer.clone());
    let page =
        api::list(State(console.api.clone()), caller, Named(customer), Query(query)).await?.0;
    let (secrets, next) = (page.data, page.next_cursor);
    let add = html! {
        @if visit.may(Action::Change, None) {
            a.button.primary href=(visit.link("/secrets/new")) { "Add secret" }
        }
    };
    let hint =
        "Keys and passwords that calls are authenticated with. They are sealed, and never shown.";
    let body = html! {
        (parts::note(asked.get("done")))
        (parts::heading("Secrets", Some(hint), if secrets.is_empty() { html! {} } else { add.clone() }))
        section.card {
            @if secrets.is_empty() {
                (parts::empty("No secret yet", "A secret is named by the auth steps of endpoints.", add))
            } @else {
                (table(&visit, &secrets))
                (parts::more(&visit.link("/secrets"), &Fields::default(), &[], next.as_deref()))
            }
        }
    };
    Ok(layout::customer_page(&visit, Area::Secrets, "Secrets", None, &body))
}

fn table(visit: &Visit, secrets: &[ShownSecret]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Secrets" { table {
            thead { tr { th { "Secret" } th.number { "Version" } th { "May go to" } th { "Put" } th { "In use beside it" } } }
            tbody { @for secret in secrets { tr {
                td { a href=(visit.link(&format!("/secrets/{}", secret.secret_id))) { (secret.secret_id) } }
                td.number { (secret.current.version) }
                td.long { (origins(&secret.current)) }
                td { (parts::time(visit.session.now, secret.current.created_at)) }
                td { @match (secret.previous_version, secret.previous_until) {
                    (Some(version), Some(until)) if until > visit.session.now =>
                        span { "version " (version) ", ends " (parts::time(visit.session.now, until)) },
                    (_, _) => span.muted { "–" },
                } }
            } } }
        } }
    }
}

fn origins(version: &ShownVersion) -> String {
    let origins: Vec<&str> = version.origins.iter().map(|origin| origin.as_str()).collect();
    origins.join(", ")
}

/// `GET …/secrets/new`
pub async fn new(visit: Visit) -> Answer<Response> {
    visit.session.caller.check(Action::Change, Some(&visit.customer), None)?;
    Ok(new_page(&visit, &Fields::default(), None))
}

fn new_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let field = |name, label, hint| Field { name, label, hint, required: true };
    let form = html! {
        (parts::heading("Add secret", None, html! {}))
        (parts::problem(problem, &SHOWN))
        form.card.wide method="post" action=(visit.link("/secrets/new")) {
            (parts::token(&visit.session))
            (field("secretId", "Name", "Letters, digits, - _ . : @; auth steps name it.").line("text", fields, problem))
            (field("value", "Value", "It is sealed, and never shown.").line("password", fields, problem))
            (field("origins", "May go to", "Scheme, host and port of each place, as https://api.example.com, one a line.").lines(3, fields, problem))
            div.buttons { button.primary type="submit" { "Store" } a href=(visit.link("/secrets")) { "Cancel" } }
        }
    };
    layout::customer_page(visit, Area::Secrets, "Add secret", problem, &form)
}

/// `POST …/secrets/new`
pub async fn create(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    let caller = visit.session.caller.clone();
    caller.check(Action::Change, Some(&visit.customer), None)?;
    let stored = async {
        let id = fields.get("secretId").parse::<SecretId>();
        let id = id.map_err(|e| FieldError::new("secretId", e.to_string()))?;
        let id = OwnSecret::try_from(id).map_err(Problem::from)?;
        let name = Named((visit.customer.clone(), id));
        let origins: Vec<&str> = fields.get("origins").split_whitespace().collect();
        let put = body(&json!({"value": fields.get("value"), "origins": origins}));
        let only_new = [(IF_NONE_MATCH, "*".parse().map_err(|_| internal())?)];
        let headers: HeaderMap = only_new.into_iter().collect();
        api::put(State(console.api.clone()), caller, name, headers, put).await
    };
    match stored.await {
        Ok(_) => Ok(edge::see(&visit.link("/secrets?done=stored"))),
        Err(problem) if problem.what() == Code::PreconditionFailed => {
            let taken = FieldError::new(
                "secretId",
                "there is a secret of this name already: rotate it to give it another value",
            );
            Ok(new_page(&visit, &fields, Some(&taken.into())))
        }
        Err(problem) if is_of_form(&problem) => Ok(new_page(&visit, &fields, Some(&problem))),
        Err(problem) => Err(problem),
    }
}

fn internal() -> Problem {
    Problem::new(Code::Internal, Code::Internal.title())
}

fn is_of_form(problem: &Problem) -> bool {
    matches!(problem.what(), Code::ValidationFailed | Code::InvalidRequest | Code::Conflict)
}

/// `GET …/secrets/{id}`
pub async fn show(
    State(console): State<Pages>,
    visit: Visit,
    Asked(asked): Asked,
) -> Answer<Response> {
    visit.session.caller.check(Action::Read, Some(&visit.customer), None)?;
    let OwnSecret(id) = own(&visit)?;
    let secret = api::facts(&console.api, visit.customer.clone(), id).await?;
    Ok(page(&visit, &secret, asked.get("done"), &Fields::default(), None))
}

/// The secret that the path names: what the program keeps among them is not there for anybody else.
fn own(visit: &Visit) -> Answer<OwnSecret> {
    OwnSecret::try_from(visit.named::<SecretId>()?).map_err(|_| Problem::not_found("such secret"))
}

fn page(
    visit: &Visit,
    secret: &ShownSecret,
    done: &str,
    fields: &Fields,
    problem: Option<&Problem>,
) -> Response {
    let id = secret.secret_id.as_str();
    let path = visit.link(&format!("/secrets/{id}"));
    let may_change = visit.may(Action::Change, None);
    let body = html! {
        (parts::note(done))
        (parts::heading(id, None, html! {}))
        (parts::problem(problem, &SHOWN))
        (facts(visit, &secret.current))
        @if may_change { (rotation(visit, &path, fields, problem)) }
        (versions(visit, secret, &path, may_change))
        @if may_change {
            (parts::danger(&visit.session, &format!("{path}/delete"), "Remove secret",
                "All its versions go. Deliveries of endpoints that name it are given up from then on."))
        }
    };
    layout::customer_page(visit, Area::Secrets, id, problem, &body)
}

/// Everything that may be told of a value, as the API tells it.
fn facts(visit: &Visit, version: &ShownVersion) -> Markup {
    let facts = json!(version.facts);
    let named = facts.as_object().into_iter().flatten().filter(|(_, fact)| !fact.is_null());
    html! {
        section.card { dl.facts {
            dt { "Version" } dd { (version.version) ", " (parts::time(visit.session.now, version.created_at)) }
            dt { "May go to" } dd.long { (origins(version)) }
            dt { "Sealed as" } dd { (version.sealing.replace('_', " ")) }
            @for (name, fact) in named {
                dt { (in_words(name)) }
                dd.long { @match fact { Value::String(text) => code { (text) }, other => code { (other) } } }
            }
        } }
    }
}

/// `certificateSubject` as `Certificate subject`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for (index, letter) in name.chars().enumerate() {
        match (index, letter.is_uppercase()) {
            (0, _) => words.extend(letter.to_uppercase()),
            (_, true) => {
                words.push(' ');
                words.extend(letter.to_lowercase());
            }
            (_, false) => words.push(letter),
        }
    }
    words
}

fn rotation(visit: &Visit, path: &str, fields: &Fields, problem: Option<&Problem>) -> Markup {
    let value = Field {
        name: "value",
        label: "New value",
        hint: "It is sealed, and never shown.",
        required: true,
    };
    let overlap = Field {
        name: "overlap",
        label: "Overlap",
        hint: "How long the value before stays in use: as 24h, the usual; 0s for not at all.",
        required: false,
    };
    html! {
        section.card {
            h2 { "Rotate" }
            form method="post" action=(format!("{path}/rotate")) {
                (parts::token(&visit.session))
                div.columns {
                    (value.line("password", fields, problem))
                    (overlap.line("text", fields, problem))
                }
                button.primary type="submit" { "Rotate" }
            }
        }
    }
}

fn versions(visit: &Visit, secret: &ShownSecret, path: &str, may_change: bool) -> Markup {
    html! {
        section.card {
            h2 { "Versions" }
            div.scroll tabindex="0" role="region" aria-label="Versions" { table {
                thead { tr { th { "Version" } th { "State" } th { "Put" } th { "May go to" } th { span.hidden { "Action" } } } }
                tbody { @for version in &secret.versions {
                    @let standing = version.standing.unwrap_or("");
                    @let tone = if standing == "current" { Tone::Good } else { Tone::Plain };
                    tr {
                        td { (version.version) }
                        td { (parts::badge(tone, standing)) }
                        td { (parts::time(visit.session.now, version.created_at)) }
                        td.long { (origins(version)) }
                        td { @if may_change && standing != "current" {
                            form.inline method="post" action=(format!("{path}/rollback")) {
                                (parts::token(&visit.session))
                                input type="hidden" name="to" value=(version.version);
                                button type="submit" aria-label=(format!("Use version {} again", version.version)) { "Use again" }
                            }
                        } }
                    }
                } }
            } }
        }
    }
}

/// `POST …/secrets/{id}/rotate`
pub async fn rotate(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    let (caller, id) = (visit.session.caller.clone(), own(&visit)?);
    let mut given = json!({"value": fields.get("value")});
    if !fields.get("overlap").is_empty() {
        given["overlap"] = json!(fields.get("overlap"));
    }
    let name = Named((visit.customer.clone(), id.clone()));
    let rotated =
        api::rotate(State(console.api.clone()), caller, name, HeaderMap::new(), body(&given)).await;
    match rotated {
        Ok(_) => Ok(edge::see(&visit.link(&format!("/secrets/{}?done=rotated", id.0)))),
        Err(problem) if is_of_form(&problem) => {
            let secret = api::facts(&console.api, visit.customer.clone(), id.0).await?;
            Ok(page(&visit, &secret, "", &fields, Some(&problem)))
        }
        Err(problem) => Err(problem),
    }
}

/// `POST …/secrets/{id}/rollback`
pub async fn roll_back(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    let (caller, id) = (visit.session.caller.clone(), own(&visit)?);
    let to = body(&json!({"to": fields.get("to").parse::<u64>().unwrap_or(0)}));
    let name = Named((visit.customer.clone(), id.clone()));
    api::roll_back(State(console.api.clone()), caller, name, HeaderMap::new(), to).await?;
    Ok(edge::see(&visit.link(&format!("/secrets/{}?done=rolled-back", id.0))))
}

/// `POST …/secrets/{id}/delete`
pub async fn delete(State(console): State<Pages>, visit: Visit, _: Form) -> Answer<Response> {
    let (caller, id) = (visit.session.caller.clone(), own(&visit)?);
    let name = Named((visit.customer.clone(), id));
    api::delete(State(console.api.clone()), caller, name, HeaderMap::new()).await?;
    Ok(edge::see(&visit.link("/secrets?done=removed")))
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn the_names_of_facts_are_said_in_words() {
        assert_eq!(in_words("certificateSubject"), "Certificate subject");
        assert_eq!(in_words("notAfter"), "Not after");
    }
}
