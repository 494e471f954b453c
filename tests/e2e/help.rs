//! Every command explains itself, and the example in its `--help` works as it is written.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use sealpost::cli::Cli;
use serde_json::json;

use crate::program::{Program, terminate};

/// The id that the examples write for a dead letter.
const EXAMPLE_ID: &str = "dl_0123456789abcdef01234567";
/// The id that the examples write for a replay.
const EXAMPLE_REPLAY: &str = "rp_0123456789abcdef01234567";
/// The id that the examples write for a delivery.
const EXAMPLE_DELIVERY: &str = "dv_0123456789abcdef01234567";

/// The id that the examples write for a key of the API.
const EXAMPLE_KEY: &str = "key_0123456789abcdef0123";

/// The examples of a command and of those below it.
fn examples(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
    let mut below = command.get_subcommands().filter(|c| c.get_name() != "help").peekable();
    if below.peek().is_some() {
        below.for_each(|c| examples(c, &format!("{path} {}", c.get_name()), found));
        return;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let example = help.strip_prefix("Example:\n").and_then(|rest| rest.lines().next());
    let example = example.unwrap_or_else(|| panic!("`{path} --help` has no example")).trim();
    assert!(example.contains(path), "the example of `{path}` shows another command");
    found.push((path.to_owned(), example.to_owned()));
}

/// A directory in which every example can work: files that it reads, an endpoint, a secret and a
/// dead letter. Returns the dead letter's id.
fn prepare(program: &Program) -> String {
    let folder = program.data();
    let job = json!({"customerId": "acme", "endpointId": "orders", "data": 1}).to_string();
    std::fs::write(folder.join("job.json"), &job).unwrap();
    std::fs::write(folder.join("signing.key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let captured = "POST /hook HTTP/1.1\r\nHost: acme.example\r\n\
                    webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\n\
                    webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\r\n\
                    {\"test\": 2432232314}";
    std::fs::write(folder.join("request.http"), captured).unwrap();
    std::fs::write(folder.join("sealpost.toml"), "[log]\nformat = 'json'\n").unwrap();
    // Twice: there is a version to go back to.
    for _ in 0..2 {
        program.ok(&["secret", "put", "acme", "signing", "--origin", "https://acme.example"], "k");
    }
    program.ok(&["tenant-key", "create", "acme"], "");
    let account = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/eventbridge");
    std::os::unix::fs::symlink(account, folder.join("saved")).unwrap();
    program.ok(&["event-type", "put", "order.created"], "");
    let endpoint = json!({"customerId": "acme", "endpointId": "orders",
                          "url": "https://acme.example/hook"});
    // The job comes before the endpoint, so that it is dead-lettered without a call.
    program.ok(&["enqueue", "-"], &job);
    let mut worker = program.serve();
    let letters = program.dead_letters(1);
    terminate(&worker);
    worker.wait().unwrap();
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let letter: serde_json::Value = serde_json::from_str(&letters).unwrap();
    letter["id"].as_str().unwrap().to_owned()
}

/// Makes a delivery that fails and is recorded; returns its id.
fn record(program: &Program) -> String {
    let endpoint = json!({"customerId": "acme", "endpointId": "nobody", "url": "http://127.0.0.1:1/",
                          "retry": {"maxAttempts": 1}});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let job = json!({"customerId": "acme", "endpointId": "nobody", "data": 1}).to_string();
    program.ok(&["enqueue", "-"], &job);
    let mut worker = program.command(&["serve"]);
    worker.env("SEALPOST_DELIVERIES_RECORD", "failures").env("SEALPOST_LOG_LEVEL", "error");
    let mut worker = worker.spawn().unwrap();
    program.dead_letters(2);
    terminate(&worker);
    worker.wait().unwrap();
    let recorded = program.ok(&["delivery", "list", "acme", "--json"], "");
    let recorded: serde_json::Value = serde_json::from_str(&recorded).unwrap();
    recorded["id"].as_str().unwrap().to_owned()
}

/// A shell in `folder` that finds the program and uses `folder` as its data directory.
fn shell(program: &Program, script: &str, folder: &Path) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_sealpost")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut command = program.command(&[]);
    let variables: Vec<_> =
        command.get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
    command = Command::new("sh");
    for (name, value) in variables {
        command.env(name, value.unwrap_or_default());
    }
    command.args(["-euc", script]).current_dir(folder).env("PATH", path);
    command.env("SEALPOST_DATA", folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_commands_for_aws_work_as_written() {
    let cloud = crate::cloud::Cloud::start().await;
    let folder = cloud.program.data();
    std::fs::rename(folder.join("aws.toml"), folder.join("sealpost.toml")).unwrap();
    let mut found = Vec::new();
    examples(&Cli::command(), "sealpost", &mut found);
    let example = |path: &str| found.iter().find(|(p, _)| p == path).unwrap().1.clone();
    let run = |script: &str| {
        let mut command = shell(&cloud.program, script, folder);
        command.envs(cloud.variables());
        command
    };
    let created = run(&example("sealpost tables create")).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    begin_and_stop(run(&format!("exec {}", example("sealpost worker"))));
    let runtime = crate::lambda::Runtime::start().await;
    let lambda = example("sealpost lambda").replace("sealpost lambda", "exec sealpost lambda");
    let [(variable, address), others @ ..] = runtime.variables();
    let mut lambda =
        run(&lambda
            .replace(&format!("{variable}=127.0.0.1:9001"), &format!("{variable}={address}")));
    lambda.envs(others);
    begin_and_stop(lambda);
}

/// Puts the endpoint of the examples where somebody takes what is sent: the one command that makes a call
/// is for seeing it arrive.
fn at_a_receiver(verifies: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), vec![0; 64 * 1024]);
            let read = stream.read(&mut request).unwrap_or(0);
            // What it is sent, without the type: a challenge comes back as the handshake asks.
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let challenge = body.split("\"challenge\":\"").nth(1).and_then(|c| c.split('"').next());
            let body = challenge.unwrap_or("taken");
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
            let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
        }
    });
    let mut endpoint = json!({"customerId": "acme", "endpointId": "orders", "url": url});
    if verifies {
        endpoint["verification"] = json!({"handshake": "challenge"});
    }
    format!("echo '{endpoint}' | sealpost endpoint put -\n")
}

/// Runs a worker until it works, and stops it.
fn begin_and_stop(mut command: Command) {
    let mut serving = command.spawn().unwrap();
    let log = BufReader::new(serving.stderr.take().unwrap());
    // The pipe stays open: what is written to it in the end must not fail.
    let mut lines = log.lines();
    assert!(lines.any(|line| line.unwrap().contains("serving")), "it never began");
    terminate(&serving);
    assert!(serving.wait().unwrap().success());
    drop(lines);
}

#[test]
fn the_example_of_every_command_works_as_written() {
    let program = Program::new();
    let id = prepare(&program);
    let delivery = record(&program);
    let begun = ["replay", "start", "--customer", "acme", "--detach", "--json"];
    let replay: serde_json::Value = serde_json::from_str(&program.ok(&begun, "")).unwrap();
    let replay = replay["id"].as_str().unwrap().to_owned();
    let key = ["api-key", "create", "test", "--scope", "operator", "--json"];
    let key: serde_json::Value = serde_json::from_str(&program.ok(&key, "")).unwrap();
    let key = key["id"].as_str().unwrap().to_owned();
    let mut found = Vec::new();
    examples(&Cli::command(), "sealpost", &mut found);
    assert!(found.len() >= 17, "{found:?}");
    // Those for AWS have a test of their own.
    let of_aws = ["sealpost worker", "sealpost lambda", "sealpost tables create"];
    for (path, example) in found.into_iter().filter(|(path, _)| !of_aws.contains(&path.as_str())) {
        let copy = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .args(["-r", &format!("{}/.", program.data().display())])
            .arg(copy.path())
            .status();
        assert!(copied.unwrap().success());
        let script = example
            .replace(EXAMPLE_ID, &id)
            .replace(EXAMPLE_REPLAY, &replay)
            .replace(EXAMPLE_DELIVERY, &delivery)
            .replace(EXAMPLE_KEY, &key)
            .replace("/var/lib/sealpost", &copy.path().display().to_string());
        if ["sealpost serve", "sealpost api"].contains(&path.as_str()) {
            begin_and_stop(shell(&program, &format!("exec {script}"), copy.path()));
            continue;
        }
        let script = match path.as_str() {
            "sealpost endpoint test" | "sealpost endpoint verify" => {
                format!("{}{script}", at_a_receiver(path.ends_with("verify")))
            }
            _ => script,
        };
        let output = shell(&program, &script, copy.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{example}: {complaint}{told}");
    }
}
