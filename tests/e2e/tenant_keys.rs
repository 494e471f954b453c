//! Tenant keys on the command line.

use serde_json::Value;

use crate::program::{Program, ok, output};

/// A command of somebody whose settings seal to tenant keys.
fn sealing(program: &Program, arguments: &[&str]) -> std::process::Command {
    let mut command = program.command(arguments);
    command.env("SEALPOST_SECRETS_SEALING", "tenant_key");
    command
}

fn put(program: &Program, value: &str) -> String {
    let arguments = ["secret", "put", "acme", "token", "--origin", "https://acme.example"];
    ok(sealing(program, &arguments), value)
}

fn listed(program: &Program) -> Value {
    serde_json::from_str(&program.ok(&["tenant-key", "list", "--json"], "")).unwrap()
}

fn sent(program: &Program) -> std::process::Output {
    let job = br#"{"customerId":"acme","endpointId":"e","data":1}"#;
    output(program.command(&["preview", "-", "--reveal"]), job)
}

#[test]
fn a_customer_s_key_is_made_rotated_and_shredded_and_its_secrets_go_with_it() {
    let program = Program::new();
    let endpoint = r#"{"customerId":"acme","endpointId":"e","url":"https://acme.example/",
                       "auth":[{"scheme":"bearer","secret":"token"}]}"#;
    program.ok(&["endpoint", "put", "-"], endpoint);
    put(&program, "canary-1");
    let first = listed(&program);
    assert_eq!((&first["generation"], &first["state"]), (&1.into(), &"usable".into()));
    let again = program.fails(&["tenant-key", "create", "acme"], b"");
    assert!(again.contains("`sealpost tenant-key rotate acme`"), "{again}");
    assert_eq!(program.ok(&["tenant-key", "rotate", "acme"], ""), "acme is at generation 2\n");
    assert_ne!(listed(&program)["publicKey"], first["publicKey"]);
    let secrets = program.ok(&["secret", "list", "--json"], "");
    assert!(secrets.lines().count() == 1 && secrets.contains("\"sealing\":\"tenant_key\""));
    assert!(String::from_utf8(sent(&program).stdout).unwrap().contains("Bearer canary-1"));

    let asked = program.fails(&["tenant-key", "shred", "acme"], b"");
    assert!(asked.contains("every secret sealed to it, for good?") && asked.contains("--yes"));
    assert_eq!(listed(&program)["state"], "usable", "nothing was removed");
    program.ok(&["tenant-key", "shred", "acme", "--yes"], "");
    let shredded = listed(&program);
    assert!(shredded["state"] == "shredded" && shredded["publicKey"] == Value::Null, "{shredded}");
    let lost = String::from_utf8(sent(&program).stderr).unwrap();
    assert!(lost.contains("tenant_key_shredded"), "{lost}");
    let arguments = ["secret", "rotate", "acme", "token"];
    let refused = output(sealing(&program, &arguments), b"canary-2");
    let refused = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.contains("`sealpost tenant-key create acme` makes a new one"), "{refused}");
    program.ok(&["tenant-key", "create", "acme"], "");
    put(&program, "canary-3");
    assert!(String::from_utf8(sent(&program).stdout).unwrap().contains("Bearer canary-3"));
}

#[test]
fn every_generation_outlives_the_key_of_the_key_file_that_wrapped_it() {
    let program = Program::new();
    let endpoint = r#"{"customerId":"acme","endpointId":"e","url":"https://acme.example/",
                       "auth":[{"scheme":"bearer","secret":"token"}]}"#;
    program.ok(&["endpoint", "put", "-"], endpoint);
    put(&program, "canary-1");
    // One generation in use, one beside it, one in history.
    program.ok(&["tenant-key", "rotate", "acme"], "");
    program.ok(&["tenant-key", "rotate", "acme"], "");
    assert!(program.ok(&["key", "rotate"], "").ends_with("; 3 versions wrapped anew\n"));
    assert_eq!(program.ok(&["key", "retire"], ""), "retired 1\n");
    assert!(String::from_utf8(sent(&program).stdout).unwrap().contains("Bearer canary-1"));
}

#[test]
fn no_command_for_secrets_touches_a_tenant_key() {
    let program = Program::new();
    program.ok(&["tenant-key", "create", "acme"], "");
    assert_eq!(program.ok(&["secret", "list", "--json"], ""), "");
    let of = ["acme", "sealpost:tenant-key"];
    for (verb, more) in [
        ("put", &["--origin", "https://acme.example"][..]),
        ("rotate", &[]),
        ("rollback", &["--to", "1"]),
        ("purge", &["--yes"]),
        ("history", &[]),
        ("delete", &[]),
    ] {
        let refused = program.fails(&[&["secret", verb], &of[..], more].concat(), b"value");
        assert!(refused.contains("the program's own"), "{verb}: {refused}");
    }
    assert_eq!(listed(&program)["state"], "usable");
}
