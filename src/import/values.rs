//! The values that Amazon EventBridge keeps of a connection in Secrets Manager. AWS documents that the
//! secret is there, not its members; they are the API's names in lower case with underscores, and
//! are looked for at any depth.

use serde_json::Value;

use crate::domain::secret::SecretBytes;

/// Which value of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The password of `BASIC`.
    Password,
    /// The key of `API_KEY`.
    ApiKey,
    /// The client secret of `OAUTH_CLIENT_CREDENTIALS`.
    ClientSecret,
    /// A parameter of calls, or of token requests.
    Parameter {
        /// Whether it is one of token requests.
        of_token_request: bool,
        /// Where it goes.
        place: Place,
        /// Its name.
        key: String,
    },
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Place {
    Header,
    Query,
    Body,
}

impl Place {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Body => "body",
        }
    }

    fn list(self) -> &'static str {
        match self {
            Self::Header => "header_parameters",
            Self::Query => "query_string_parameters",
            Self::Body => "body_parameters",
        }
    }
}

impl Part {
    /// The end of the secret's id.
    pub fn suffix(&self) -> String {
        match self {
            Self::Password => "password".to_owned(),
            Self::ApiKey => "api-key".to_owned(),
            Self::ClientSecret => "client-secret".to_owned(),
            Self::Parameter { of_token_request, place, key } => {
                let of = if *of_token_request { "token-" } else { "" };
                let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
                let key: String = key.chars().map(allowed).collect();
                format!("{of}{}.{key}", place.word())
            }
        }
    }

    /// Its value in the secret's text.
    pub fn value(&self, secret: &SecretBytes) -> Option<SecretBytes> {
        let root: Value = serde_json::from_slice(secret.expose()).ok()?;
        let found = match self {
            Self::Password => member(&root, &["password"]),
            Self::ApiKey => member(&root, &["api_key_value"]),
            Self::ClientSecret => member(&root, &["client_secret"]),
            Self::Parameter { of_token_request, place, key } => {
                let lists = if *of_token_request {
                    member(&root, &["oauth_http_parameters", "o_auth_http_parameters"])
                } else {
                    member(&root, &["invocation_http_parameters"])
                };
                let list = lists?.get(place.list())?.as_array()?;
                list.iter()
                    .find(|entry| entry.get("key").and_then(Value::as_str) == Some(key))
                    .and_then(|entry| entry.get("value"))
            }
        };
        found?.as_str().map(|text| SecretBytes::new(text.as_bytes().to_vec()))
    }
}

/// The first member of one of these names, the outermost first.
fn member<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    let members = value.as_object()?;
    names
        .iter()
        .find_map(|name| members.get(*name))
        .or_else(|| members.values().find_map(|inner| member(inner, names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, part: &Part) -> Option<String> {
        let value = part.value(&SecretBytes::new(text.as_bytes().to_vec()))?;
        Some(String::from_utf8_lossy(value.expose()).into_owned())
    }

    fn parameter(of_token_request: bool, place: Place, key: &str) -> Part {
        Part::Parameter { of_token_request, place, key: key.to_owned() }
    }

    #[test]
    fn values_are_found_where_eventbridge_keeps_them() {
        let api_key = r#"{"api_key_name":"x-key","api_key_value":"k","invocation_http_parameters":
            {"header_parameters":[{"key":"x-a","value":"1","is_value_secret":true}],
             "body_parameters":[{"key":"x-a","value":"2"}]}}"#;
        assert_eq!(find(api_key, &Part::ApiKey).as_deref(), Some("k"));
        assert_eq!(find(api_key, &parameter(false, Place::Header, "x-a")).as_deref(), Some("1"));
        assert_eq!(find(api_key, &parameter(false, Place::Body, "x-a")).as_deref(), Some("2"));
        assert_eq!(find(api_key, &parameter(false, Place::Query, "x-a")), None);
        assert_eq!(find(api_key, &parameter(true, Place::Header, "x-a")), None);
        assert_eq!(find(api_key, &Part::Password), None);
        let flat = r#"{"client_id":"i","client_secret":"s","oauth_http_parameters":
            {"query_string_parameters":[{"key":"q","value":"v"}]}}"#;
        let nested = r#"{"client_parameters":{"client_id":"i","client_secret":"s"},
            "o_auth_http_parameters":{"query_string_parameters":[{"key":"q","value":"v"}]}}"#;
        for oauth in [flat, nested] {
            assert_eq!(find(oauth, &Part::ClientSecret).as_deref(), Some("s"));
            assert_eq!(find(oauth, &parameter(true, Place::Query, "q")).as_deref(), Some("v"));
        }
        assert_eq!(
            find(r#"{"username":"u","password":"p"}"#, &Part::Password).as_deref(),
            Some("p")
        );
        assert_eq!(find("no JSON", &Part::Password), None);
    }
}
