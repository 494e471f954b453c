//! Which ports may be called. Those of mail servers, databases and the like are left out: some can
//! be made to obey a line in the middle of an HTTP request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of ports, both ends included. Written `443` or `8000-8999`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// The ports that web servers listen on.
pub const WEB: &[PortRange] =
    &[one(80), one(443), one(8000), one(8008), one(8080), one(8443), one(9443)];

const fn one(port: u16) -> PortRange {
    PortRange { first: port, last: port }
}

impl PortRange {
    /// Whether `port` is in the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// A text that is not a range of ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a port or a range of ports: expected \"443\" or \"8000-8999\"")]
pub struct InvalidPorts(String);

impl FromStr for PortRange {
    type Err = InvalidPorts;
    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = first.parse().ok().zip(last.parse().ok());
        let range = range.filter(|(first, last)| 0 < *first && first <= last);
        range.map(|(first, last)| Self { first, last }).ok_or_else(|| InvalidPorts(text.to_owned()))
    }
}

impl TryFrom<String> for PortRange {
    type Error = InvalidPorts;
    fn try_from(text: String) -> Result<Self, InvalidPorts> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}
