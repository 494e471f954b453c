//! The scenarios, in the order in which they are measured.

use clap::ValueEnum;

use crate::embedded;
use crate::run::Run;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Embedded, all in one process: taken over the API, delivered, acknowledged
    Whole,
    /// Embedded: a backlog that another process enqueued
    Backlog,
    /// Embedded: from a job's making to its arrival
    Latency,
    /// Embedded: a backlog of 200,000 jobs
    Drain,
    /// Embedded: attempts that fail and are retried at once
    Storm,
    /// Embedded: 1, 1,000 and 10,000 endpoints
    Endpoints,
    /// Embedded: bodies of 200 bytes to 256 KB
    Bodies,
    /// Embedded: one scheme after the other
    Schemes,
    /// Embedded: nothing to do
    Idle,
    /// Embedded: from the start to the first delivery
    Startup,
    /// AWS: a backlog
    #[cfg(feature = "aws")]
    Aws,
    /// AWS: nothing to do
    #[cfg(feature = "aws")]
    AwsIdle,
    /// AWS: calls, and what they cost
    #[cfg(feature = "aws")]
    Dollars,
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    Scenario::value_variants().to_vec()
}

impl Scenario {
    /// How often it is measured where `runs` are asked for: what takes long, less often.
    pub fn runs(self, runs: usize) -> usize {
        match self {
            Self::Whole | Self::Backlog | Self::Latency | Self::Startup => runs,
            Self::Storm | Self::Endpoints | Self::Bodies | Self::Schemes => runs.min(3),
            Self::Drain | Self::Idle => runs.min(2),
            #[cfg(feature = "aws")]
            Self::Aws => runs,
            #[cfg(feature = "aws")]
            Self::AwsIdle => runs.min(2),
            #[cfg(feature = "aws")]
            Self::Dollars => runs.min(1),
        }
    }

    /// One run.
    pub fn measure(self, run: &mut Run<'_>) -> anyhow::Result<()> {
        match self {
            Self::Whole => embedded::whole::measure(run),
            Self::Backlog => embedded::backlog::measure(run),
            Self::Latency => embedded::latency::measure(run),
            Self::Drain => embedded::drain::measure(run),
            Self::Storm => embedded::storm::measure(run),
            Self::Endpoints => embedded::endpoints::measure(run),
            Self::Bodies => embedded::bodies::measure(run),
            Self::Schemes => embedded::schemes::measure(run),
            Self::Idle => embedded::idle::measure(run),
            Self::Startup => embedded::startup::measure(run),
            #[cfg(feature = "aws")]
            Self::Aws => crate::aws::backlog::measure(run),
            #[cfg(feature = "aws")]
            Self::AwsIdle => crate::aws::idle::measure(run),
            #[cfg(feature = "aws")]
            Self::Dollars => crate::aws::dollars::measure(run),
        }
    }
}
