//! `sealpost doctor` on a data directory: what is sound is ok, and each planted fault is found, with what
//! mends it, while nothing is changed.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::program::{Program, output, terminate};

/// What only the tests need.
const OF_TESTS: [&str; 4] = [
    "SEALPOST_EGRESS_ALLOW_HTTP",
    "SEALPOST_EGRESS_ALLOW",
    "SEALPOST_EGRESS_PORTS",
    "SEALPOST_LOG_LEVEL",
];

/// A data directory with an endpoint, whose host needs no looking up, and its secret.
fn sound() -> Program {
    let program = Program::new();
    mode(program.data(), 0o700);
    program.ok(&["secret", "put", "acme", "s", "--origin", "https://93.184.215.14"], "canary");
    program.ok(&["tenant-key", "create", "acme"], "");
    let endpoint = json!({"customerId": "acme", "endpointId": "e", "url": "https://93.184.215.14/in",
                          "auth": [{"scheme": "bearer", "secret": "s"}]});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    // What a test does to the file is not undone by what is still in the log.
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    program
}

fn put_endpoint(program: &Program, url: &str, secret: &str) {
    let endpoint = json!({"customerId": "acme", "endpointId": "other", "url": url,
                          "auth": [{"scheme": "bearer", "secret": secret}]});
    let mut command = program.command(&["endpoint", "put", "-"]);
    command.env("SEALPOST_EGRESS_ALLOW_NAMES", "['localhost']");
    crate::program::ok(command, &endpoint.to_string());
}

/// The doctor with its defaults and these settings.
fn command(program: &Program, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = program.command(&[&["doctor", "--json"], arguments].concat());
    for name in OF_TESTS {
        command.env_remove(name);
    }
    command.envs(settings.iter().copied());
    command
}

/// What it reports. Its status says whether something failed.
pub fn report(command: Command) -> Value {
    let examined = output(command, b"");
    let shown = String::from_utf8_lossy(&examined.stderr);
    let report = serde_json::from_slice(&examined.stdout);
    let report: Value = report.unwrap_or_else(|error| panic!("{error}: {shown}"));
    assert_eq!(examined.status.success(), report["failed"] == 0, "{report:#}");
    let printed = String::from_utf8(examined.stdout).unwrap();
    assert!(!printed.contains("canary"), "{printed}");
    report
}

fn examined(program: &Program, settings: &[(&str, &str)]) -> Value {
    report(command(program, &[], settings))
}

/// The checks of a name.
pub fn checks<'r>(report: &'r Value, name: &str) -> Vec<&'r Value> {
    report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == name).collect()
}

/// That a check came out so, of something that was found, with something that mends it.
#[track_caller]
pub fn expect(report: &Value, name: &str, status: &str, found: &str, mend: &str) {
    let is_it = |check: &&&Value| {
        let says = |field: &str, text: &str| check[field].as_str().unwrap_or("").contains(text);
        check["status"] == status && says("found", found) && says("mend", mend)
    };
    let named = checks(report, name);
    assert!(named.iter().any(|check| is_it(&check)), "{name} {status}: {named:#?}");
}

/// Everything that is not as it should be.
pub fn troubles(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap().iter();
    let wrong = checks.filter(|check| check["status"] == "warning" || check["status"] == "failed");
    let names = wrong.map(|check| check["name"].as_str().unwrap());
    // What the machine of the tests is like is not theirs.
    names.filter(|name| !["machine.open_files", "data.space"].contains(name)).collect()
}

/// The names of all files, the key file, and every row of the database. Whoever closes it last moves its
/// log into it, so that its bytes say nothing.
fn contents(program: &Program) -> (BTreeSet<String>, Vec<u8>, Vec<String>) {
    let files = fs::read_dir(program.data()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect();
    let key = fs::read(program.data().join("sealpost.key")).unwrap();
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
            Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
        };
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    let mut tables =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let rows = tables.flat_map(|table| texts(&format!("SELECT * FROM \"{table}\""))).collect();
    (names, key, rows)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_sound_directory_has_no_trouble_and_is_left_as_it_was() {
    let program = sound();
    let before = contents(&program);
    let report = examined(&program, &[]);
    assert_eq!(troubles(&report), [""; 0], "{report:#}");
    for name in
        ["data.key_file", "data.pages", "secrets.open", "endpoints.secrets", "machine.roots"]
    {
        assert_eq!(checks(&report, name)[0]["status"], "ok", "{name}");
    }
    expect(&report, "names.connected", "skipped", "--connect", "");
    assert!(contents(&program) == before, "the doctor has changed something");
    let told = output(program.command(&["doctor"]), b"");
    let told = String::from_utf8(told.stdout).unwrap();
    let line = told.lines().find(|line| line.contains("allow_http")).unwrap();
    assert!(line.starts_with("  warning  allow_http "), "{told}");
    assert!(told.contains("mend     ") && told.ends_with(" skipped\n"), "{told}");
}

#[test]
fn a_directory_that_is_not_there_is_not_made() {
    let program = sound();
    let nowhere = program.data().join("nowhere");
    let mut command = command(&program, &[], &[]);
    command.env("SEALPOST_DATA", &nowhere);
    let report = report(command);
    expect(&report, "data.directory", "failed", "No such file", "--data");
    expect(&report, "secrets.open", "skipped", "", "");
    assert!(!nowhere.exists());
}

#[test]
fn a_key_file_that_is_missing_or_that_others_can_read_is_found_and_none_is_made() {
    let program = sound();
    let key = program.data().join("sealpost.key");
    mode(&key, 0o644);
    expect(&examined(&program, &[]), "data.key_file", "failed", "others can read it", "chmod 600");
    fs::remove_file(&key).unwrap();
    let report = examined(&program, &[]);
    expect(&report, "data.key_file", "failed", "No such file", "put it back");
    expect(&report, "secrets.open", "skipped", "would change it", "");
    expect(&report, "data.pages", "ok", "", "");
    assert!(!key.exists(), "a new key would open nothing");
}

#[test]
fn another_key_file_opens_nothing_and_an_old_key_is_to_be_retired() {
    let program = sound();
    program.ok(&["key", "rotate"], "");
    let report = examined(&program, &[]);
    expect(&report, "secrets.old_key", "warning", "nothing needs it", "sealpost key retire ");
    let other = sound();
    fs::copy(other.data().join("sealpost.key"), program.data().join("sealpost.key")).unwrap();
    let report = examined(&program, &[]);
    expect(&report, "secrets.keys", "failed", "need a key that is not in it, acme/", "back");
    expect(&report, "secrets.open", "failed", "1 do not open", "put");
}

#[test]
fn a_directory_that_others_can_use_is_found() {
    let program = sound();
    mode(program.data(), 0o755);
    expect(&examined(&program, &[]), "data.directory", "warning", "755", "chmod 700");
    mode(program.data(), 0o777);
    expect(&examined(&program, &[]), "data.directory", "failed", "777", "chmod 700");
}

fn layout(program: &Program, version: Option<i64>) -> i64 {
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    if let Some(version) = version {
        database.pragma_update(None, "user_version", version).unwrap();
    }
    database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[test]
fn a_database_of_another_version_is_found_and_left_as_it_is() {
    let program = sound();
    layout(&program, Some(99));
    let report = examined(&program, &[]);
    expect(&report, "data.layout", "failed", "layout 99", "later version");
    expect(&report, "endpoints.usable", "skipped", "", "");
    layout(&program, Some(7));
    let report = examined(&program, &[]);
    expect(&report, "data.layout", "warning", "layout 7", "back the directory up");
    assert_eq!(layout(&program, None), 7, "the doctor upgrades nothing");
}

#[test]
fn a_damaged_database_is_found_and_everything_else_looked_at() {
    let program = sound();
    let file = File::options().write(true).open(program.data().join("sealpost.db")).unwrap();
    // SQLite's largest page: whatever size they have, one is damaged whole.
    let middle = file.metadata().unwrap().len() / 2 / 65_536;
    file.write_all_at(&[0xff; 65_536], middle * 65_536).unwrap();
    let report = examined(&program, &[]);
    expect(&report, "data.pages", "failed", "", "restore the directory");
    expect(&report, "machine.roots", "ok", "", "");
}

#[test]
fn a_clock_that_was_set_back_is_found() {
    let program = sound();
    let file = File::options().write(true).open(program.data().join("sealpost.db")).unwrap();
    #[allow(clippy::disallowed_methods, reason = "the file system goes by the machine's clock")]
    let later = SystemTime::now() + Duration::from_secs(3600);
    file.set_modified(later).unwrap();
    expect(&examined(&program, &[]), "clock.skew", "failed", "behind", "set the clock right");
}

#[test]
fn a_host_that_leads_to_a_private_address_is_found_with_the_setting_that_would_allow_it() {
    let program = sound();
    program.ok(&["secret", "put", "acme", "t", "--origin", "https://localhost"], "canary");
    put_endpoint(&program, "https://localhost/", "t");
    let named = ("SEALPOST_EGRESS_ALLOW_NAMES", "['localhost']");
    let report = examined(&program, &[named]);
    expect(&report, "names.resolved", "warning", "loopback", "to egress.allow");
    let report = examined(&program, &[]);
    expect(
        &report,
        "endpoints.usable",
        "warning",
        "localhost",
        "\"localhost\" to egress.allow_names",
    );
    let allowed = ("SEALPOST_EGRESS_ALLOW", "['127.0.0.0/8', '::1/128']");
    let report = examined(&program, &[named, allowed]);
    expect(&report, "names.resolved", "ok", "2 of 2", "");
    expect(&report, "settings.allow", "warning", "127.0.0.0/8", "receivers of your own");
    let none = self::report(command(&program, &["--endpoints", "0"], &[named]));
    expect(&none, "names.resolved", "skipped", "2 more", "");
}

#[test]
fn secrets_that_are_missing_or_may_not_go_where_they_are_sent_are_found() {
    let program = sound();
    put_endpoint(&program, "https://93.184.215.15/in", "missing");
    program.ok(&["secret", "put", "acme", "s", "--origin", "https://a.example"], "canary-2");
    let report = examined(&program, &[]);
    let put = "sealpost secret put acme missing --origin https://93.184.215.15:443";
    expect(&report, "endpoints.secrets", "warning", "there is none", put);
    let put = "sealpost secret put acme s --origin https://93.184.215.14:443";
    expect(&report, "endpoints.secrets", "failed", "it may go to https://a.example:443", put);
}

#[test]
fn settings_that_are_wrong_or_dangerous_are_named() {
    let program = sound();
    let report = examined(&program, &[("SEALPOST_WORKER_CONCURRENCY", "many")]);
    expect(&report, "settings.load", "failed", "expected", "correct it");
    assert_eq!(
        checks(&report, "settings.load")[0]["what"],
        "SEALPOST_WORKER_CONCURRENCY: worker.concurrency"
    );
    expect(&report, "data.directory", "skipped", "settings cannot be read", "");
    let report = examined(
        &program,
        &[
            ("SEALPOST_EGRESS_ALLOW_HTTP", "true"),
            ("SEALPOST_EGRESS_PROXY", "http://127.0.0.1:1"),
            ("SEALPOST_TRACES_ENDPOINT", "http://127.0.0.1:1"),
            ("SEALPOST_EVENTS_CUSTOMER", "operator"),
            ("SEALPOST_EGRESS_EXTRA_ROOTS", "/nowhere.pem"),
            ("SEALPOST_METRICS_LISTEN", "192.0.2.1:9464"),
        ],
    );
    expect(&report, "settings.allow_http", "warning", "true", "remove egress.allow_http");
    expect(&report, "machine.proxy", "failed", "refused", "egress.proxy");
    expect(&report, "machine.roots", "failed", "/nowhere.pem", "ca-certificates");
    expect(&report, "machine.metrics_listen", "failed", "", "metrics.listen");
    expect(&report, "endpoints.operator", "warning", "no endpoint", "put an endpoint");
    let report = examined(&program, &[("SEALPOST_TRACES_ENDPOINT", "http://127.0.0.1:1")]);
    expect(&report, "machine.collector", "warning", "refused", "traces.endpoint");
}

#[test]
fn an_address_that_another_program_has_is_found() {
    let program = sound();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It hangs up on whoever asks.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let report = examined(&program, &[("SEALPOST_API_LISTEN", &address)]);
    expect(
        &report,
        "machine.api_listen",
        "failed",
        "another program",
        "api.listen to another port",
    );
}

#[test]
fn too_few_open_files_are_found() {
    let program = sound();
    let binary = env!("CARGO_BIN_EXE_sealpost");
    let mut few = Command::new("sh");
    few.args(["-c", &format!("ulimit -n 128; exec {binary} doctor --json")]);
    few.env("SEALPOST_DATA", program.data());
    expect(&report(few), "machine.open_files", "warning", "128 files", "LimitNOFILE");
}

#[test]
fn a_connection_is_made_where_it_is_asked_for_and_nothing_is_sent_over_it() {
    let program = sound();
    program.ok(&["endpoint", "delete", "acme", "e"], "");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    program.ok(&["secret", "put", "acme", "t", "--origin", &format!("http://{address}")], "canary");
    put_endpoint(&program, &format!("http://{address}/in"), "t");
    let allowed = [
        ("SEALPOST_EGRESS_ALLOW", "['127.0.0.1/32']"),
        ("SEALPOST_EGRESS_ALLOW_HTTP", "true"),
        ("SEALPOST_EGRESS_PORTS", "['1-65535']"),
    ];
    let took = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).unwrap();
        sent
    });
    let connect = || report(command(&program, &["--connect"], &allowed));
    expect(&connect(), "names.connected", "ok", "1 took a connection", "");
    assert_eq!(took.join().unwrap(), b"");
    expect(&connect(), "names.connected", "warning", "refused", "start or correct the server");
}

#[test]
fn a_running_worker_is_seen_and_not_disturbed() {
    let program = sound();
    let mut serve = program.command(&["serve", "--json"]);
    serve.env("SEALPOST_METRICS_LISTEN", "127.0.0.1:0").stderr(std::process::Stdio::piped());
    let mut worker = serve.spawn().unwrap();
    let mut log = std::io::BufReader::new(worker.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(&mut log);
    let listening = lines.find(|line| line.as_ref().unwrap().contains("metrics_listening"));
    let listening: Value = serde_json::from_str(&listening.unwrap().unwrap()).unwrap();
    assert!(lines.any(|line| line.unwrap().contains("\"serving\"")));
    let address = listening["address"].as_str().unwrap();
    let report = examined(&program, &[("SEALPOST_METRICS_LISTEN", address)]);
    assert_eq!(troubles(&report), [""; 0], "{report:#}");
    expect(&report, "data.worker", "ok", "a worker is running", "");
    expect(&report, "machine.metrics_listen", "ok", "sealpost serves it", "");
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    expect(&examined(&program, &[]), "data.worker", "ok", "no worker is running", "");
}

/// The names of checks in a folder's sources.
fn names(folder: &Path, found: &mut BTreeSet<String>) {
    const AREAS: [&str; 11] = [
        "settings",
        "machine",
        "data",
        "clock",
        "aws",
        "queue",
        "table",
        "key",
        "access",
        "secrets",
        "endpoints",
    ];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let is_name = |word: &&str| {
            word.split_once('.').is_some_and(|(area, thing)| {
                (AREAS.contains(&area) || area == "names")
                    && thing.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            })
        };
        found.extend(code.split('"').skip(1).step_by(2).filter(is_name).map(str::to_owned));
    }
    for setting in ["secrets.accept_unbound_secrets", "aws.kms_key_id"] {
        found.remove(setting);
    }
}

#[test]
fn every_check_is_in_the_table_of_operations_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut used = BTreeSet::new();
    for folder in ["src/doctor", "src/adapters/aws/checkup", "src/adapters/embedded/checkup"] {
        names(&root.join(folder), &mut used);
    }
    let operations = fs::read_to_string(root.join("docs/OPERATIONS.md")).unwrap();
    let (_, table) = operations.split_once("| check | what it means | what to do |\n").unwrap();
    let rows = table.split("\n\n").next().unwrap().lines().skip(1);
    let listed: BTreeSet<String> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert!(used.len() > 40, "{used:?}");
    assert_eq!(used, listed);
}
