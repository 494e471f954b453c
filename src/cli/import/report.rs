//! Tells what an import would write, or has written.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::output;
use super::EventBridge;
use super::write::{Secret, Standing, Step};
use crate::import::{Finding, queue_target};

/// What there is to tell.
pub struct Report<'r> {
    pub steps: &'r [Step],
    pub unused: &'r [String],
    pub verb: &'r EventBridge,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Kept => "there already, kept",
            Self::Differs => "there already, and differs: kept; --apply --replace writes over it",
            Self::Written => "written",
        }
    }
}

/// Where the values of a connection go, or what is to be done where there is none.
fn told(step: &Step, secret: &Secret) -> String {
    let origins: Vec<String> = secret.origins.iter().map(ToString::to_string).collect();
    let missing = matches!(secret.standing, Standing::New | Standing::Differs);
    match (&secret.no_value, &step.import.who) {
        (Some(problem), Some(who)) if missing => {
            let options: Vec<String> = origins.iter().map(|o| format!("--origin {o}")).collect();
            format!(
                "to be put by hand, for {problem}:\n               sealpost secret put {} {} {} < VALUE",
                who.customer,
                secret.id,
                options.join(" ")
            )
        }
        (Some(_) | None, _) => {
            format!("{}, for {}", secret.standing.word(), origins.join(" and "))
        }
    }
}

/// A word for a shell, whatever a file may have brought into it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

impl Report<'_> {
    /// Tells it: as text, or as JSON.
    pub fn tell(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json { output::json(&self.as_json()) } else { self.as_text() }
    }

    fn as_text(&self) -> anyhow::Result<()> {
        for step in self.steps {
            tell_step(step)?;
        }
        for name in self.unused {
            output::line(&format!(
                "connection {name}: no API destination uses it, so it is left out (HTTP tasks of Step \
                 Functions may use it)\n"
            ))?;
        }
        self.tell_targets()?;
        output::line(&self.summary())
    }

    /// The commands that switch the rules over, one by one.
    fn tell_targets(&self) -> anyhow::Result<()> {
        let mut heading = Some("To send a rule's events to the queue beside the old target:");
        for step in self.steps.iter().filter(|step| step.endpoint.is_some()) {
            let (Some((rule, bus)), Some(who)) = (&step.import.rule, &step.import.who) else {
                continue;
            };
            heading.take().map_or(Ok(()), output::line)?;
            let bus = bus.as_ref().filter(|bus| *bus != "default");
            let bus = bus.map_or_else(String::new, |b| format!(" --event-bus-name {}", quoted(b)));
            let target = quoted(&json!([queue_target(&self.verb.queue, who)]).to_string());
            let rule = quoted(rule);
            output::line(&format!(
                "  aws events put-targets --rule {rule}{bus} --targets {target}"
            ))?;
        }
        if heading.is_none() { output::line("") } else { Ok(()) }
    }

    fn summary(&self) -> String {
        let count = |which: &dyn Fn(&Step) -> bool| self.steps.iter().filter(|s| which(s)).count();
        let whole = count(&|step| step.endpoint.is_some());
        let changed = count(&|step| step.endpoint.is_some() && !step.import.findings.is_empty());
        // A connection's secret may be in several endpoints.
        let mut wait = BTreeSet::new();
        for step in self.steps {
            let lacks = |s: &&Secret| s.no_value.is_some() && s.standing == Standing::New;
            let of_step = step.secrets.iter().filter(lacks);
            wait.extend(of_step.map(|s| (step.import.who.as_ref().map(|w| &w.customer), &s.id)));
        }
        let values = if wait.len() == 1 { "value" } else { "values" };
        let end = if self.verb.apply {
            let written = count(&|step| step.endpoint == Some(Standing::Written));
            let failed = count(&|step| step.problem.is_some());
            format!("{written} written, {failed} failed.")
        } else {
            "Nothing is written yet: --apply does it.".to_owned()
        };
        format!(
            "{} endpoints: {} map as they are, {changed} with a change, {} do not. {} {values} to be put \
             by hand. {end}",
            self.steps.len(),
            whole - changed,
            self.steps.len() - whole,
            wait.len()
        )
    }

    fn as_json(&self) -> Value {
        let secret = |s: &Secret| {
            json!({"secretId": s.id, "standing": s.standing, "origins": s.origins,
                   "noValue": s.no_value})
        };
        let step = |s: &Step| {
            let import = &s.import;
            let (rule, bus) = import.rule.clone().unzip();
            let queue = import.who.as_ref().map(|who| queue_target(&self.verb.queue, who));
            json!({"apiDestination": import.destination, "rule": rule, "eventBus": bus.flatten(),
                   "customerId": import.who.as_ref().map(|who| &who.customer),
                   "endpointId": import.who.as_ref().map(|who| &who.endpoint),
                   "standing": s.endpoint, "endpoint": import.endpoint,
                   "findings": import.findings, "problem": s.problem,
                   "secrets": s.secrets.iter().map(secret).collect::<Vec<_>>(),
                   "queueTarget": queue})
        };
        json!({"applied": self.verb.apply, "unusedConnections": self.unused,
               "imports": self.steps.iter().map(step).collect::<Vec<_>>()})
    }
}

fn tell_step(step: &Step) -> anyhow::Result<()> {
    let import = &step.import;
    let who = import.who.as_ref();
    let name =
        who.map_or_else(|| "?".to_owned(), |who| format!("{}/{}", who.customer, who.endpoint));
    let rule = import.rule.as_ref().map_or_else(
        || "no rule".to_owned(),
        |(rule, bus)| match bus.as_deref().filter(|bus| *bus != "default") {
            Some(bus) => format!("rule {rule} on {bus}"),
            None => format!("rule {rule}"),
        },
    );
    output::line(&format!("{name}: API destination {}, {rule}", import.destination))?;
    let entry = |label: &str, text: &str| output::line(&format!("  {label:<12} {text}"));
    if let (Some(standing), Some(endpoint)) = (step.endpoint, &import.endpoint) {
        entry(
            "endpoint",
            &format!("{}, {} {}", standing.word(), endpoint.method, endpoint.url.as_str()),
        )?;
    }
    for secret in &step.secrets {
        entry("secret", &format!("{}: {}", secret.id, told(step, secret)))?;
    }
    for finding in &import.findings {
        match finding {
            Finding::Change(what) => entry("changes", what)?,
            Finding::Missing(what) => entry("does not map", what)?,
        }
    }
    step.problem.iter().try_for_each(|problem| entry("failed", problem))?;
    output::line("")
}
