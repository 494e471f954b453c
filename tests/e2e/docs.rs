//! What the documents say holds: their commands work, and their tables are whole.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use sealpost::config::Config;
use sealpost::domain::kept_body::BodyFate;
use sealpost::domain::operational_event::Fact;
use sealpost::domain::reason::Reason;
use sealpost::domain::resend::ResendOutcome;

use crate::program::{Program, terminate};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The shell commands of a text.
fn commands(text: &str) -> String {
    text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// Runs commands as they are written, in the program's data directory; returns what they printed.
fn run(program: &Program, script: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_sealpost")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(program.data()).env("PATH", path);
    // Settings of the tests are none of the program's.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEALPOST_TEST_")) {
        command.env_remove(name);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_commands_of_the_readme_and_of_operations_work_as_written() {
    let program = Program::new();
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
    std::fs::write(program.data().join("signing.key"), key).unwrap();
    std::fs::write(program.data().join("new-signing.key"), key).unwrap();
    let readme = document("README.md");
    let usage = readme.split("## Use").nth(1).unwrap();
    // All but the last, which runs until it is stopped; other tests run that one.
    let script = commands(usage).replace("sealpost serve\n", "");
    let printed = run(&program, &script);
    assert!(printed.contains("accepted 1 job") && printed.contains("webhook-signature: v1,"));
    assert!(printed.contains("block  10.0.0.1"), "{printed}");
    assert!(
        readme.contains("cargo run --release --no-default-features -- demo")
            && readme.contains("make test")
    );

    let printed = run(&program, &commands(&document("docs/AUTH.md")));
    assert!(printed.contains("mtls") && printed.contains("\"scheme\": \"standard_webhooks\""));
    assert!(run(&program, &commands(&document("docs/CONSOLE.md"))).starts_with("sp_"));
    let printed = run(&program, &commands(&document("docs/OPERATIONS.md")));
    assert!(
        printed.contains("replayed 0")
            && printed.contains("\"version\":1")
            && printed.contains("purged 0"),
        "{printed}"
    );
}

#[test]
fn the_recipes_work_as_written() {
    let printed = run(&Program::new(), &commands(&document("docs/RECIPES.md")));
    for expected in [
        "stripe-signature: t=",
        "services/oauth2/token",
        " bank-certificate ",
        "authorization: ********",
        "x-api-key: ********",
        "x-hub-signature-256: sha256=",
    ] {
        assert!(printed.contains(expected), "{expected} is not in {printed}");
    }
    for secret in ["9f8e7d6c5b4a", "consumer-secret\n", "wJalrXUtnFEMI", "an-example-key"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

/// As its readers run them: beside a server, whose address stands in `API`.
#[test]
fn the_commands_of_the_api_work_as_written() {
    let program = Program::new();
    let mut serve = program.command(&["serve", "--json"]);
    serve.env("SEALPOST_API_LISTEN", "127.0.0.1:0").stderr(Stdio::piped());
    let mut serving = serve.spawn().unwrap();
    let mut log = BufReader::new(serving.stderr.take().unwrap()).lines();
    let line = log.find(|line| line.as_ref().unwrap().contains("api_listening")).unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    // What is not read would fill the pipe and stop the server.
    let rest = std::thread::spawn(move || log.map_while(Result::ok).collect::<Vec<_>>());
    let api = format!("API=http://{}\nexport SEALPOST_DATA=.\n", line["address"].as_str().unwrap());
    let printed = run(&program, &(api + &commands(&document("docs/API.md"))));
    terminate(&serving);
    assert!(serving.wait().unwrap().success());
    for expected in [
        r#""secretId":"signing""#,
        r#""endpointId":"orders""#,
        r#""duplicate":false"#,
        r#"{"accepted":2,"duplicates":0,"rejected":0,"errors":[]}"#,
        r#"{"data":["#,
        r#""worker":"receiving"}"#,
    ] {
        assert!(printed.contains(expected), "{expected} is not in {printed}");
    }
    assert!(!printed.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{printed}");
    let log = rest.join().unwrap().join("\n");
    assert!(log.contains(r#""event":"stopped""#), "{log}");
    assert!(log.contains(r#""path":"/v1/customers/acme/secrets/signing""#), "{log}");
    assert!(!log.contains("sp_") && !log.contains("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{log}");
}

/// The table of docs/COST.md holds what the command prints.
#[test]
fn the_commands_of_cost_work_as_written_and_give_its_table() {
    let cost = document("docs/COST.md");
    let printed = run(&Program::new(), &commands(&cost));
    // The first command is the one of the table.
    let (first, _) = printed.split_once("Not in any bill").unwrap();
    let (_, comparison) = first.rsplit_once(" a month ").unwrap();
    let table = cost.split("| a month |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().skip(2).map(|row| row.trim_matches('|').split(" | ").collect()).collect();
    assert_eq!(rows.len(), 7, "{table}");
    for row in rows {
        let [name, article, today] = row[..] else { panic!("{row:?}") };
        let shown = comparison.lines().find(|line| line.trim_start().starts_with(name.trim()));
        let shown = shown.unwrap_or_else(|| panic!("{name} is not in {comparison}"));
        let cells: Vec<&str> =
            shown.trim().split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
        assert_eq!(cells, [name.trim(), article.trim(), today.trim()]);
    }
}

#[test]
fn the_reference_lists_every_reason_and_every_setting() {
    let reference = document("docs/REFERENCE.md");
    for reason in Reason::ALL {
        let row = format!("| `{}` | {} |", reason.code(), reason.advice());
        assert!(reference.contains(&row), "docs/REFERENCE.md lacks: {row}");
    }
    for alarm in sealpost::ports::Alarm::ALL {
        let row = format!("| `{}` | ", alarm.name());
        assert!(document("docs/OPERATIONS.md").contains(&row), "docs/OPERATIONS.md lacks: {row}");
    }
    for event_type in Fact::TYPES {
        let row = format!("| `{event_type}` | ");
        assert!(document("docs/OPERATIONS.md").contains(&row), "docs/OPERATIONS.md lacks: {row}");
    }
    for fate in BodyFate::ALL {
        let row = format!("| `{}` | {} |", fate.name(), fate.advice());
        assert!(reference.contains(&row), "docs/REFERENCE.md lacks: {row}");
    }
    for outcome in ResendOutcome::ALL {
        let row = format!("| `{}` | ", outcome.name());
        assert!(reference.contains(&row), "docs/REFERENCE.md lacks: {row}");
    }
    let mut config = Config::default();
    config.events.customer = Some("operator".parse().unwrap());
    config.cache.soft = Some(std::time::Duration::from_secs(1));
    config.cache.hard = config.cache.soft;
    config.egress.extra_roots = Some("roots.pem".into());
    config.egress.proxy = Some("http://10.0.0.9:3128".parse().unwrap());
    config.egress.proxy_authorization_file = Some("proxy.txt".into());
    let url = "https://sqs.eu-west-1.amazonaws.com/1/q";
    let aws = serde_json::json!({"queue_url": url, "dead_letter_queue_url": url, "kms_key_id": "k", "senders": {}});
    config.egress.webhook_origin = Some("hooks.example.com".parse().unwrap());
    config.api.listen = Some(config.api.address());
    config.metrics.listen = config.api.listen;
    config.traces.endpoint = Some("http://127.0.0.1:4318".parse().unwrap());
    config.aws = Some(serde_json::from_value(aws).unwrap());
    for (section, keys) in toml::Table::try_from(config).unwrap() {
        for key in keys.as_table().unwrap().keys() {
            let row = format!("| `{section}.{key}` |");
            assert!(reference.contains(&row), "docs/REFERENCE.md lacks: {row}");
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for name in [
        "README.md",
        "docs/AUTH.md",
        "docs/TRANSFORMS.md",
        "docs/EVENTBRIDGE.md",
        "docs/REFERENCE.md",
        "docs/SEALED-FORMAT.md",
        "docs/SECURITY.md",
        "docs/ARCHITECTURE.md",
        "docs/OPERATIONS.md",
        "docs/COST.md",
        "docs/AWS.md",
        "docs/API.md",
        "docs/CONSOLE.md",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for rest in document(name).split("](").skip(1) {
            let target = rest.split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = folder.parent().unwrap().join(file);
            let path = if file.is_empty() { folder.clone() } else { path };
            assert!(path.exists(), "{name}: {target}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(path).unwrap();
                let lower = text.to_lowercase().replace(' ', "-");
                assert!(lower.contains(&format!("#-{heading}\n")), "{name}: {target}");
            }
        }
    }
}
