//! The commands of the README do what it says.

use std::process::Command;

use crate::program::Program;

#[test]
fn the_commands_of_the_readme_work_as_written() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let usage = readme.split("## Use").nth(1).unwrap();
    let script = usage.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    // All but the last, which runs until it is stopped; other tests run that one.
    let script = script.replace("sealpost serve\n", "");
    let program = Program::new();
    std::fs::write(program.data().join("signing.key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
        .unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_sealpost")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-euc", &script])
        .current_dir(program.data())
        .env("PATH", path)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        printed.contains("accepted 1 job") && printed.contains("webhook-signature: v1,"),
        "{printed}"
    );
    assert!(printed.contains("block  10.0.0.1"), "{printed}");
    assert!(readme.contains("cargo run --release -- demo") && readme.contains("make test"));
}
