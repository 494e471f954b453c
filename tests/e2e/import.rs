//! `sealpost import eventbridge`: a folder of saved output and a whole account, planned and written.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::program::Program;

/// What the AWS CLI printed of an account, with everything in it that maps, maps otherwise, or does not.
fn saved() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/eventbridge")
}

fn import(program: &Program, more: &[&str]) -> (bool, Value) {
    let folder = saved();
    let mut arguments = vec![
        "import",
        "eventbridge",
        "--json",
        "--customer",
        "acme",
        "--from",
        folder.to_str().unwrap(),
    ];
    arguments.extend(more);
    let output = program.run(&arguments, b"");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!printed.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.success(), serde_json::from_str(&printed).unwrap())
}

fn named<'v>(plan: &'v Value, endpoint: &str) -> &'v Value {
    let imports = plan["imports"].as_array().unwrap();
    imports.iter().find(|import| import["endpointId"] == endpoint).unwrap()
}

/// The standing of every endpoint and of every secret, by name.
fn standings(plan: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for import in plan["imports"].as_array().unwrap() {
        let name = import["endpointId"].as_str().unwrap();
        found.push(format!("{name} {}", import["standing"].as_str().unwrap_or("none")));
        for secret in import["secrets"].as_array().unwrap() {
            let id = secret["secretId"].as_str().unwrap();
            found.push(format!("{name} {id} {}", secret["standing"].as_str().unwrap()));
        }
    }
    found
}

#[test]
fn everything_of_a_destination_its_connection_and_its_target_comes_into_the_endpoint() {
    let (planned, plan) = import(&Program::new(), &[]);
    assert!(planned);
    let orders = &named(&plan, "orders.order-created")["endpoint"];
    assert_eq!(
        orders,
        &json!({
            "customerId": "acme", "endpointId": "orders.order-created", "profile": "eventbridge",
            "url": "https://hooks.acme.example/*/orders", "method": "POST",
            "pathParameters": [{"event": "$.detail.region"}],
            "headers": {"x-tenant": "acme", "x-second": {"secret": "orders-key.header.x-second"},
                        "x-order": {"event": "$.detail.orderId"}},
            "query": {"v": "2", "from": "rule"}, "bodyParameters": {"site": "acme"},
            "auth": [{"scheme": "api_key", "in": "header", "name": "x-api-key",
                      "secret": "orders-key.api-key"}],
            "body": {"inputTransformer": {
                "inputPathsMap": {"at": "$.time", "id": "$.detail.orderId"},
                "inputTemplate":
                    "{\"order\": <id>, \"at\": <at>, \"rule\": \"<aws.events.rule-name>\"}"}},
            "retry": {"maxAttempts": 10, "maxAge": "1h", "maxDelay": "1h"},
            "limits": orders["limits"],
            "eventbridge": {
                "ruleArn": "arn:aws:events:eu-west-1:123456789012:rule/order-created",
                "targetArn": "arn:aws:events:eu-west-1:123456789012:api-destination/orders/a1a1a1a1-0000-4000-8000-000000000001"},
        })
    );
    assert_eq!(orders["limits"]["rate"], json!({"count": 50, "per": "1s", "burst": 50}));
    let changed = &named(&plan, "orders.order-changed");
    assert_eq!(changed["eventBus"], "shop");
    assert_eq!(
        changed["endpoint"]["body"]["inputTransformer"]["inputTemplate"],
        "{\"changed\": true, \"note\": \"a \\u003c b\"}"
    );
    let crm = &named(&plan, "crm")["endpoint"];
    assert_eq!(crm["body"], json!({"inputPath": "$.detail"}));
    assert_eq!(
        crm["auth"],
        json!([{"scheme": "oauth2_client_credentials", "client_id": "sealpost",
                "token_url": "https://login.crm.example/oauth/token",
                "secret": "crm-oauth.client-secret", "grant_type": "client_credentials",
                "scope": "events.write", "headers": {"x-org": "7"},
                "body": {"ticket": {"secret": "crm-oauth.token-body.ticket"}}}])
    );
    assert_eq!(named(&plan, "invoices-copy")["endpoint"]["retry"], json!({"maxAttempts": 1}));
    assert_eq!(plan["unusedConnections"], json!(["step-functions"]));
}

#[test]
fn the_report_says_what_changes_what_does_not_map_and_what_is_left_to_do() {
    let folder = saved();
    let from = folder.to_str().unwrap();
    let told =
        Program::new().ok(&["import", "eventbridge", "--customer", "acme", "--from", from], "");
    for expected in [
        "does not map its connection arn:aws:events:eu-west-1:123456789012:connection/gone/",
        "changes      the connection is DEAUTHORIZED",
        "changes      the header Cache-Control is left out",
        "not to arn:aws:sqs:eu-west-1:123456789012:orders-dlq",
        "sealpost secret put acme legacy-basic.password --origin https://billing.example:443 \
         --origin https://copy.billing.example:443 < VALUE",
        "connection step-functions: no API destination uses it",
        "aws events put-targets --rule order-changed --event-bus-name shop --targets '[{\"Arn\":\"QUEUE_ARN\"",
        "6 endpoints: 0 map as they are, 5 with a change, 1 do not. 1 value to be put by hand. \
         Nothing is written yet",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in {told}");
    }
    for value in ["orders-key-value", "second-value", "crm-client-secret", "crm-ticket"] {
        assert!(!told.contains(value), "{told}");
    }
}

#[test]
fn an_import_that_is_run_again_writes_nothing_and_never_over_what_somebody_has_changed() {
    let program = Program::new();
    let (whole, plan) = import(&program, &["--apply"]);
    assert!(!whole, "one does not map, and one value is missing");
    let is_one_of = |words: &[&str], line: &str| words.iter().any(|word| line.ends_with(word));
    let written = standings(&plan);
    assert!(
        written.iter().all(|line| is_one_of(&["written", "none", "password new"], line)),
        "{written:?}"
    );
    let listed = program.ok(&["secret", "list", "--customer", "acme", "--json"], "");
    assert_eq!(listed.lines().count(), 4, "{listed}");

    let (_, plan) = import(&program, &["--apply"]);
    let again = standings(&plan);
    assert!(
        again.iter().all(|line| is_one_of(&["kept", "none", "password new"], line)),
        "{again:?}"
    );
    assert_eq!(program.ok(&["secret", "list", "--customer", "acme", "--json"], ""), listed);

    let mut edited = named(&plan, "crm")["endpoint"].clone();
    edited["timeout"] = json!("9s");
    program.ok(&["endpoint", "put", "-"], &edited.to_string());
    let (_, plan) = import(&program, &["--apply"]);
    assert_eq!(named(&plan, "crm")["standing"], "differs");
    let shown = program.ok(&["endpoint", "get", "acme", "crm", "--json"], "");
    assert!(shown.contains("\"timeout\":\"9s\""), "{shown}");
    let (_, plan) = import(&program, &["--apply", "--replace"]);
    assert_eq!(named(&plan, "crm")["standing"], "written");
    let shown = program.ok(&["endpoint", "get", "acme", "crm", "--json"], "");
    assert!(!shown.contains("\"timeout\":"), "{shown}");
}

/// What stands in the queue when EventBridge has filled the new target's template.
#[test]
fn an_event_that_a_rule_sends_to_the_queue_is_called_out_as_eventbridge_would() {
    let program = Program::new();
    let (_, plan) = import(&program, &["--apply"]);
    let event = json!({"version": "0", "id": "e-1", "detail-type": "Order \"Created\"",
                       "source": "com.acme.shop", "account": "123456789012",
                       "time": "2026-11-23T10:00:00Z", "region": "eu-west-1", "resources": [],
                       "detail": {"region": "eu", "orderId": "o-7"}});
    let target = &named(&plan, "orders.order-created")["queueTarget"];
    assert_eq!(
        target["InputTransformer"]["InputPathsMap"],
        json!({"id": "$.id", "type": "$.detail-type"})
    );
    let template = target["InputTransformer"]["InputTemplate"].as_str().unwrap();
    let job = template
        .replace("<id>", &event["id"].to_string())
        .replace("<type>", &event["detail-type"].to_string())
        .replace("<aws.events.event.json>", &event.to_string());
    let shown = program.ok(&["preview", "-"], &job);
    for expected in [
        "POST https://hooks.acme.example/eu/orders?",
        "v=2",
        "from=rule",
        "x-tenant: acme",
        "x-order: o-7",
        r#"{"order":"o-7","at":"2026-11-23T10:00:00Z","rule":"order-created","site":"acme"}"#,
    ] {
        let spaceless = |text: &str| text.replace(": ", ":");
        assert!(spaceless(&shown).contains(&spaceless(expected)), "{expected} is not in {shown}");
    }
}

#[test]
fn a_map_says_whose_each_destination_becomes_and_a_broken_folder_says_where_it_is_broken() {
    let program = Program::new();
    let map = program.data().join("map.json");
    let whose = json!({"crm": {"customerId": "globex", "endpointId": "customers"}});
    std::fs::write(&map, whose.to_string()).unwrap();
    let (_, plan) = import(&program, &["--map", map.to_str().unwrap()]);
    assert_eq!(named(&plan, "customers")["customerId"], "globex");
    assert_eq!(named(&plan, "invoices")["customerId"], "acme");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let refused = program.fails(&["import", "eventbridge", "--from", path], b"");
    assert!(
        refused.contains("neither connections/*.json nor api-destinations/*.json"),
        "{refused}"
    );
    std::fs::create_dir(folder.path().join("connections")).unwrap();
    std::fs::write(folder.path().join("connections/k.json"), "{\"Name\": \"k\"}").unwrap();
    let refused = program.fails(&["import", "eventbridge", "--from", path], b"");
    assert!(
        refused.contains("connections/k.json") && refused.contains("ConnectionArn"),
        "{refused}"
    );
}

/// Files may come from anywhere: what they hold is neither repeated where it is a value, nor run where it is
/// a name in a command that is printed to be pasted.
#[test]
fn a_complaint_repeats_no_value_and_a_printed_command_runs_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(saved().join(".")).arg(folder.path()).status();
    assert!(copied.unwrap().success());
    let rule = folder.path().join("rules/customer-changed.json");
    let text = std::fs::read_to_string(&rule).unwrap();
    std::fs::write(&rule, text.replace("\"Name\": \"customer-changed\"", "\"Name\": \"a$(id)'b\""))
        .unwrap();
    let arguments = ["import", "eventbridge", "--customer", "acme", "--queue", "x';id;'"];
    let with_folder = [&arguments[..], &["--from", folder.path().to_str().unwrap()]].concat();
    let program = Program::new();
    let told = program.ok(&with_folder, "");
    assert!(told.contains(r#"put-targets --rule 'a$(id)'\''b' --targets"#), "{told}");
    assert!(told.contains(r#""Arn":"x'\'';id;'\''""#), "{told}");

    let secret = folder.path().join("secrets/orders-key.json");
    std::fs::write(&secret, r#"{"ARN": "arn", "SecretString": 1234567}"#).unwrap();
    let refused = program.fails(&with_folder, b"");
    assert!(
        refused.contains("secrets/orders-key.json") && !refused.contains("1234567"),
        "{refused}"
    );
}

/// The account itself, over the wire, has the same in it as what was saved of it.
#[cfg(feature = "aws")]
#[test]
fn a_whole_account_is_read_over_the_wire_with_its_values() {
    let account = account::Account::start();
    let program = Program::new();
    let read = |more: &[&str]| {
        let mut command =
            program.command(&["import", "eventbridge", "--json", "--customer", "acme"]);
        command.args(more).envs(account.variables());
        let output = command.output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{printed}{log}");
        assert!(!log.contains("crm-ticket") && !printed.contains("crm-ticket"), "{log}");
        serde_json::from_str::<Value>(&printed).unwrap()
    };
    let (live, (_, from_files)) = (read(&[]), import(&Program::new(), &[]));
    let without_arns = |plan: &Value| {
        let imports =
            plan["imports"].as_array().unwrap().iter().filter(|i| i["endpoint"].is_object());
        imports
            .map(|import| {
                let mut endpoint = import["endpoint"].clone();
                endpoint.as_object_mut().unwrap().remove("eventbridge");
                endpoint
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(without_arns(&live), without_arns(&from_files));
    let applied = read(&["--apply"]);
    assert!(standings(&applied).iter().all(|line| line.ends_with("written")), "{applied}");
    let again = read(&["--apply"]);
    assert!(standings(&again).iter().all(|line| line.ends_with("kept")), "{again}");
}

/// The commands as they are written, with the AWS CLI on such an account.
#[cfg(feature = "aws")]
#[test]
fn the_commands_of_the_migration_guide_work_as_written() {
    let account = account::Account::start();
    let program = Program::new();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/MIGRATING-FROM-EVENTBRIDGE.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let script: String =
        guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let mut command = Command::new("sh");
    let ours = Path::new(env!("CARGO_BIN_EXE_sealpost")).parent().unwrap();
    let path = format!("{}:{}", ours.display(), account.path());
    command.args(["-euc", &script]).current_dir(program.data()).env("PATH", path);
    let output = command.envs(account.variables()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for expected in
        ["Nothing is written yet", "5 written, 0 failed", "https://api.crm.example/v1/events"]
    {
        assert!(printed.contains(expected), "{expected} is not in {printed}");
    }
}

#[cfg(feature = "aws")]
mod account {
    use std::io::{BufRead, BufReader};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    /// An emulated account; ends when this is dropped. Installed by `make eventbridge`.
    pub struct Account {
        process: Child,
        url: String,
        folder: PathBuf,
    }

    impl Account {
        pub fn start() -> Self {
            let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            let folder = std::env::var_os("EVENTBRIDGE_DIR")
                .map_or_else(|| here.join("target/eventbridge"), PathBuf::from);
            let mut process = Command::new(folder.join("venv/bin/python"))
                .arg(here.join("tests/eventbridge/account.py"))
                .arg(super::saved())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| {
                    panic!("no emulator in {}: run `make eventbridge` ({e})", folder.display())
                });
            let mut url = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
            assert!(url.starts_with("http://"), "the emulator did not start: {url:?}");
            Self { process, url: url.trim().to_owned(), folder }
        }

        /// Where the AWS CLI is found, and everything else.
        pub fn path(&self) -> String {
            format!("{}:{}", self.folder.join("venv/bin").display(), std::env::var("PATH").unwrap())
        }

        pub fn variables(&self) -> [(&str, &str); 6] {
            [
                // AWS's own tools take proxies from the environment; only endpoints are never called so.
                ("NO_PROXY", "127.0.0.1"),
                ("AWS_DEFAULT_REGION", "eu-west-1"),
                ("AWS_ENDPOINT_URL", &self.url),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
            ]
        }
    }

    impl Drop for Account {
        fn drop(&mut self) {
            drop(self.process.stdin.take());
            let _ = self.process.wait();
        }
    }
}
