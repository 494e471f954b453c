//! The URL of an endpoint: a template whose path may hold `*` wildcards, filled from the job's
//! path parameters, and `{secret:ID}` for each secret, because some URLs are credentials.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::field::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::origin::Origin;
use crate::domain::secret::SecretBytes;

/// Longest URL that is sent, in bytes, query included.
pub const MAX_URL: usize = 8 * 1024;
/// What stands for a secret wherever a request is shown. In a URL's path nothing else spells it so:
/// what a job brings is percent-encoded, and a `*` of the template is a wildcard.
pub const MASK: &str = "********";
/// How a secret in a URL begins; `}` ends it.
const SECRET: &str = "{secret:";

/// An endpoint's URL: each `*` in its path stands for one path parameter, each `{secret:ID}` for one
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlTemplate {
    text: String,
    pieces: Vec<Piece>,
    origin: Origin,
    /// The URL itself, where nothing in it is open.
    whole: Option<Url>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter,
    Secret(SecretId),
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

    /// The template with everything open filled by a harmless letter: what the egress guard vets.
    pub fn example(&self) -> String {
        filled(&self.pieces, "x")
    }

    /// How many path parameters a job has to bring.
    pub fn wildcards(&self) -> usize {
        self.pieces.iter().filter(|piece| matches!(piece, Piece::Parameter)).count()
    }

    /// The secrets in the path, in order.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretId> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Secret(id) => Some(id),
            Piece::Text(_) | Piece::Parameter => None,
        })
    }

    /// The URL for one call, with [`MASK`] for each secret.
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
        if let Some(url) = &self.whole {
            return Ok(url.clone());
        }
        let mut filled = String::with_capacity(self.text.len());
        let mut brought = parameters.iter().enumerate();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Secret(_) => filled.push_str(MASK),
                Piece::Parameter => {
                    let (index, parameter) = brought.next().unwrap_or_else(|| {
                        unreachable!("there are as many parameters as wildcards")
                    });
                    if matches!(parameter.as_str(), "" | "." | "..") {
                        let problem =
                            "empty, '.' and '..' would change the path: expected a path segment";
                        return Err(FieldError::new(format!("pathParameters[{index}]"), problem));
                    }
                    push_encoded(&mut filled, parameter.as_bytes(), b"");
                }
            }
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

fn filled(pieces: &[Piece], with: &str) -> String {
    let mut filled = String::new();
    for piece in pieces {
        filled.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Parameter | Piece::Secret(_) => with,
        });
    }
    filled
}

/// Appends `bytes`, all but unreserved characters and those in `kept` percent-encoded (RFC 3986
/// section 2.3).
fn push_encoded(to: &mut String, bytes: &[u8], kept: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.contains(byte) {
            to.push(char::from(*byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// A secret as it stands in a URL's path. It may be several segments, and may be spelled with percent
/// signs, as it is when somebody copies it out of a URL.
///
/// # Errors
/// If it is empty, or has a segment that would change the path (`.`, `..`) or begins or ends with `/`.
pub fn secret_segments(value: &SecretBytes) -> Result<SecretBytes, &'static str> {
    let text = value.expose_str().ok_or("not UTF-8: expected a part of a URL's path")?;
    let changes = |segment: &str| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        matches!(plain.as_str(), "" | "." | "..")
    };
    if text.split('/').any(changes) {
        return Err(
            "empty, or with an empty segment, '.' or '..': expected a part of a URL's path",
        );
    }
    if text.bytes().any(|byte| byte.is_ascii_control() || b" ?#\\".contains(&byte)) {
        return Err("with white space, '?', '#' or '\\': expected a part of a URL's path");
    }
    let mut encoded = String::with_capacity(text.len());
    push_encoded(&mut encoded, text.as_bytes(), b"/%:@!$&'()*+,;=");
    Ok(SecretBytes::new(encoded.into_bytes()))
}

/// `path` with its masks replaced by the secrets, in order.
pub fn unmask(path: &str, secrets: &[SecretBytes]) -> String {
    let mut pieces = path.split(MASK);
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for (piece, secret) in pieces.zip(secrets) {
        whole.push_str(secret.expose_str().unwrap_or_default());
        whole.push_str(piece);
    }
    whole
}

/// Whether every place of the template is still there, in its order, when the URL is parsed.
fn keeps_its_places(pieces: &[Piece]) -> bool {
    let mut places = 0;
    let mut filled = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Parameter | Piece::Secret(_) => {
                filled.push_str(&format!("-place-{places}-"));
                places += 1;
            }
        }
    }
    let Ok(url) = Url::parse(&filled) else { return false };
    let mut rest = url.path();
    (0..places).all(|place| match rest.split_once(&format!("-place-{place}-")) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn pieces(text: &str) -> Result<Vec<Piece>, FieldError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['*', '{']) {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        rest = &rest[at..];
        let end = match rest.strip_prefix(SECRET) {
            Some(open) => {
                let (id, _) = open
                    .split_once('}')
                    .ok_or_else(|| FieldError::new("", format!("{SECRET} has no closing '}}'")))?;
                let id: SecretId = id.parse().map_err(|e| FieldError::new("", format!("{e}")))?;
                pieces.push(Piece::Secret(id));
                SECRET.len() + open.find('}').unwrap_or_default() + 1
            }
            None if rest.starts_with('*') => {
                pieces.push(Piece::Parameter);
                1
            }
            None => {
                let problem = "'{' begins a secret, as in {secret:ID}; spell any other as %7B";
                return Err(FieldError::new("", problem));
            }
        };
        rest = &rest[end..];
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

impl TryFrom<String> for UrlTemplate {
    type Error = FieldError;
    fn try_from(text: String) -> Result<Self, FieldError> {
        let pieces = pieces(&text)?;
        // Filled in two ways: what differs is what can change. The text alone does not say where its
        // path begins: parsers take `https:///a.example/` for `https://a.example/`.
        let parsed = |with: &str| {
            Url::parse(&filled(&pieces, with))
                .map_err(|e| FieldError::new("", format!("not an absolute URL ({e})")))
        };
        let (url, other) = (parsed("x")?, parsed("yy")?);
        let origin = Origin::of(&url).ok_or_else(|| {
            FieldError::new("", "expected a URL with the scheme https and a host")
        })?;
        let but_the_path = |mut url: Url| {
            url.set_path("");
            url
        };
        let is_open = pieces.iter().any(|piece| !matches!(piece, Piece::Text(_)));
        let whole = (!is_open && url.as_str().len() <= MAX_URL).then(|| url.clone());
        let in_path = url.path() != other.path() || pieces.len() == 1;
        if !in_path || but_the_path(url) != but_the_path(other) {
            let problem = "a wildcard '*' and a secret may stand only in the path";
            return Err(FieldError::new("", problem));
        }
        if text.len() > MAX_URL {
            return Err(FieldError::new("", format!("longer than {MAX_URL} bytes")));
        }
        if !keeps_its_places(&pieces) {
            let problem = "a segment '..' takes away a wildcard or a secret before it";
            return Err(FieldError::new("", problem));
        }
        Ok(Self { text, pieces, origin, whole })
    }
}

impl From<UrlTemplate> for String {
    fn from(template: UrlTemplate) -> Self {
        template.text
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
