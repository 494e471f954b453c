//! Which extra headers and parameters a token request may have: none that stands in the way of what it
//! sets itself. A parameter is sent once (RFC 6749 section 3.2).

use super::client::ClientAuthentication;
use super::request::{Parameter, Settings};
use crate::domain::endpoint::{Method, duplicate_header};
use crate::domain::field::FieldError;
use crate::domain::header;

/// Checks the extra headers and parameters.
///
/// # Errors
/// With the path of the first that cannot be sent as it is meant.
pub fn check(settings: &Settings) -> Result<(), FieldError> {
    for (name, value) in &settings.headers {
        let path = format!("headers.{name}");
        let alone = settings.client_authentication == ClientAuthentication::None;
        check_header(name, value, alone).map_err(|problem| FieldError::new(path, problem))?;
    }
    if let Some(twice) = duplicate_header(settings.headers.keys()) {
        let path = format!("headers.{twice}");
        return Err(FieldError::new(path, "named twice in different case"));
    }
    let (place, parameters) = match settings.method {
        Method::Get => ("query", &settings.query),
        Method::Post
        | Method::Put
        | Method::Patch
        | Method::Delete
        | Method::Head
        | Method::Options => ("body", &settings.body),
    };
    let own = own_parameters(settings);
    if let Some(name) = parameters.keys().find(|name| own.contains(&name.as_str())) {
        let problem = "the token request sets this parameter itself";
        return Err(FieldError::new(format!("{place}.{name}"), problem));
    }
    let encodes =
        settings.client_authentication != ClientAuthentication::ClientSecretBasicUnencoded;
    if !encodes && settings.client_id.contains(':') {
        let problem = "holds a ':', which ends the user name of Basic authentication: expected \
                       client_authentication client_secret_basic";
        return Err(FieldError::new("client_id", problem));
    }
    Ok(())
}

/// The parameters that the request itself sets.
fn own_parameters(settings: &Settings) -> Vec<&'static str> {
    let mut own = vec!["grant_type"];
    own.extend(match settings.client_authentication {
        ClientAuthentication::ClientSecretBasic
        | ClientAuthentication::ClientSecretBasicUnencoded => &[][..],
        ClientAuthentication::ClientSecretPost => &["client_id", "client_secret"],
        ClientAuthentication::PrivateKeyJwt => {
            &["client_id", "client_assertion", "client_assertion_type"]
        }
        ClientAuthentication::None => &["client_id"],
    });
    own.extend(settings.scope.is_some().then_some("scope"));
    own.extend((!settings.audience.as_slice().is_empty()).then_some("audience"));
    own.extend((!settings.resource.as_slice().is_empty()).then_some("resource"));
    own
}

fn check_header(name: &str, value: &Parameter, alone: bool) -> Result<(), String> {
    let lower = header::check_name(name).map_err(|e| e.to_string())?;
    if matches!(lower.as_str(), "content-type" | "accept" | "user-agent") {
        return Err("the token request sets this header itself".to_owned());
    }
    if lower == "authorization" && !alone {
        return Err("client_authentication sets this header: expected none beside it".to_owned());
    }
    header::check_not_reserved(&lower).map_err(|e| e.to_string())?;
    match value {
        Parameter::Plain(_) if lower == "authorization" => {
            Err("a credential: expected {\"secret\": ID}".to_owned())
        }
        Parameter::Plain(text) => header::check_value(text).map(drop).map_err(|e| e.to_string()),
        Parameter::Secret { .. } => Ok(()),
    }
}
