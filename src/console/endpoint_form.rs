//! Registering an endpoint with its credential, and editing one.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::endpoint_fields::{self, AS_JSON, SIMPLE, secret_id};
use super::form::{Fields, Form, body};
use super::layout::{self, Area};
use super::parts::{self, Field};
use super::visit::Visit;
use super::{Console, Pages, edge};
use crate::api::endpoints::{self as api, ShownEndpoint};
use crate::api::input::{Expected, Named};
use crate::api::problem::{Answer, Code, Problem};
use crate::api::secrets::{self, OwnSecret};
use crate::auth::REGISTRY;
use crate::domain::access::Action;
use crate::domain::field::FieldError;
use crate::domain::ids::{EndpointId, SecretId};
use crate::keygen::{self, Wanted};

/// The fields that show what is wrong with them.
const SHOWN: [&str; 14] = [
    "endpointId",
    "url",
    "method",
    "eventTypes",
    "auth",
    "steps",
    "secretId",
    "value",
    "timeout",
    "retry.preset",
    "limits.rate",
    "limits.concurrency",
    "more",
    "authSetting",
];

/// `GET …/endpoints/new`
pub async fn new(visit: Visit) -> Answer<Response> {
    visit.session.caller.check_reach(Action::Change, Some(&visit.customer))?;
    let mut fields = Fields::default();
    fields.set("auth", "standard_webhooks");
    fields.set("generate", "yes");
    Ok(new_page(&visit, &fields, None))
}

fn new_page(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Response {
    let title = "Add endpoint";
    let form = html! {
        (parts::heading(title, None, html! {}))
        (parts::problem(problem, &SHOWN))
        form.card.wide method="post" action=(visit.link("/endpoints/new")) {
            (parts::token(&visit.session))
            (Field { name: "endpointId", label: "Name", hint: "Letters, digits, - _ . : @, for instance orders. Jobs name it. It gets one of its own if this stays empty.", required: false }.line("text", fields, problem))
            (common(fields, problem))
            (credential(visit, fields, problem))
            (further(fields, problem))
            div.buttons { button.primary type="submit" { "Add endpoint" } a href=(visit.link("")) { "Cancel" } }
        }
    };
    layout::customer_page(visit, Area::Endpoints, title, problem, &form)
}

/// `POST …/endpoints/new`: the endpoint first, so that the value is checked with it; if the value is
/// refused, the endpoint does not stay without it.
pub async fn create(
    State(console): State<Pages>,
    visit: Visit,
    Form(fields): Form,
) -> Answer<Response> {
    visit.session.caller.check_reach(Action::Change, Some(&visit.customer))?;
    match try_create(&console, &visit, &fields).await {
        Ok((endpoint, None)) => {
            let page = format!("/endpoints/{}?done=registered", endpoint.endpoint.endpoint_id);
            Ok(edge::see(&visit.link(&page)))
        }
        Ok((endpoint, Some(made))) => Ok(made_page(&visit, &endpoint, &made)),
        Err(problem) if can_be_corrected(&problem) => Ok(new_page(&visit, &fields, Some(&problem))),
        Err(problem) => Err(problem),
    }
}

fn can_be_corrected(problem: &Problem) -> bool {
    matches!(
        problem.what(),
        Code::ValidationFailed | Code::InvalidRequest | Code::Conflict | Code::PreconditionFailed
    )
}

/// Registers both; a key that was made for it, to be shown once.
async fn try_create(
    console: &Console,
    visit: &Visit,
    fields: &Fields,
) -> Answer<(ShownEndpoint, Option<String>)> {
    let (api, caller, customer) = (&console.api, &visit.session.caller, &visit.customer);
    let described = body(&Value::Object(endpoint_fields::to_json(fields)?));
    let value = credential_value(fields)?;
    let registered = api::register(api, caller, customer, &described).await?;
    let Some((value, is_made)) = value else { return Ok((registered, None)) };
    let origin = registered.endpoint.url.origin().as_str();
    let put = json!({"value": value, "origins": [origin]});
    let name = Named((customer.clone(), OwnSecret(secret_name(fields)?)));
    let headers = [(axum::http::header::IF_NONE_MATCH, axum::http::HeaderValue::from_static("*"))];
    let stored = secrets::put(
        State(api.clone()),
        caller.clone(),
        name,
        headers.into_iter().collect(),
        body(&put),
    );
    match stored.await {
        Ok(_) => Ok((registered, is_made.then_some(value))),
        Err(problem) => {
            let id = registered.endpoint.endpoint_id;
            let name = Named((customer.clone(), id));
            api::delete(State(api.clone()), caller.clone(), name, Default::default()).await?;
            if problem.what() == Code::PreconditionFailed {
                let text = "there is a secret of this name already: leave the value empty to use that one, or choose another name";
                return Err(FieldError::new("secretId", text).into());
            }
            Err(problem)
        }
    }
}

/// The value of the credential, and whether it was made here; `None` if it is stored already, or later.
fn credential_value(fields: &Fields) -> Answer<Option<(String, bool)>> {
    let (auth, value) = (fields.get("auth"), fields.get("value"));
    let has_secret = SIMPLE.iter().any(|simple| simple.scheme == auth);
    if !has_secret {
        return Ok(None);
    }
    if !value.is_empty() {
        return Ok(Some((value.to_owned(), false)));
    }
    if fields.get("generate").is_empty() || auth != "standard_webhooks" {
        return Ok(None);
    }
    let wanted = Wanted { scheme: auth, kind: None, preset: None, bytes: None };
    let made = keygen::generate(wanted).map_err(|e| FieldError::new("value", e))?;
    Ok(made.value.expose_str().map(|text| (text.trim_end().to_owned(), true)))
}

fn secret_name(fields: &Fields) -> Answer<SecretId> {
    let id = secret_id(fields).parse::<SecretId>();
    let id = id.map_err(|e| FieldError::new("secretId", e.to_string()))?;
    if id.is_reserved() {
        return Err(FieldError::new("secretId", "this name is the program's own").into());
    }
    Ok(id)
}

/// Shows a key that was made: once, and not again.
fn made_page(visit: &Visit, endpoint: &ShownEndpoint, made: &str) -> Response {
    let id = &endpoint.endpoint.endpoint_id;
    let body = html! {
        (parts::heading("The endpoint is registered", None, html! {}))
        section.card.narrow {
            p { "This is its signing secret. The receiver checks signatures with it." }
            (parts::copyable("made", made))
            p.warning { strong { "It is shown this once." } " Keep it where secrets are kept." }
            p { a.button.primary href=(visit.link(&format!("/endpoints/{id}"))) { "Continue" } }
        }
    };
    layout::customer_page(visit, Area::Endpoints, "Registered", None, &body)
}

/// `GET …/endpoints/{id}/edit`
pub async fn edit(State(console): State<Pages>, visit: Visit) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    visit.session.caller.check(Action::Change, Some(&visit.customer), Some(&id))?;
    let stored = api::stored(&console.api, &visit.customer, &id).await?;
    let Value::Object(members) = json!(stored.endpoint) else {
        return Err(Problem::new(Code::Internal, Code::Internal.title()));
    };
    let mut fields = endpoint_fields::of_json(members);
    fields.set("version", stored.version.to_string());
    Ok(edit_page(&visit, &id, &fields, None))
}

fn edit_page(
    visit: &Visit,
    id: &EndpointId,
    fields: &Fields,
    problem: Option<&Problem>,
) -> Response {
    let title = format!("Edit {id}");
    let back = visit.link(&format!("/endpoints/{id}"));
    let form = html! {
        (parts::heading(&title, None, html! {}))
        (parts::problem(problem, &SHOWN))
        form.card.wide method="post" action=(format!("{back}/edit")) {
            (parts::token(&visit.session))
            input type="hidden" name="version" value=(fields.get("version"));
            (common(fields, problem))
            (authentication(fields, problem))
            (steps(fields, problem))
            (further(fields, problem))
            div.buttons { button.primary type="submit" { "Save" } a href=(back) { "Cancel" } }
        }
    };
    layout::customer_page(visit, Area::Endpoints, &title, problem, &form)
}

/// `POST …/endpoints/{id}/edit`
pub async fn save(
    State(console): State<Pages>,
    visit: Visit,
    Form(mut fields): Form,
) -> Answer<Response> {
    let id: EndpointId = visit.named()?;
    let caller = &visit.session.caller;
    caller.check(Action::Change, Some(&visit.customer), Some(&id))?;
    fields.set("endpointId", "");
    let saved = async {
        let described = body(&Value::Object(endpoint_fields::to_json(&fields)?));
        let version = fields.get("version").parse().unwrap_or(0);
        let name = (&visit.customer, &id);
        api::replace(&console.api, caller, name, Expected::Version(version), &described).await
    };
    match saved.await {
        Ok(_) => Ok(edge::see(&visit.link(&format!("/endpoints/{id}?done=saved")))),
        Err(problem) if can_be_corrected(&problem) => {
            Ok(edit_page(&visit, &id, &fields, Some(&problem)))
        }
        Err(problem) => Err(problem),
    }
}

fn common(fields: &Fields, problem: Option<&Problem>) -> Markup {
    let url = Field {
        name: "url",
        label: "URL",
        hint: "Where events are sent. A * stands for a path parameter of the job.",
        required: true,
    };
    let types = Field {
        name: "eventTypes",
        label: "Event types",
        hint: "Separated by commas; the end may be a *, as in order.*. Empty for all.",
        required: false,
    };
    html! {
        (url.line("url", fields, problem))
        (types.line("text", fields, problem))
    }
}

/// The ways to authenticate.
fn authentication(fields: &Fields, problem: Option<&Problem>) -> Markup {
    let mut ways = vec![(String::new(), "None".to_owned())];
    ways.extend(SIMPLE.iter().map(|s| (s.scheme.to_owned(), s.label.to_owned())));
    ways.push((AS_JSON.to_owned(), "Other steps, as JSON".to_owned()));
    let field = |name, label, hint| Field { name, label, hint, required: false };
    let how = Field {
        name: "auth",
        label: "Authentication",
        hint: "How the receiver knows that a call is from you.",
        required: true,
    };
    html! {
        (how.choice(&ways, fields, problem))
        div.columns {
            (field("authSetting", "User name, or name of the header", "For the ways that have one: the user name, or a header as x-api-key.").line("text", fields, problem))
            (field("secretId", "Name of the secret", "Letters, digits, - _ . : @; signing if this stays empty.").line("text", fields, problem))
        }
    }
}

/// For all other ways, and several together.
fn steps(fields: &Fields, problem: Option<&Problem>) -> Markup {
    let field = |name, label, hint| Field { name, label, hint, required: false };
    html! {
        details open[fields.get("auth") == AS_JSON] {
            summary { "Steps as JSON" }
            (field("steps", "Auth steps", "A list, applied in order; used where the choice above says so.").lines(6, fields, problem))
            details { summary { "Examples" }
                dl.examples { @for scheme in REGISTRY {
                    dt { (scheme.summary()) } dd { code { (scheme.example()) } }
                } }
            }
        }
    }
}

/// The same, with the value: it is sealed, and never shown.
fn credential(visit: &Visit, fields: &Fields, problem: Option<&Problem>) -> Markup {
    let value = Field {
        name: "value",
        label: "Value of the secret",
        hint: "It is sealed, and never shown. Leave it empty if it is stored already.",
        required: false,
    };
    html! {
        fieldset {
            legend { "Credential" }
            (authentication(fields, problem))
            // Secrets are shared by endpoints: a key that is limited to some does not touch them.
            @if visit.may(Action::Change, None) {
                (value.line("password", fields, problem))
                label.check {
                    input type="checkbox" name="generate" value="yes" checked[!fields.get("generate").is_empty()];
                    " Without a value, make a new signing secret and show it once (Standard Webhooks)"
                }
            }
            (steps(fields, problem))
        }
    }
}

fn further(fields: &Fields, problem: Option<&Problem>) -> Markup {
    let field = |name, label, hint| Field { name, label, hint, required: false };
    let pick = |name, label, hint| Field { name, label, hint, required: true };
    let plain = |values: &[&str]| {
        values.iter().map(|v| ((*v).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
    };
    let methods = plain(&["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS"]);
    let presets = parts::choices(
        "of the profile",
        ["sealpost", "standard_webhooks", "svix", "stripe", "eventbridge"],
    );
    let names = ["method", "timeout", "retry.preset", "limits.rate", "limits.concurrency", "more"];
    let is_used = names.iter().any(|name| {
        !fields.get(name).is_empty() && (*name, fields.get(name)) != ("method", "POST")
    });
    html! {
        details open[is_used] {
            summary { "Further settings" }
            div.columns {
                (pick("method", "Method", "").choice(&methods, fields, problem))
                (field("timeout", "Timeout", "The whole call, as 15s; at most 15m.").line("text", fields, problem))
                (pick("retry.preset", "Retries", "Whose policy.").choice(&presets, fields, problem))
                (field("limits.rate", "Most calls in a time", "As 100/s, or by m, h, d.").line("text", fields, problem))
                (field("limits.concurrency", "Most calls at once", "1 to 10,000.").line("number", fields, problem))
            }
            (field("more", "All other settings", "A JSON object with the fields of the reference: headers, query, body, tls, …").lines(8, fields, problem))
        }
    }
}
