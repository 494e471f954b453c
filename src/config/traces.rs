//! `[traces]`: spans of deliveries, for a collector.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use crate::delivery::Traceparent;

/// Spans of deliveries.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// Where the collector takes OTLP over HTTP. Without one, no spans are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<CollectorUrl>,
    /// The share of deliveries that are traced, of those whose jobs bring no `traceparent`.
    #[serde(deserialize_with = "share")]
    pub sample: f64,
    /// When a call carries `traceparent`.
    pub traceparent: Traceparent,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self { endpoint: None, sample: 0.01, traceparent: Traceparent::Given }
    }
}

/// The address of a collector, without what may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CollectorUrl(Url);

impl CollectorUrl {
    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for CollectorUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = "expected the collector's address, as http://127.0.0.1:4318";
        let url = Url::parse(text).map_err(|_| refused)?;
        let is_good = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if is_good { Ok(Self(url)) } else { Err(refused) }
    }
}

impl TryFrom<String> for CollectorUrl {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CollectorUrl> for String {
    fn from(url: CollectorUrl) -> Self {
        url.0.into()
    }
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(D::Error::custom("expected a share of all deliveries, from 0.0 to 1.0"))
}
