//! The formats of providers, as data. `docs/AUTH.md` shows the same table, and a test compares both.

use super::algorithm::{Algorithm, Encoding};
use super::key::Spelling;
use super::timestamp::Unit;

/// One provider's format. Templates are those of [`super::template`].
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// The name that settings use.
    pub name: &'static str,
    /// What computes the signature.
    pub mac: Algorithm,
    /// How the secret is spelled.
    pub key: Spelling,
    /// What may stand before the secret and is no part of the key.
    pub key_prefix: &'static str,
    /// What is signed.
    pub string_to_sign: &'static str,
    /// What receivers accept as signed besides.
    pub also: &'static [&'static str],
    /// How the signature is written.
    pub output: Encoding,
    /// The headers that are set, name and template.
    pub headers: &'static [(&'static str, &'static str)],
    /// The query parameters that are added; one that would be empty is not.
    pub query: &'static [(&'static str, &'static str)],
    /// The place in a JSON body that the signature is put at.
    pub body_at: Option<&'static str>,
    /// How `{ts}` is written.
    pub timestamp: Unit,
    /// What stands between the signatures of a rotation; `None` if only the current value signs.
    pub join: Option<&'static str>,
    /// What is signed and set in place of the above where headers are covered.
    pub covered: Option<(&'static str, &'static [(&'static str, &'static str)])>,
    /// What the format was checked against.
    pub checked: Checked,
}

/// What a format was checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// A signature that the provider published.
    Vector,
    /// A signature in somebody else's tests.
    OthersVector,
    /// The provider's own documentation or code.
    Provider,
    /// Descriptions and code of others.
    Others,
    /// Nothing: it belongs to no provider.
    Nothing,
}

impl Checked {
    /// As the table in the documentation says it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Vector => "published signature",
            Self::OthersVector => "signature in others' tests",
            Self::Provider => "provider's documentation or code",
            Self::Others => "descriptions by others",
            Self::Nothing => "no provider's",
        }
    }
}

/// The most usual format: HMAC-SHA256 of the body, in hexadecimal.
const USUAL: Preset = Preset {
    name: "",
    mac: Algorithm::HmacSha256,
    key: Spelling::Utf8,
    key_prefix: "",
    string_to_sign: "{body}",
    also: &[],
    output: Encoding::Hex,
    headers: &[],
    query: &[],
    body_at: None,
    timestamp: Unit::Seconds,
    join: None,
    covered: None,
    checked: Checked::Vector,
};

const BASE64: Preset = Preset { output: Encoding::Base64, ..USUAL };

/// HMAC-SHA256 over id, timestamp and body.
pub const STANDARD_WEBHOOKS: Preset = Preset {
    name: "standard_webhooks",
    key: Spelling::Base64,
    key_prefix: "whsec_",
    string_to_sign: "{id}.{ts}.{body}",
    headers: &[
        ("webhook-id", "{id}"),
        ("webhook-timestamp", "{ts}"),
        ("webhook-signature", "v1,{sig}"),
    ],
    join: Some(" v1,"),
    ..BASE64
};

/// Every preset, by name.
pub const PRESETS: &[Preset] = &[
    // "Verify the HMAC signature"; the string to sign takes its values from the one item of a call.
    Preset {
        name: "adyen",
        key: Spelling::Hex,
        string_to_sign: "{json:/notificationItems/0/NotificationRequestItem/pspReference}:\
            {json:/notificationItems/0/NotificationRequestItem/originalReference}:\
            {json:/notificationItems/0/NotificationRequestItem/merchantAccountCode}:\
            {json:/notificationItems/0/NotificationRequestItem/merchantReference}:\
            {json:/notificationItems/0/NotificationRequestItem/amount/value}:\
            {json:/notificationItems/0/NotificationRequestItem/amount/currency}:\
            {json:/notificationItems/0/NotificationRequestItem/eventCode}:\
            {json:/notificationItems/0/NotificationRequestItem/success}",
        body_at: Some("/notificationItems/0/NotificationRequestItem/additionalData/hmacSignature"),
        ..BASE64
    },
    Preset {
        name: "convoy",
        string_to_sign: "{ts},{body}",
        headers: &[("x-convoy-signature", "t={ts},v1={sig}")],
        join: Some(",v1="),
        checked: Checked::Provider,
        ..USUAL
    },
    Preset {
        name: "docusign",
        headers: &[("x-docusign-signature-1", "{sig}")],
        checked: Checked::Provider,
        ..BASE64
    },
    Preset {
        name: "elevenlabs",
        string_to_sign: "{ts}.{body}",
        headers: &[("elevenlabs-signature", "t={ts},v0={sig}")],
        checked: Checked::Others,
        ..USUAL
    },
    Preset { name: "github", headers: &[("x-hub-signature-256", "sha256={sig}")], ..USUAL },
    Preset {
        name: "hook0",
        string_to_sign: "{ts}.{body}",
        headers: &[("x-hook0-signature", "t={ts},v0={sig}")],
        covered: Some((
            "{ts}.{covered_names}.{covered_values}.{body}",
            &[("x-hook0-signature", "t={ts},h={covered_names},v1={sig}")],
        )),
        checked: Checked::Provider,
        ..USUAL
    },
    Preset {
        name: "hubspot",
        string_to_sign: "{method}{url}{body}{ts}",
        headers: &[("x-hubspot-request-timestamp", "{ts}"), ("x-hubspot-signature-v3", "{sig}")],
        timestamp: Unit::Milliseconds,
        checked: Checked::Others,
        ..BASE64
    },
    Preset {
        name: "intercom",
        mac: Algorithm::HmacSha1,
        headers: &[("x-hub-signature", "sha1={sig}")],
        checked: Checked::Provider,
        ..USUAL
    },
    Preset {
        name: "linear",
        headers: &[("linear-signature", "{sig}")],
        checked: Checked::Others,
        ..USUAL
    },
    Preset {
        name: "outpost",
        headers: &[("x-outpost-signature", "v0={sig}")],
        join: Some(","),
        ..USUAL
    },
    Preset {
        name: "outpost_legacy",
        string_to_sign: "{ts}.{body}",
        headers: &[("x-outpost-signature", "t={ts},v0={sig}")],
        join: Some(","),
        ..USUAL
    },
    Preset {
        name: "paddle",
        string_to_sign: "{ts}:{body}",
        headers: &[("paddle-signature", "ts={ts};h1={sig}")],
        join: Some(";h1="),
        checked: Checked::Others,
        ..USUAL
    },
    Preset {
        name: "pagerduty",
        headers: &[("x-pagerduty-signature", "v1={sig}")],
        join: Some(",v1="),
        checked: Checked::Provider,
        ..USUAL
    },
    Preset {
        name: "sha256",
        headers: &[("x-webhook-signature", "sha256={sig}")],
        checked: Checked::Nothing,
        ..USUAL
    },
    Preset {
        name: "shopify",
        headers: &[("x-shopify-hmac-sha256", "{sig}")],
        checked: Checked::OthersVector,
        ..BASE64
    },
    Preset {
        name: "slack",
        string_to_sign: "v0:{ts}:{body}",
        headers: &[("x-slack-request-timestamp", "{ts}"), ("x-slack-signature", "v0={sig}")],
        ..USUAL
    },
    Preset {
        name: "square",
        string_to_sign: "{url}{body}",
        headers: &[("x-square-hmacsha256-signature", "{sig}")],
        ..BASE64
    },
    STANDARD_WEBHOOKS,
    Preset {
        name: "stripe",
        string_to_sign: "{ts}.{body}",
        headers: &[("stripe-signature", "t={ts},v1={sig}")],
        join: Some(",v1="),
        ..USUAL
    },
    Preset {
        name: "svix",
        headers: &[("svix-id", "{id}"), ("svix-timestamp", "{ts}"), ("svix-signature", "v1,{sig}")],
        ..STANDARD_WEBHOOKS
    },
    Preset {
        name: "trello",
        mac: Algorithm::HmacSha1,
        string_to_sign: "{body}{url}",
        headers: &[("x-trello-webhook", "{sig}")],
        checked: Checked::Provider,
        ..BASE64
    },
    // "Security": forms are signed as sorted pairs, other bodies by their hash in the URL. Receivers
    // try the URL with and without its port, because proxies change that.
    Preset {
        name: "twilio",
        mac: Algorithm::HmacSha1,
        string_to_sign: "{url}{form}",
        also: &["{url_with_port}{form}", "{url_without_port}{form}"],
        headers: &[("x-twilio-signature", "{sig}")],
        query: &[("bodySHA256", "{nonform_sha256}")],
        ..BASE64
    },
    Preset {
        name: "typeform",
        headers: &[("typeform-signature", "sha256={sig}")],
        checked: Checked::Provider,
        ..BASE64
    },
    Preset {
        name: "vercel",
        mac: Algorithm::HmacSha1,
        headers: &[("x-vercel-signature", "{sig}")],
        checked: Checked::Others,
        ..USUAL
    },
    Preset {
        name: "webflow",
        string_to_sign: "{ts}:{body}",
        headers: &[("x-webflow-timestamp", "{ts}"), ("x-webflow-signature", "{sig}")],
        timestamp: Unit::Milliseconds,
        checked: Checked::Others,
        ..USUAL
    },
    Preset {
        name: "woocommerce",
        headers: &[("x-wc-webhook-signature", "{sig}")],
        checked: Checked::Others,
        ..BASE64
    },
    Preset {
        name: "xero",
        headers: &[("x-xero-signature", "{sig}")],
        checked: Checked::Provider,
        ..BASE64
    },
    Preset {
        name: "zendesk",
        string_to_sign: "{ts}{body}",
        headers: &[
            ("x-zendesk-webhook-signature-timestamp", "{ts}"),
            ("x-zendesk-webhook-signature", "{sig}"),
        ],
        timestamp: Unit::Rfc3339,
        checked: Checked::OthersVector,
        ..BASE64
    },
    Preset {
        name: "zoom",
        string_to_sign: "v0:{ts}:{body}",
        headers: &[("x-zm-request-timestamp", "{ts}"), ("x-zm-signature", "v0={sig}")],
        checked: Checked::Provider,
        ..USUAL
    },
];
