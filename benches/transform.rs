//! `cargo bench --bench transform`: the processor time that making a body adds to a delivery.

#![allow(missing_docs, reason = "a program")]

#[path = "support/processor.rs"]
mod processor;

use std::hint::black_box;

use anyhow::Context;
use sealpost::domain::ids::{CustomerId, EndpointId, JobId};
use sealpost::domain::job::Payload;
use sealpost::domain::timestamp::Timestamp;
use sealpost::transform::{Event, Made, Transform};
use serde_json::{Value, json};

use processor::micros;

/// Most microseconds until a body that costs too much is stopped.
const STOPPED: f64 = 50_000.0;

/// A body, and the most microseconds it may add, where there is a mark.
struct Case {
    name: &'static str,
    body: Value,
    mark: Option<f64>,
}

fn cases() -> Vec<Case> {
    let fields = || (0..20).map(|n| format!("field{n:02}"));
    let template: Vec<_> =
        fields().map(|f| format!(r#""{f}": {{{{ data.order.{f} }}}}"#)).collect();
    let strings: Vec<_> = fields().map(|f| format!("{f}={{{{ data.order.{f} }}}}")).collect();
    let hash: Vec<_> = fields().map(|f| format!("{f}: order.{f}")).collect();
    let paths: serde_json::Map<_, _> =
        fields().map(|f| (f.clone(), format!("$.order.{f}").into())).collect();
    let input: Vec<_> = fields().map(|f| format!(r#""{f}": <{f}>"#)).collect();
    let case = |name, body, mark| Case { name, body, mark };
    vec![
        case(
            "template, 20 fields, JSON",
            json!({"template": format!("{{{}}}", template.join(", "))}),
            Some(15.0),
        ),
        case(
            "template, 20 fields, text",
            json!({"template": strings.join("\n"), "contentType": "text/plain"}),
            Some(15.0),
        ),
        case(
            "jmespath, 20 fields",
            json!({"jmespath": format!("{{{}}}", hash.join(", "))}),
            Some(10.0),
        ),
        case("jmespath, one field", json!({"jmespath": "order.field07"}), Some(10.0)),
        case("inputPath", json!({"inputPath": "$.order"}), None),
        case(
            "inputTransformer, 20 fields",
            json!({"inputTransformer": {"inputPathsMap": paths,
                   "inputTemplate": format!("{{{}}}", input.join(", "))}}),
            None,
        ),
        case("as form", json!({"as": "form"}), None),
        case("as cloudEvents, structured", json!({"as": "cloudEvents"}), None),
        case("as cloudEvents, binary", json!({"as": {"cloudEvents": {"mode": "binary"}}}), None),
    ]
}

/// Bodies that cost too much, over a job of half a mebibyte.
fn stopped() -> [(&'static str, Value); 5] {
    let template = |source: &str| json!({"template": source, "as": "text"});
    [
        (
            "stopped: loops in loops",
            template("{% for a in data %}{% for b in data %}{{ a }}{% endfor %}{% endfor %}"),
        ),
        (
            "stopped: comparisons",
            template(
                "{% for a in data %}{% if data == [data] or a in data %}{% endif %}{% endfor %}",
            ),
        ),
        (
            "stopped: a string that doubles",
            template(&format!("{{% set x = 'x' %}}{}", "{% set x = x ~ x %}".repeat(64))),
        ),
        ("stopped: projections", json!({"jmespath": "[*].[@,@,@,@,@,@,@,@,@,@]"})),
        ("stopped: sorting", json!({"jmespath": "[@,@,@,@,@] | [*].sort_by(@, &to_string(@))"})),
    ]
}

fn main() -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut worst = Vec::new();
    let job = Job::new()?;
    let alone = job.measure(&json!({}))?;
    println!("{:<32} {alone:>8.2} µs   taken off what follows", "the data as it came");
    for case in cases() {
        job.made(&case.body).context(case.name)?;
        let micros = job.measure(&case.body).context(case.name)? - alone;
        let mark = case.mark.map_or_else(|| "    -".to_owned(), |mark| format!("{mark:>5.1} µs"));
        println!("{:<32} {micros:>8.2} µs   at most {mark}", case.name);
        if case.mark.is_some_and(|mark| micros > mark) {
            worst.push(case.name);
        }
        rows.push(json!({"case": case.name, "cpu_micros": micros, "mark": case.mark}));
    }
    let large = Job::large()?;
    for (name, body) in stopped() {
        anyhow::ensure!(large.made(&body).is_err(), "{name}: it is not");
        let micros = large.measure(&body).context(name)?;
        println!("{name:<32} {micros:>8.0} µs   at most {STOPPED:>5.0} µs");
        if micros > STOPPED {
            worst.push(name);
        }
        rows.push(json!({"case": name, "cpu_micros": micros, "mark": STOPPED}));
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
    std::fs::create_dir_all(folder)?;
    std::fs::write(format!("{folder}/transform.json"), serde_json::to_string_pretty(&rows)?)?;
    match &worst[..] {
        [] => println!("every mark is held"),
        over => println!("over their marks: {}", over.join(", ")),
    }
    Ok(())
}

/// A job of 1 KiB.
struct Job {
    ids: (JobId, CustomerId, EndpointId),
    payload: Payload,
    /// How often a body is made between two looks at the clock.
    batch: u32,
}

impl Job {
    fn new() -> anyhow::Result<Self> {
        let mut order = serde_json::Map::new();
        for n in 0..20 {
            let value = match n % 4 {
                0 => json!(format!("a text of some length {n}")),
                1 => json!(n * 1_000_003),
                2 => json!(f64::from(n) + 0.25),
                _ => json!(n % 8 == 3),
            };
            order.insert(format!("field{n:02}"), value);
        }
        let mut data = json!({"order": order, "note": ""});
        let missing = 1024 - data.to_string().len();
        data["note"] = "x".repeat(missing).into();
        Self::of(&data, 100)
    }

    /// A job of 50,000 numbers.
    fn large() -> anyhow::Result<Self> {
        Self::of(&(0..50_000).map(|n| json!(n * 7_919 % 100_003 + 1_000_000)).collect(), 1)
    }

    fn of(data: &Value, batch: u32) -> anyhow::Result<Self> {
        Ok(Self {
            ids: ("evt_1".parse()?, "acme".parse()?, "orders".parse()?),
            payload: Payload {
                bytes: data.to_string().into(),
                content_type: Some("application/json".to_owned()),
            },
            batch,
        })
    }

    fn event(&self) -> Event<'_> {
        Event {
            id: &self.ids.0,
            event_type: Some("order.created"),
            customer_id: &self.ids.1,
            endpoint_id: &self.ids.2,
            accepted_at: Timestamp::from_millis(1_800_000_000_000),
            payload: &self.payload,
        }
    }

    fn made(&self, body: &Value) -> anyhow::Result<Made> {
        let transform = Transform::compile(&serde_json::from_value(body.clone())?)?;
        Ok(transform.apply(&self.event())?)
    }

    /// Processor time until a body is made or stopped, in microseconds; compiling it is left out.
    fn measure(&self, body: &Value) -> anyhow::Result<f64> {
        let transform = Transform::compile(&serde_json::from_value(body.clone())?)?;
        let event = self.event();
        micros(self.batch, || {
            for _ in 0..self.batch {
                // Those that are to be made are; `main` asks once.
                black_box(transform.apply(&event).is_ok());
            }
            Ok(())
        })
    }
}
