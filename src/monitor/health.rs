//! Whether the process lives, and whether it can do its work.

use serde::Serialize;
use utoipa::ToSchema;

use super::Monitor;
use crate::telemetry::WorkerState;
use crate::telemetry::pulse::Pulse;

/// Whether the process lives. One that does not is to be started anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Live {
    /// `ok`, or `stuck`: a loop of the worker has not been heard of in time.
    status: &'static str,
    /// `ok` or `late`: the loop that receives; absent if no worker runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving: Option<&'static str>,
    /// `ok` or `late`: the loop that renews leases.
    #[serde(skip_serializing_if = "Option::is_none")]
    leases: Option<&'static str>,
}

/// Whether each part can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// `ok` or `failing`: where endpoints, secrets and API keys are kept.
    stores: &'static str,
    /// `ok` or `failing`: where jobs wait.
    queue: &'static str,
    /// `ok` or `failing`: the key service failed within the last minute and has not worked since.
    keys: &'static str,
    /// `receiving`, `failing` or `stopped`; absent if no worker runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'static str>,
}

impl Live {
    /// Whether it lives.
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

impl Ready {
    /// Whether it can do its work.
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

impl Monitor {
    /// Whether the process lives. Asks nobody.
    pub fn live(&self) -> Live {
        let tally = &self.app.tally;
        let is_stuck = tally.receiving.is_late() || tally.leases.is_late();
        let word = |pulse: &Pulse| if pulse.is_late() { "late" } else { "ok" };
        let of_worker = |pulse: &Pulse| self.worker.is_some().then(|| word(pulse));
        Live {
            status: if is_stuck { "stuck" } else { "ok" },
            receiving: of_worker(&tally.receiving),
            leases: of_worker(&tally.leases),
        }
    }

    /// Whether the process can do its work.
    pub async fn ready(&self) -> Ready {
        let (seen, app) = (self.reading().await, &self.app);
        let keys = !app.tally.counters.keys.is_failing(app.clock.now());
        let worker = self.worker.as_ref().map(|_| app.tally.worker());
        let works = worker.is_none_or(|worker| worker == WorkerState::Receiving);
        let is_ready = seen.stores && seen.depth.is_some() && keys && works;
        let word = |ok: bool| if ok { "ok" } else { "failing" };
        Ready {
            status: if is_ready { "ready" } else { "not_ready" },
            stores: word(seen.stores),
            queue: word(seen.depth.is_some()),
            keys: word(keys),
            worker: worker.map(WorkerState::word),
        }
    }
}
