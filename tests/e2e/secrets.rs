//! The secret store on the command line: versions, rotation and keys. No command shows a stored value.

use serde_json::Value;

use crate::program::Program;

const PUT: [&str; 6] = ["secret", "put", "c", "s", "--origin", "https://a.example"];

fn put(program: &Program, value: &str, more: &[&str]) -> String {
    program.ok(&[&PUT[..], more].concat(), value)
}

fn history(program: &Program) -> Vec<Value> {
    let listed = program.ok(&["secret", "history", "c", "s", "--json"], "");
    assert!(!listed.contains("canary"), "{listed}");
    listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Version and standing of each.
fn standings(program: &Program) -> Vec<(u64, String)> {
    let of =
        |v: &Value| (v["version"].as_u64().unwrap(), v["standing"].as_str().unwrap().to_owned());
    history(program).iter().map(of).collect()
}

/// What a call to the endpoint would carry.
fn sent(program: &Program) -> String {
    let job = r#"{"customerId":"c","endpointId":"e","data":1}"#;
    program.ok(&["preview", "-", "--reveal"], job)
}

fn named(pairs: &[(u64, &str)]) -> Vec<(u64, String)> {
    pairs.iter().map(|(version, standing)| (*version, (*standing).to_owned())).collect()
}

#[test]
fn every_put_is_a_version_that_is_kept_until_it_is_purged() {
    let program = Program::new();
    let endpoint = r#"{"customerId":"c","endpointId":"e","url":"https://a.example/",
                       "auth":[{"scheme":"bearer","secret":"s"}]}"#;
    program.ok(&["endpoint", "put", "-"], endpoint);
    for value in ["canary-1", "canary-2", "canary-3"] {
        put(&program, value, &[]);
    }
    program.ok(&["secret", "rotate", "c", "s", "--overlap", "1h"], "canary-4");
    let (past, previous, current) = ("past", "previous", "current");
    assert_eq!(standings(&program), named(&[(4, current), (3, previous), (2, past), (1, past)]));
    let newest = &history(&program)[0];
    assert_eq!(newest["origins"], serde_json::json!(["https://a.example:443"]), "kept by rotate");
    assert_eq!(newest["sealing"], "envelope");
    assert!(sent(&program).contains("Bearer canary-4"));

    let told = program.ok(&["secret", "rollback", "c", "s", "--to", "2"], "");
    assert_eq!(told, "c/s is at version 2\n");
    assert!(sent(&program).contains("Bearer canary-2"));
    assert_eq!(standings(&program), named(&[(4, past), (3, past), (2, current), (1, past)]));
    assert_eq!(put(&program, "canary-5", &[]), "c/s is at version 5\n", "no number is given twice");

    let purge = ["secret", "purge", "c", "s"];
    let refused = program.fails(&purge, b"");
    assert!(refused.contains("remove versions 4, 3, 2, 1 of c/s for good?"), "{refused}");
    assert!(refused.contains("--yes"), "{refused}");
    assert_eq!(program.ok(&[&purge[..], &["--keep", "2", "--yes"]].concat(), ""), "purged 2\n");
    assert_eq!(standings(&program), named(&[(5, current), (4, past), (3, past)]));
    let refused = program.fails(&[&purge[..], &["--version", "5", "--yes"]].concat(), b"");
    assert!(refused.contains("version 5 is the current one"), "{refused}");
    program.ok(&[&purge[..], &["--version", "4", "--yes"]].concat(), "");
    let refused = program.fails(&["secret", "rollback", "c", "s", "--to", "4"], b"");
    assert!(refused.contains("no version 4 of secret s of customer c is kept"), "{refused}");

    program.ok(&["secret", "delete", "c", "s"], "");
    program.fails(&["secret", "history", "c", "s"], b"");
    assert_eq!(put(&program, "canary-6", &[]), "c/s is at version 6\n");
    assert_eq!(standings(&program), named(&[(6, current)]));
}

#[test]
fn an_administrator_who_saw_another_version_is_refused_and_told_what_to_do() {
    let program = Program::new();
    put(&program, "canary-1", &["--if-version", "0"]);
    let refused = program.fails(&[&PUT[..], &["--if-version", "0"]].concat(), b"canary-2");
    assert!(refused.contains("c/s is at version 1 now: nothing was changed"), "{refused}");
    assert!(refused.contains("`sealpost secret history c s`"), "{refused}");
    assert!(refused.contains("repeat with `--if-version 1`"), "{refused}");
    put(&program, "canary-2", &["--if-version", "1"]);
    for command in [
        &["secret", "rotate", "c", "s", "--if-version", "1"][..],
        &["secret", "rollback", "c", "s", "--to", "1", "--if-version", "1"],
    ] {
        let refused = program.fails(command, b"canary-3");
        assert!(refused.contains("c/s is at version 2 now"), "{refused}");
    }
    assert_eq!(history(&program).len(), 2);
    let refused = program.fails(&["secret", "rotate", "c", "other"], b"canary");
    assert!(refused.contains("customer c has no secret other"), "{refused}");
}

#[test]
fn a_key_is_made_and_shown_once_or_stored_and_only_what_its_receiver_needs_is_shown() {
    let program = Program::new();
    let made = program.ok(&["secret", "generate", "standard_webhooks"], "");
    assert!(made.starts_with("whsec_"), "{made}");
    let pair = ["secret", "generate", "standard_webhooks", "--key", "ed25519", "--json"];
    let pair: Value = serde_json::from_str(&program.ok(&pair, "")).unwrap();
    assert!(pair["value"].as_str().unwrap().starts_with("whsk_"));
    assert!(pair["webhookPublicKey"].as_str().unwrap().starts_with("whpk_"));

    let stored = ["--customer", "c", "--secret-id", "s", "--origin", "https://a.example"];
    let jwt = [&["secret", "generate", "jwt", "--json"][..], &stored].concat();
    let jwt: Value = serde_json::from_str(&program.ok(&jwt, "")).unwrap();
    assert_eq!((&jwt["value"], &jwt["version"]), (&Value::Null, &1.into()));
    assert_eq!(jwt["publicJwk"]["crv"], "P-256");
    let listed = program.ok(&["secret", "list", "--json"], "");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    for fact in ["publicKey", "jwkThumbprint"] {
        assert!(jwt[fact].is_string() && listed[fact] == jwt[fact], "{fact}: {listed}");
    }
    assert_eq!(listed["keyType"], "EC P-256");

    let rotate = ["secret", "rotate", "c", "s", "--generate", "jwt", "--key", "ed25519", "--json"];
    let rotated: Value = serde_json::from_str(&program.ok(&rotate, "")).unwrap();
    assert_eq!((&rotated["version"], &rotated["publicJwk"]["crv"]), (&2.into(), &"Ed25519".into()));
    let symmetric = [&["secret", "generate", "hmac", "--json"][..], &stored].concat();
    let symmetric: Value = serde_json::from_str(&program.ok(&symmetric, "")).unwrap();
    assert_eq!(symmetric["value"].as_str().unwrap().len(), 64, "the receiver needs it");
    let refused = program.fails(&["secret", "generate", "mtls"], b"");
    assert!(refused.contains("a certificate comes from whoever vouches for it"), "{refused}");
}
