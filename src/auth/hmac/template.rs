//! Templates: text with variables in braces, `{ts}.{body}`. `{{` and `}}` stand for braces.

use std::fmt;

use super::json::Pointer;
use crate::domain::header;

/// Something of a request that a template names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// The job's id.
    Id,
    /// When the call is made, in the format's unit.
    Ts,
    /// A random text, another for every call.
    Nonce,
    /// The body, byte for byte.
    Body,
    /// SHA-256 of the body, in hexadecimal.
    BodySha256,
    /// The same of a body that is no form; nothing for a form and for no body.
    NonformSha256,
    /// Names and values of a form, sorted, each pair once, with nothing between.
    Form,
    /// The whole URL.
    Url,
    /// The whole URL with its port, even if it is the default one.
    UrlWithPort,
    /// The whole URL without its port.
    UrlWithoutPort,
    /// The URL's host, without port.
    Host,
    /// The URL's path.
    Path,
    /// The URL's query, without `?`.
    Query,
    /// The method, in upper case.
    Method,
    /// The value of the header of this name.
    Header(String),
    /// The plain value at this place of a JSON body.
    Json(Pointer),
    /// The names of the covered headers, with a space between.
    CoveredNames,
    /// The values of the covered headers, with a dot between.
    CoveredValues,
    /// The signatures.
    Sig,
}

/// The variables with a name of their own, as templates spell them.
const NAMED: &[(&str, Variable)] = &[
    ("id", Variable::Id),
    ("ts", Variable::Ts),
    ("nonce", Variable::Nonce),
    ("body", Variable::Body),
    ("body_sha256", Variable::BodySha256),
    ("nonform_sha256", Variable::NonformSha256),
    ("form", Variable::Form),
    ("url", Variable::Url),
    ("url_with_port", Variable::UrlWithPort),
    ("url_without_port", Variable::UrlWithoutPort),
    ("host", Variable::Host),
    ("path", Variable::Path),
    ("query", Variable::Query),
    ("method", Variable::Method),
    ("covered_names", Variable::CoveredNames),
    ("covered_values", Variable::CoveredValues),
    ("sig", Variable::Sig),
];

impl Variable {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, variable)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(variable.clone());
        }
        match text.split_once(':') {
            Some(("header", name)) => {
                header::check_name(name).map(Self::Header).map_err(|e| format!("{{{text}}}: {e}"))
            }
            Some(("json", pointer)) => Pointer::parse(pointer).map(Self::Json),
            Some(_) | None => {
                let known: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
                Err(format!(
                    "{{{text}}} is not a variable: expected one of {}, header:NAME, json:POINTER",
                    known.join(", ")
                ))
            }
        }
    }

    /// Whether it is a short text of visible ASCII, which a header or a query parameter can carry.
    pub fn is_short(&self) -> bool {
        match self {
            Self::Id | Self::Ts | Self::Nonce | Self::BodySha256 | Self::NonformSha256 => true,
            Self::Method | Self::CoveredNames | Self::Sig => true,
            Self::Body | Self::Form | Self::Url | Self::UrlWithPort | Self::UrlWithoutPort => false,
            Self::Host | Self::Path | Self::Query | Self::Header(_) | Self::Json(_) => false,
            Self::CoveredValues => false,
        }
    }

    /// Whether a receiver knows it from nowhere but the place where it stands.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Ts | Self::Nonce | Self::CoveredNames)
    }

    /// Whether it changes when a query parameter is added.
    pub fn covers_query(&self) -> bool {
        matches!(self, Self::Url | Self::UrlWithPort | Self::UrlWithoutPort | Self::Query)
    }

    /// Whether it is, or is made of, the body as a whole.
    pub fn covers_body(&self) -> bool {
        matches!(self, Self::Body | Self::BodySha256 | Self::NonformSha256 | Self::Form)
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMED.iter().find(|(_, variable)| variable == self), self) {
            (Some((name, _)), _) => write!(f, "{{{name}}}"),
            (None, Self::Header(name)) => write!(f, "{{header:{name}}}"),
            (None, Self::Json(pointer)) => write!(f, "{{json:{pointer}}}"),
            (None, other) => write!(f, "{{{other:?}}}"),
        }
    }
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// The value of this variable.
    Variable(Variable),
}

/// A template, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// If it holds a variable that there is not, or a brace alone.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let inner = if brace == "{" { rest.split_once('}') } else { None };
            let (name, after) = inner.ok_or("a brace stands alone: write {{ or }} for a brace")?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Variable(Variable::parse(name)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(variable) => Some(variable),
        })
    }

    /// Whether it names `variable`.
    pub fn has(&self, variable: &Variable) -> bool {
        self.variables().any(|v| v == variable)
    }

    /// The character that follows `{id}` and tells the receiver where it ends: with it inside an id,
    /// two messages could share a signature.
    pub fn ends_id(&self) -> Option<char> {
        self.0.windows(2).find_map(|pair| match pair {
            [Piece::Variable(Variable::Id), Piece::Text(text)] => text.chars().next(),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read_into_pieces() {
        let template = Template::parse("v0:{ts}{{}}:{header:X-A}{json:/a/0}").unwrap();
        let text = |t: &str| Piece::Text(t.to_owned());
        let pieces = vec![
            text("v0:"),
            Piece::Variable(Variable::Ts),
            text("{}:"),
            Piece::Variable(Variable::Header("x-a".to_owned())),
            Piece::Variable(Variable::Json(Pointer::parse("/a/0").unwrap())),
        ];
        assert_eq!(template.0, pieces);
        assert_eq!(Template::parse("{id}:{ts}").unwrap().ends_id(), Some(':'));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in
            ["{", "}", "{ts", "{ts}}", "{nope}", "{header:}", "{header:a b}", "{json:a}", "{}"]
        {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        let known = Template::parse("{nope}").unwrap_err();
        assert!(NAMED.iter().all(|(name, _)| known.contains(name)), "{known}");
    }

    #[test]
    fn a_variable_is_shown_as_it_is_written() {
        for text in ["{ts}", "{header:x-a}", "{json:/a~1b/0}"] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.variables().next().unwrap().to_string(), text);
        }
    }
}
