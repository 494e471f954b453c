//! A job, the settings of a body, and what is made of them.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use sealpost::domain::body::Body;
use sealpost::domain::job::Payload;
use sealpost::transform::{Event, Made, Transform};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One case. The data is taken as it is written, or is `text`, or bytes in base64.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it shows; for a documented example, the title of its page.
    pub title: String,
    pub body: Box<RawValue>,
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
    #[serde(default)]
    pub text: Option<String>,
    #[serde(default)]
    pub base64: Option<String>,
    #[serde(default)]
    pub content_type: Option<String>,
    #[serde(default, rename = "type")]
    pub event_type: Option<String>,
    pub expect: Expected,
}

/// What is expected: a body, or a complaint that holds a text.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expected {
    pub body: Option<String>,
    pub base64: Option<String>,
    pub content_type: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A part of the complaint about the settings.
    pub refused: Option<String>,
    /// A part of the complaint about the job.
    pub failed: Option<String>,
}

impl Case {
    /// Settings over data.
    pub fn new(body: &str, data: &str) -> Self {
        Self {
            title: String::new(),
            body: RawValue::from_string(body.to_owned()).unwrap(),
            data: None,
            text: Some(data.to_owned()),
            base64: None,
            content_type: Some("application/json".to_owned()),
            event_type: None,
            expect: Expected::default(),
        }
    }

    fn payload(&self) -> Payload {
        let (bytes, default) = match (&self.data, &self.text, &self.base64) {
            (Some(data), None, None) => (data.get().as_bytes().to_vec(), Some("application/json")),
            (None, Some(text), None) => {
                (text.as_bytes().to_vec(), Some("text/plain; charset=utf-8"))
            }
            (None, None, Some(encoded)) => {
                (BASE64_STANDARD.decode(encoded).unwrap(), Some("application/octet-stream"))
            }
            (None, None, None) => (Vec::new(), None),
            _ => panic!("{}: data twice", self.title),
        };
        Payload {
            bytes: bytes.into(),
            content_type: self.content_type.as_deref().or(default).map(str::to_owned),
        }
    }

    /// The compiled settings.
    pub fn compile(&self) -> Result<Transform, String> {
        let body: Body = serde_json::from_str(self.body.get()).map_err(|e| e.to_string())?;
        Transform::compile(&body).map_err(|e| e.to_string())
    }

    /// What is made of the job.
    pub fn apply(&self, transform: &Transform) -> Result<Made, String> {
        let event = Event {
            id: &"evt_1".parse().unwrap(),
            event_type: self.event_type.as_deref(),
            customer_id: &"acme".parse().unwrap(),
            endpoint_id: &"orders".parse().unwrap(),
            accepted_at: "2026-11-23T10:00:00Z".parse().unwrap(),
            payload: &self.payload(),
        };
        transform.apply(&event).map_err(|e| e.to_string())
    }

    /// The text that is made.
    pub fn text(&self) -> Result<String, String> {
        let made = self.apply(&self.compile()?)?;
        Ok(String::from_utf8(made.bytes.into()).unwrap())
    }

    /// Panics unless what is made is what is expected.
    pub fn check(&self) {
        let title = &self.title;
        let (transform, expect) = match (self.compile(), &self.expect) {
            (Err(problem), Expected { refused: Some(part), .. }) => {
                assert!(problem.contains(part), "{title}: {problem}");
                return;
            }
            (Err(problem), _) => panic!("{title}: refused: {problem}"),
            (Ok(_), Expected { refused: Some(part), .. }) => {
                panic!("{title}: expected to be refused: {part}")
            }
            (Ok(transform), expect) => (transform, expect),
        };
        match (self.apply(&transform), &expect.failed) {
            (Err(problem), Some(part)) => assert!(problem.contains(part), "{title}: {problem}"),
            (Err(problem), None) => panic!("{title}: failed: {problem}"),
            (Ok(_), Some(part)) => panic!("{title}: expected to fail: {part}"),
            (Ok(made), None) => self.check_made(&made),
        }
    }

    fn check_made(&self, made: &Made) {
        let (title, expect) = (&self.title, &self.expect);
        let body = String::from_utf8_lossy(&made.bytes);
        match (&expect.body, &expect.base64) {
            (Some(expected), _) => assert_eq!(body, *expected, "{title}"),
            (None, Some(encoded)) => {
                assert_eq!(BASE64_STANDARD.encode(&made.bytes), *encoded, "{title}");
            }
            (None, None) => panic!("{title}: nothing is expected"),
        }
        if let Some(expected) = &expect.content_type {
            let sent = made.content_type.as_deref().unwrap_or("none");
            assert_eq!(sent, *expected, "{title}");
        }
        let headers: BTreeMap<_, _> = made.headers.iter().cloned().collect();
        assert_eq!(headers, expect.headers, "{title}");
    }
}
