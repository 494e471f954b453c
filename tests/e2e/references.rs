//! References on the command line, over AWS and beside a data directory.

use serde_json::json;

use crate::cloud::Cloud;
use crate::program::{Program, output};

const PUT: [&str; 6] = ["secret", "put", "c", "s", "--origin", "https://a.example"];
const FROM: [&str; 2] = ["--from", "secretsmanager:webhooks/c/s#/token"];
const JOB: &str = r#"{"customerId":"c","endpointId":"e","data":1}"#;
const RULES: &str = r#"["secretsmanager:webhooks/{customerId}/"]"#;

fn endpoint() -> String {
    json!({"customerId": "c", "endpointId": "e", "url": "https://a.example/",
           "auth": [{"scheme": "bearer", "secret": "s"}]})
    .to_string()
}

#[test]
fn a_reference_is_refused_where_nothing_could_follow_it_or_nothing_allows_it() {
    let program = Program::new();
    let refused = program.fails(&[&PUT[..], &FROM].concat(), b"");
    assert!(refused.contains("references lead to AWS, and none is configured"), "{refused}");
    let refused = program.fails(&[&PUT[..], &["--from", "signing"]].concat(), b"");
    assert!(refused.contains("secretsmanager:NAME or ssm:NAME"), "{refused}");
    let mut command = program.command(&["secret", "list"]);
    command.env("SEALPOST_SECRETS_REFERENCES", r#"["ssm:/w-{customerId}/"]"#);
    let refused = String::from_utf8(output(command, b"").stderr).unwrap();
    assert!(
        refused.contains("secrets.references[0]") && refused.contains("whole segments"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_data_directory_references_are_followed_where_aws_is_configured() {
    let cloud = Cloud::start().await;
    let kept = json!({"Name": "webhooks/c/s", "SecretString": r#"{"token":"canary-token"}"#});
    cloud.emulator.call("secretsmanager.CreateSecret", &kept);
    let run = |arguments: &[&str], input: &str| {
        let mut command = cloud.program.command(arguments);
        command.env("SEALPOST_SECRETS_REFERENCES", RULES).envs(cloud.variables());
        let output = output(command, input.as_bytes());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        // The log is at its loudest, the SDK's own lines included.
        assert!(!said.contains("canary-token"), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&[&PUT[..], &FROM].concat(), "");
    run(&["endpoint", "put", "-"], &endpoint());
    let reveal = ["preview", "-", "--reveal"];
    assert!(run(&reveal, JOB).contains("Bearer canary-token"));
    let listed = run(&["secret", "list", "--json"], "");
    assert!(listed.contains(r#""sealing":"secretsmanager""#), "{listed}");
    // What is sealed is a name: the key file's key is turned over beneath it.
    assert!(run(&["key", "rotate"], "").contains("1 version wrapped anew"));
    assert_eq!(run(&["key", "retire"], ""), "retired 1\n");
    assert!(run(&reveal, JOB).contains("Bearer canary-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_aws_a_reference_is_put_without_being_followed_and_a_worker_follows_it() {
    let cloud = Cloud::start().await;
    let settings = cloud.program.data().join("aws.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}[secrets]\nreferences = {RULES}\n")).unwrap();
    cloud.ok(&[&PUT[..], &FROM].concat(), "");
    assert!(cloud.emulator.calls_of("SecretsManager").is_empty(), "whoever writes need not read");
    let other = ["secret", "put", "d", "s", "--origin", "https://a.example"];
    let refused = cloud.fails(&[&other[..], &FROM].concat(), "");
    assert!(refused.contains("customer d may not name secretsmanager:webhooks/c/s"), "{refused}");
    let kept = json!({"Name": "webhooks/c/s", "SecretString": r#"{"token":"canary-token"}"#});
    cloud.emulator.call("secretsmanager.CreateSecret", &kept);
    cloud.ok(&["endpoint", "put", "-"], &endpoint());
    let shown = cloud.ok(&["preview", "-", "--reveal"], JOB);
    assert!(shown.contains("Bearer canary-token"), "{shown}");
}
