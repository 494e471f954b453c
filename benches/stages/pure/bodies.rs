//! The body of a request, made of the job's data. `cargo bench --bench transform` measures every kind.

use std::rc::Rc;

use sealpost::domain::ids::{CustomerId, EndpointId, JobId};
use sealpost::domain::job::Payload;
use sealpost::domain::timestamp::Timestamp;
use sealpost::transform::{Event, Made, Transform};
use serde_json::{Value, json};

use super::Stage;

/// A job's data, and whose it is.
struct Data {
    ids: (JobId, CustomerId, EndpointId),
    payload: Payload,
}

impl Data {
    fn made(&self, transform: &Transform) -> anyhow::Result<Made> {
        Ok(transform.apply(&Event {
            id: &self.ids.0,
            event_type: Some("order.created"),
            customer_id: &self.ids.1,
            endpoint_id: &self.ids.2,
            accepted_at: Timestamp::from_millis(1_800_000_000_000),
            payload: &self.payload,
        })?)
    }
}

pub fn stages() -> anyhow::Result<Vec<Stage>> {
    let fields = || (0..20).map(|n| format!("field{n:02}"));
    let order: serde_json::Map<_, _> =
        fields().map(|field| (field, json!("a text of some length"))).collect();
    let data = Rc::new(Data {
        ids: ("evt_1".parse()?, "acme".parse()?, "orders".parse()?),
        payload: Payload {
            bytes: json!({ "order": order }).to_string().into(),
            content_type: Some("application/json".to_owned()),
        },
    });
    let texts: Vec<_> = fields().map(|f| format!(r#""{f}": {{{{ data.order.{f} }}}}"#)).collect();
    let hash: Vec<_> = fields().map(|f| format!("{f}: order.{f}")).collect();
    let kinds: [(&str, Value); 3] = [
        ("body: as it came", json!({})),
        ("body: a template of 20 fields", json!({"template": format!("{{{}}}", texts.join(", "))})),
        ("body: jmespath, 20 fields", json!({"jmespath": format!("{{{}}}", hash.join(", "))})),
    ];
    let stage = |(name, body): (&str, Value)| {
        let transform = Transform::compile(&serde_json::from_value(body)?)?;
        data.made(&transform)?;
        let data = Rc::clone(&data);
        Ok(Stage::new(name, move || data.made(&transform)))
    };
    kinds.into_iter().map(stage).collect()
}
