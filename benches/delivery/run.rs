//! One run of the scenarios, and the bare sender beside which its figures are put.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::bare_sender::{self, Bare, Load};
use crate::summary::Summary;

/// What scenarios are asked for, and where they put what they measure.
pub struct Run<'a> {
    /// Deliveries where a scenario does not say otherwise.
    pub jobs: usize,
    /// How long jobs come while latency is measured.
    pub span: Duration,
    /// How long a worker on AWS uses an endpoint and a secret before it reads them anew.
    pub cache_lifetime: Duration,
    /// Where data directories are made.
    pub folder: PathBuf,
    summary: &'a mut Summary,
    bare: HashMap<Load, Bare>,
}

impl<'a> Run<'a> {
    /// A run that adds to a summary.
    pub fn new(bench: &crate::Bench, summary: &'a mut Summary) -> Self {
        Self {
            jobs: bench.jobs,
            span: Duration::from_secs(bench.seconds),
            cache_lifetime: Duration::from_secs(bench.cache_lifetime),
            folder: bench.folder.clone(),
            summary,
            bare: HashMap::new(),
        }
    }

    /// Adds a figure.
    pub fn add(&mut self, key: &str, unit: &'static str, value: f64) {
        self.summary.add(key, unit, value, None);
    }

    /// Adds the processor time of a delivery and the rate, each beside the bare sender's under the same load.
    pub fn add_work(
        &mut self,
        scenario: &str,
        load: Load,
        cpu_us: f64,
        per_second: f64,
    ) -> anyhow::Result<()> {
        let bare = self.bare(load)?;
        let key = |figure: &str| format!("{scenario}.{figure}");
        self.summary.add(&key("cpu"), "µs a delivery", cpu_us, Some(bare.cpu_us));
        self.summary.add(&key("rate"), "deliveries/s", per_second, Some(bare.per_second));
        Ok(())
    }

    /// What the bare sender does in this run, measured when it is first asked for.
    pub fn bare(&mut self, load: Load) -> anyhow::Result<Bare> {
        if let Some(known) = self.bare.get(&load) {
            return Ok(*known);
        }
        let bare = bare_sender::measure(self.jobs * 5, load)?;
        let name = format!("bare_sender.{}_bytes.{}_connections", load.body_len, load.connections);
        self.add(&format!("{name}.cpu"), "µs a request", bare.cpu_us);
        self.add(&format!("{name}.rate"), "requests/s", bare.per_second);
        self.add(&format!("{name}.headers"), "bytes", bare.head_bytes as f64);
        self.bare.insert(load, bare);
        Ok(bare)
    }
}
