//! Customers as a whole, on the command line.

use serde_json::{Value, json};

use crate::program::Program;

fn furnish(program: &Program, customer: &str) {
    let put = ["secret", "put", customer, "token", "--origin", "https://acme.example"];
    program.ok(&put, "canary-value");
    let endpoint = json!({"customerId": customer, "endpointId": "e", "enabled": false,
                          "url": "https://acme.example/",
                          "auth": [{"scheme": "bearer", "secret": "token"}]});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

#[test]
fn a_customer_is_listed_shown_and_erased_once_that_is_confirmed() {
    let program = Program::new();
    assert_eq!(program.ok(&["customer", "list"], ""), "");
    for customer in ["acme", "globex"] {
        furnish(&program, customer);
    }
    program.ok(&["tenant-key", "create", "acme"], "");
    assert_eq!(program.ok(&["customer", "list"], ""), "acme\nglobex\n");
    let shown = program.ok(&["customer", "show", "acme"], "");
    assert!(shown.starts_with("1 endpoints\n  e  not enabled\n1 secrets\n  token\n"), "{shown}");
    assert!(shown.contains("tenant key: usable, at generation 1 since "), "{shown}");

    let asked = program.fails(&["customer", "erase", "acme"], b"");
    assert!(asked.contains("all that there is of it for good?") && asked.contains("--yes"));
    assert_eq!(program.ok(&["customer", "list"], ""), "acme\nglobex\n", "nothing was removed");
    let told = program.run(&["customer", "erase", "acme", "--yes"], b"");
    let (told, left) =
        (String::from_utf8(told.stdout).unwrap(), String::from_utf8(told.stderr).unwrap());
    let expected = "erased acme: 1 endpoints, 1 secrets, 0 deliveries, 0 dead letters, 0 keys\n";
    assert_eq!(told, expected);
    assert!(left.contains("left until ") && left.contains("backups"), "{left}");
    assert_eq!(program.ok(&["customer", "list"], ""), "globex\n");
    let gone = program.fails(&["customer", "show", "acme"], b"");
    assert!(gone.contains("there is no customer acme"), "{gone}");
    let again = program.ok(&["customer", "erase", "acme", "--yes", "--json"], "");
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["complete"], &again["removed"]["endpoints"]), (&json!(true), &json!(0)));
}

#[test]
fn a_customer_with_dead_letters_is_erased_when_their_number_is_named() {
    let program = Program::new();
    let job = r#"{"customerId": "acme", "endpointId": "e", "data": 1}"#;
    program.ok(&["enqueue", "-"], job);
    let mut worker = program.serve();
    program.dead_letters(1);
    crate::program::terminate(&worker);
    worker.wait().unwrap();
    let refused = program.fails(&["customer", "erase", "acme", "--yes"], b"");
    assert!(refused.contains("acme has 1 dead letters") && refused.contains("--purge 1"));
    program.dead_letters(1);
    let erase = ["customer", "erase", "acme", "--yes", "--purge", "1", "--json"];
    let erased: Value = serde_json::from_str(&program.ok(&erase, "")).unwrap();
    assert_eq!(erased["removed"]["deadLetters"], 1);
    program.dead_letters(0);
}
