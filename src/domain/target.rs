//! The URL of an endpoint: a template whose path may hold `*` wildcards, filled from the job's
//! path parameters, and the query that endpoint and job add to it.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::field::FieldError;
use crate::domain::origin::Origin;

/// Longest URL that is sent, in bytes, query included.
pub const MAX_URL: usize = 8 * 1024;

/// An endpoint's URL, each `*` in its path standing for one path parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlTemplate {
    text: String,
    origin: Origin,
}

impl UrlTemplate {
    /// The scheme, host and port that every URL made of this template has.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The template as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The template with every wildcard filled by a harmless letter: what the egress guard vets.
    pub fn example(&self) -> String {
        self.text.replace('*', "x")
    }

    /// How many path parameters a job has to bring.
    pub fn wildcards(&self) -> usize {
        self.text.matches('*').count()
    }

    /// The URL for one call.
    ///
    /// # Errors
    /// If the number of parameters is not the number of wildcards, if a parameter would change the
    /// path's structure (empty, `.`, `..`), or if the URL becomes longer than [`MAX_URL`].
    pub fn fill(&self, parameters: &[String]) -> Result<Url, FieldError> {
        let wanted = self.wildcards();
        if parameters.len() != wanted {
            let problem = format!(
                "the endpoint's URL has {wanted} wildcard(s), the job brings {} path parameter(s)",
                parameters.len()
            );
            return Err(FieldError::new("pathParameters", problem));
        }
        let mut pieces = self.text.split('*');
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for (index, (parameter, piece)) in parameters.iter().zip(pieces).enumerate() {
            if matches!(parameter.as_str(), "" | "." | "..") {
                let problem = "empty, '.' and '..' would change the path: expected a path segment";
                return Err(FieldError::new(format!("pathParameters[{index}]"), problem));
            }
            push_encoded(&mut filled, parameter);
            filled.push_str(piece);
        }
        let url = Url::parse(&filled).map_err(|e| {
            FieldError::new("pathParameters", format!("the URL does not parse: {e}"))
        })?;
        if url.as_str().len() > MAX_URL {
            return Err(FieldError::new(
                "pathParameters",
                format!("the URL is over {MAX_URL} bytes"),
            ));
        }
        Ok(url)
    }
}

/// Appends `text` with all but unreserved characters percent-encoded (RFC 3986 section 2.3).
fn push_encoded(to: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

impl TryFrom<String> for UrlTemplate {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        // Filled in two ways: what differs is what wildcards can change. The text alone does not say
        // where its path begins: parsers take `https:///a.example/` for `https://a.example/`.
        let filled = |with: &str| {
            Url::parse(&text.replace('*', with))
                .map_err(|e| FieldError::new("", format!("not an absolute URL ({e})")))
        };
        let (url, other) = (filled("x")?, filled("yy")?);
        let origin = Origin::of(&url).ok_or_else(|| {
            FieldError::new("", "expected a URL with the scheme https and a host")
        })?;
        let but_the_path = |mut url: Url| {
            url.set_path("");
            url
        };
        let in_path = url.path() != other.path() || !text.contains('*');
        if !in_path || but_the_path(url) != but_the_path(other) {
            return Err(FieldError::new("", "a wildcard '*' may stand only in the path"));
        }
        if text.len() > MAX_URL {
            return Err(FieldError::new("", format!("longer than {MAX_URL} bytes")));
        }
        Ok(Self { text, origin })
    }
}

impl From<UrlTemplate> for String {
    fn from(template: UrlTemplate) -> Self {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<UrlTemplate, FieldError> {
        UrlTemplate::try_from(text.to_owned())
    }

    #[test]
    fn parameters_fill_the_wildcards_in_order_and_cannot_leave_their_segment() {
        let t = template("https://a.example/*/orders/*?x=1").unwrap();
        let url = t.fill(&["eu".into(), "a/../b c".into()]).unwrap();
        assert_eq!(url.as_str(), "https://a.example/eu/orders/a%2F..%2Fb%20c?x=1");
        for bad in ["..", ".", ""] {
            assert!(t.fill(&["eu".into(), bad.into()]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn too_few_and_too_many_parameters_are_refused() {
        let t = template("https://a.example/*").unwrap();
        assert!(t.fill(&[]).is_err());
        assert!(t.fill(&["a".into(), "b".into()]).is_err());
    }

    #[test]
    fn a_wildcard_outside_the_path_is_refused() {
        for text in [
            "https://*.example/x",
            "https:///api.bo*.com/hook",
            "https:\\\\a*.example/x",
            "https:/a*.example/x",
            "https:*.example/x",
            "https://u*@a.example/x",
            "https://a.example:8*/x",
            "https://a.example/*?*",
            "https://a.example/x?*",
            "https://a.example/#*",
            "*",
            "/x",
        ] {
            assert!(template(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dots_spelled_in_percent_stay_data() {
        let t = template("https://a.example/a/*/b").unwrap();
        assert_eq!(t.fill(&["%2e%2e".into()]).unwrap().path(), "/a/%252e%252e/b");
    }
}
