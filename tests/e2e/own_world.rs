//! Tests that need a machine of their own: each runs itself again in namespaces where it may make one.

use std::process::Command;

/// Set where a test runs inside.
const INSIDE: &str = "SEALPOST_TEST_INSIDE";

/// Runs the test `name` again in new namespaces (`kinds`, as `unshare` calls them) after `preparation`, a
/// shell command. `true` where the test is inside already, and goes on.
pub fn is_inside(name: &str, kinds: &str, preparation: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let may = Command::new("unshare").args([kinds, "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        println!("needs namespaces of its own (unshare {kinds}): skipped");
        return false;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = format!("{preparation} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args([kinds, "sh", "-c", &script]).arg(directory.path());
    command.arg(std::env::current_exe().unwrap()).args([name, "--exact", "--nocapture"]);
    assert!(command.env(INSIDE, "1").status().unwrap().success());
    false
}
