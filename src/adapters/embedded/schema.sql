CREATE TABLE IF NOT EXISTS messages (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused: a lease names it
    message_id TEXT    NOT NULL,
    due_at     INTEGER NOT NULL,
    sent_at    INTEGER NOT NULL,
    receives   INTEGER NOT NULL DEFAULT 0,        -- receivers that crashed while they held it
    state      BLOB,
    body       BLOB    NOT NULL,
    ordering_group TEXT,                          -- see turns.rs
    position   INTEGER,                           -- in its group
    not_before INTEGER                            -- while others of its group are before it
);
CREATE INDEX IF NOT EXISTS messages_due ON messages (due_at, seq);
CREATE INDEX IF NOT EXISTS messages_group ON messages (ordering_group, position)
    WHERE ordering_group IS NOT NULL;

CREATE TABLE IF NOT EXISTS dead_messages (
    id         TEXT PRIMARY KEY,
    message_id TEXT    NOT NULL,
    sent_at    INTEGER NOT NULL,
    state      BLOB,
    body       BLOB    NOT NULL,
    ordering_group TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS endpoints (
    customer_id TEXT    NOT NULL,
    endpoint_id TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    config      TEXT,                             -- NULL once deleted: the version is kept
    PRIMARY KEY (customer_id, endpoint_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS health (
    customer_id TEXT    NOT NULL,
    endpoint_id TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    health      TEXT    NOT NULL,
    PRIMARY KEY (customer_id, endpoint_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS secrets (
    customer_id TEXT    NOT NULL,
    secret_id   TEXT    NOT NULL,
    version     INTEGER NOT NULL,                 -- the last one given
    record      TEXT,                             -- NULL once deleted: the version is kept
    PRIMARY KEY (customer_id, secret_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS secret_versions (      -- history: versions that are in use no more
    customer_id TEXT    NOT NULL,
    secret_id   TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    record      TEXT    NOT NULL,
    PRIMARY KEY (customer_id, secret_id, version)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS message_fences (
    customer_id TEXT    NOT NULL,
    job_id      TEXT    NOT NULL,
    endpoint_id TEXT    NOT NULL,
    round       INTEGER NOT NULL,
    message_id  TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    token       TEXT    NOT NULL,
    lease_until INTEGER NOT NULL,
    record      TEXT,                             -- the attempt and what was decided
    PRIMARY KEY (customer_id, job_id, endpoint_id, round, message_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS message_fences_age ON message_fences (lease_until);

CREATE TABLE IF NOT EXISTS fan_outs (
    customer_id TEXT    NOT NULL,
    job_id      TEXT    NOT NULL,
    round       INTEGER NOT NULL,
    message_id  TEXT    NOT NULL,
    fixed_at    INTEGER NOT NULL,
    endpoints   TEXT    NOT NULL,                 -- their ids, in JSON
    PRIMARY KEY (customer_id, job_id, round, message_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fan_outs_age ON fan_outs (fixed_at);

CREATE TABLE IF NOT EXISTS dead_letters (
    id      TEXT    PRIMARY KEY,
    dead_at INTEGER NOT NULL,
    letter  TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dead_letters_age ON dead_letters (dead_at, id);
CREATE INDEX IF NOT EXISTS dead_letters_customer
    ON dead_letters (json_extract(letter, '$.customerId'), dead_at, id);

CREATE TABLE IF NOT EXISTS dry_runs (
    id     TEXT    PRIMARY KEY,
    until  INTEGER NOT NULL,
    answer TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dead_letter_claims (   -- which replay has a letter in hand
    id        TEXT    PRIMARY KEY,
    replay_id TEXT    NOT NULL,
    until     INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dead_letter_claims_age ON dead_letter_claims (until);

CREATE TABLE IF NOT EXISTS replays (
    id      TEXT    PRIMARY KEY,                  -- sorts by time
    version INTEGER NOT NULL,
    record  TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS delivery_records (     -- to be looked at; nothing depends on them
    id          TEXT    PRIMARY KEY,
    customer_id TEXT    NOT NULL,
    endpoint_id TEXT    NOT NULL,
    accepted_at INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    record      TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_records_customer
    ON delivery_records (customer_id, accepted_at, id);
CREATE INDEX IF NOT EXISTS delivery_records_endpoint
    ON delivery_records (customer_id, endpoint_id, accepted_at, id);
CREATE INDEX IF NOT EXISTS delivery_records_job
    ON delivery_records (customer_id, json_extract(record, '$.jobId'), accepted_at, id);
CREATE INDEX IF NOT EXISTS delivery_records_undelivered   -- few, and what people look for
    ON delivery_records (customer_id, json_extract(record, '$.status'), accepted_at, id)
    WHERE json_extract(record, '$.status') <> 'delivered';
CREATE INDEX IF NOT EXISTS delivery_records_age ON delivery_records (until);

CREATE TABLE IF NOT EXISTS attempt_records (
    delivery_id TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    record      TEXT    NOT NULL,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS kept_bodies (          -- jobs of recorded deliveries, to be sent again
    delivery_id TEXT    PRIMARY KEY,
    until       INTEGER NOT NULL,
    sealed      BLOB    NOT NULL
);
CREATE INDEX IF NOT EXISTS kept_bodies_age ON kept_bodies (until);

CREATE TABLE IF NOT EXISTS resends (              -- who had a delivery sent again, and what came of it
    delivery_id TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    what        TEXT    NOT NULL,
    until       INTEGER NOT NULL,
    line        TEXT    NOT NULL,
    PRIMARY KEY (delivery_id, at, what)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS resends_age ON resends (until);

CREATE TABLE IF NOT EXISTS api_keys (
    id        TEXT    PRIMARY KEY,
    is_token  INTEGER NOT NULL,                   -- a customer's, and not listed
    forget_at INTEGER,
    record    TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS api_keys_age ON api_keys (forget_at);

CREATE TABLE IF NOT EXISTS submissions (          -- jobs with an id that came over the API
    key        TEXT    PRIMARY KEY,
    sha256     TEXT    NOT NULL,
    begun_at   INTEGER NOT NULL,
    message_id TEXT                               -- once it was sent
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS submissions_age ON submissions (begun_at);

CREATE TABLE IF NOT EXISTS test_calls (           -- with their answers, for an hour
    id     TEXT    PRIMARY KEY,
    until  INTEGER NOT NULL,
    record TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS test_calls_age ON test_calls (until);

CREATE TABLE IF NOT EXISTS event_types (
    name   TEXT PRIMARY KEY,
    record TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS changes (              -- one row: how often what caches keep was changed
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
);
INSERT OR IGNORE INTO changes VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS endpoints_inserted AFTER INSERT ON endpoints
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS endpoints_updated AFTER UPDATE ON endpoints
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS endpoints_deleted AFTER DELETE ON endpoints
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS health_inserted AFTER INSERT ON health
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS health_updated AFTER UPDATE ON health
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS health_deleted AFTER DELETE ON health
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS secrets_inserted AFTER INSERT ON secrets
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS secrets_updated AFTER UPDATE ON secrets
    BEGIN UPDATE changes SET count = count + 1; END;
CREATE TRIGGER IF NOT EXISTS secrets_deleted AFTER DELETE ON secrets
    BEGIN UPDATE changes SET count = count + 1; END;
