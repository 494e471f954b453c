//! Origins: the scheme, host and port of a place where a secret's bytes may go.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

/// Scheme, host and port, normalised: `https://api.example.com:443`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// A text that is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin: expected scheme, host and optional port, for example https://api.example.com"
)]
pub struct InvalidOrigin(String);

impl Origin {
    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin of `url`, or `None` if it has no host.
    pub fn of(url: &Url) -> Option<Self> {
        let host = url.host_str()?.trim_end_matches('.');
        Some(Self(format!("{}://{host}:{}", url.scheme(), url.port_or_known_default()?)))
    }

    /// Whether `url` goes there.
    pub fn is_of(&self, url: &Url) -> bool {
        let Some((host, port)) = url.host_str().zip(url.port_or_known_default()) else {
            return false;
        };
        let rest = self.0.strip_prefix(url.scheme()).and_then(|rest| rest.strip_prefix("://"));
        let rest = rest.and_then(|rest| rest.strip_prefix(host.trim_end_matches('.')));
        let own = rest.and_then(|rest| rest.strip_prefix(':'));
        own.is_some_and(|own| own.parse() == Ok(port))
    }

    /// Whether what goes there goes over TLS.
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let refuse = || InvalidOrigin(text.chars().take(128).collect());
        let url = Url::parse(text).map_err(|_| refuse())?;
        let bare = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !bare {
            return Err(refuse());
        }
        Self::of(&url).ok_or_else(refuse)
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;
    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 over the sorted origins, each ended by a newline: what a sealed value is bound to.
pub fn digest(origins: &BTreeSet<Origin>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for origin in origins {
        hasher.update(origin.0.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn default_ports_case_and_the_trailing_dot_make_no_difference() {
        let spelled =
            ["https://API.example.com", "https://api.example.com:443/", "https://api.example.com."];
        for text in spelled {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), "https://api.example.com:443");
        }
    }

    proptest! {
        #[test]
        fn an_origin_is_of_the_urls_that_have_it_and_of_no_others(
            scheme in "https?", host in "(a|b|a\\.a|\\[::1\\]|127\\.0\\.0\\.1)\\.?", port in "(:(80|443|8443))?",
            other in "https?://(a|b|a\\.a|a\\.a\\.a|\\[::1\\])\\.?(:(80|443|844|8443))?",
        ) {
            let Ok(url) = Url::parse(&format!("{scheme}://{host}{port}/path?q")) else {
                return Ok(());
            };
            let (Some(own), Ok(other)) = (Origin::of(&url), other.parse::<Origin>()) else {
                return Ok(());
            };
            prop_assert!(own.is_of(&url));
            prop_assert_eq!(other.is_of(&url), other == own);
        }
    }

    #[test]
    fn a_path_a_query_or_credentials_are_no_part_of_an_origin() {
        for text in [
            "https://a.example/x",
            "https://a.example/?q",
            "https://u@a.example",
            "a.example",
            "ftp://a.example",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
