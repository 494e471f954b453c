//! Every metric there is. Names and labels are part of the contract and never change; what they mean
//! stands in docs/OPERATIONS.md too, where a test looks for each.

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often something took how long.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric with its labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What its numbers are.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! families {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: Family = Family {
                name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help,
            };
        )*

        /// Every family, in the order of the documentation.
        pub static FAMILIES: &[&Family] = &[$(&$id,)*];
    };
}

families! {
    BUILD_INFO = Gauge "sealpost_build_info" ["version", "form"]
        "Always 1: the program's version, and whether it is embedded or on AWS";
    START_TIME = Gauge "process_start_time_seconds" []
        "When the process began, in seconds since the Unix epoch";
    CPU = Counter "process_cpu_seconds_total" []
        "Processor time that the process has used, in seconds";
    MEMORY = Gauge "process_resident_memory_bytes" []
        "Memory that the process holds, in bytes";
    OPEN_FILES = Gauge "process_open_fds" []
        "Open files and sockets";

    WORKER_STATE = Gauge "sealpost_worker_state" ["state"]
        "1 for what the worker of this process does: it receives, its queue fails, or it is stopped";
    CONCURRENCY = Gauge "sealpost_worker_concurrency" []
        "Most messages in hand at once";
    IN_HAND = Gauge "sealpost_messages_in_hand" []
        "Messages in hand now";
    RECEIVED = Counter "sealpost_messages_received_total" []
        "Messages taken from the queue, whatever became of them";
    DELIVERIES = Counter "sealpost_deliveries_total" ["outcome"]
        "Deliveries that ended";
    ATTEMPTS = Counter "sealpost_attempts_total" ["outcome"]
        "Attempts, by the class of their status or by how far they came without one";
    ATTEMPT_SECONDS = Histogram "sealpost_attempt_seconds" ["result"]
        "How long attempts took";
    DELIVERY_SECONDS = Histogram "sealpost_delivery_seconds" []
        "How long after its acceptance a job was delivered";
    RETRIES = Counter "sealpost_retries_total" []
        "Attempts that failed and are made again";
    PARKED = Counter "sealpost_parked_total" ["reason"]
        "Jobs put back without an attempt";
    DEAD_LETTERS = Counter "sealpost_dead_letters_total" ["reason"]
        "Jobs given up";
    FAN_OUTS = Counter "sealpost_fan_outs_total" ["result"]
        "Jobs that name no endpoint";
    LEFTOVERS = Counter "sealpost_leftovers_total" []
        "Messages removed because their delivery has gone on without them";
    PREVIOUS_SECRETS = Counter "sealpost_previous_secret_calls_total" []
        "Calls made again with the previous value of a secret";
    BREAKER_CHANGES = Counter "sealpost_breaker_changes_total" ["state"]
        "Breakers that opened, half opened or closed";
    BREAKERS = Gauge "sealpost_breakers" ["state"]
        "Endpoints of this worker whose breaker is open or half open now";
    HEALTH_CHANGES = Counter "sealpost_endpoint_health_total" ["health"]
        "What was learnt of endpoints: paused, deauthorized, disabled, active again";
    TOKEN_REQUESTS = Counter "sealpost_token_requests_total" ["result"]
        "Requests for access tokens";

    QUEUE_MESSAGES = Gauge "sealpost_queue_messages" ["state"]
        "Messages in the queue: pending (waiting, delayed or in hand) and dead; approximate on AWS";
    QUEUE_OLDEST = Gauge "sealpost_queue_oldest_due_seconds" []
        "How long the message that is due for the longest has been due; embedded only";

    FAULTS = Counter "sealpost_faults_total" ["dependency"]
        "Failures on our side, by what failed";
    ALARMS = Counter "sealpost_alarms_total" ["alarm"]
        "Those that do not pass by themselves";
    EVENTS = Counter "sealpost_operational_events_total" ["type"]
        "Operational events";
    EVENTS_DROPPED = Counter "sealpost_operational_events_dropped_total" []
        "Operational events that could not be sent";

    SPANS = Counter "sealpost_spans_total" ["result"]
        "Spans of traced deliveries that the collector took, and that were lost";

    CACHE_LOOKUPS = Counter "sealpost_cache_lookups_total" ["cache", "result"]
        "Lookups in a cache: fresh, stale (used, and read anew in the background) or missing";
    CACHE_ENTRIES = Gauge "sealpost_cache_entries" ["cache"]
        "What a cache holds now";
    KEY_CALLS = Counter "sealpost_key_calls_total" ["operation", "result"]
        "Calls of the key service, or of the key file";
    AWS_CALLS = Counter "sealpost_aws_calls_total" ["service", "operation", "result"]
        "Operations of AWS, retries by the SDK included in one";
    AWS_CALL_SECONDS = Histogram "sealpost_aws_call_seconds" ["service", "operation"]
        "How long operations of AWS took, long polls included";

    API_REQUESTS = Counter "sealpost_api_requests_total" ["method", "route", "status"]
        "Requests to the HTTP API";
    API_REQUEST_SECONDS = Histogram "sealpost_api_request_seconds" ["method", "route"]
        "How long requests to the HTTP API took";
    JOBS_TAKEN = Counter "sealpost_api_jobs_total" ["result"]
        "Jobs handed to the HTTP API";
    REPLAYS_RUNNING = Gauge "sealpost_replays_running" []
        "Replays that this process works on now";
    REPLAYED = Counter "sealpost_replay_letters_total" ["result"]
        "Dead letters that replays came to";
}

/// The family of this name.
pub fn named(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|family| family.name == name)
}
