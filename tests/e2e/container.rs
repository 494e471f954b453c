//! What the container image promises, without an engine: the program needs no root, no home, no shell and,
//! on AWS, no file to write.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::json;

use crate::cloud::Cloud;
use crate::program::terminate;
use crate::receiver::listen;

/// The user of the image.
const USER: &str = "65532";

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The program with nothing of this machine's environment, as the image's user where this test may
/// become somebody else.
fn contained(folder: &Path, arguments: &[&str]) -> Command {
    let program = folder.join("sealpost");
    std::fs::copy(env!("CARGO_BIN_EXE_sealpost"), &program).unwrap();
    for path in [folder, &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(arguments).env_clear().current_dir("/");
    command
}

/// What a process holds open for writing, but for pipes, sockets and the like.
fn writes(process: &Child) -> Vec<String> {
    let proc = Path::new("/proc").join(process.id().to_string());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(proc.join("fd")).unwrap().map(Result::unwrap) {
        let info = proc.join("fdinfo").join(entry.file_name());
        let (Ok(info), Ok(target)) =
            (std::fs::read_to_string(info), std::fs::read_link(entry.path()))
        else {
            continue;
        };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        // The access mode: 0 reads only (open(2)).
        let only_reads = u32::from_str_radix(flags, 8).unwrap() & 0o3 == 0;
        if !only_reads && target.is_absolute() && !target.starts_with("/dev") {
            found.push(target.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_on_aws_runs_as_nobody_with_no_home_and_writes_no_file() {
    let cloud = Cloud::start().await;
    let (origin, mut calls) = listen(|_| (200, String::new())).await;
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": format!("{origin}/in")});
    cloud.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let folder = tempfile::tempdir().unwrap();
    let mut worker = contained(folder.path(), &["worker"])
        .envs(cloud.variables())
        .env("SEALPOST_AWS_QUEUE_URL", &cloud.jobs)
        .env("SEALPOST_AWS_DEAD_LETTER_QUEUE_URL", &cloud.dead)
        .env("SEALPOST_AWS_KMS_KEY_ID", &cloud.key)
        .env("SEALPOST_EGRESS_ALLOW_HTTP", "true")
        .env("SEALPOST_EGRESS_ALLOW", "[\"127.0.0.1/32\"]")
        .env("SEALPOST_EGRESS_PORTS", "[\"1-65535\"]")
        .spawn()
        .unwrap();
    let job = json!({"customerId": "c", "endpointId": "e", "data": 1}).to_string();
    cloud.ok(&["enqueue", "-"], &job);
    calls.recv().await.unwrap();
    assert_eq!(writes(&worker), Vec::<String>::new());
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the program itself: {left:?}");
}

/// Every library of the system that the program wants is in the image: those of the C library and of
/// the compiler, which `distroless/cc` has.
#[test]
fn the_program_wants_no_library_that_the_image_lacks() {
    let wanted = Command::new("ldd").arg(env!("CARGO_BIN_EXE_sealpost")).output().unwrap();
    let wanted = String::from_utf8(wanted.stdout).unwrap();
    assert!(wanted.contains("libc.so.6"), "{wanted}");
    for line in wanted.lines() {
        let name = line.trim().split(' ').next().unwrap().rsplit('/').next().unwrap();
        let known = [
            "linux-vdso",
            "libc.so",
            "libm.so",
            "libgcc_s.so",
            "libdl.so",
            "libpthread.so",
            "ld-linux",
        ];
        assert!(known.iter().any(|known| name.starts_with(known)), "{name} is not in the image");
    }
}

#[test]
fn the_image_the_compose_file_and_the_tasks_on_aws_agree() {
    let (image, compose) = (text("Dockerfile"), text("compose.yaml"));
    let task = text("infra/lib/task.ts");
    assert!(image.contains(&format!("\nUSER {USER}\n")));
    assert!(compose.contains(&format!("user: \"{USER}\"")) && compose.contains("read_only: true"));
    assert!(task.contains(&format!("const USER = \"{USER}\"")));
    assert!(
        image.contains("\nENTRYPOINT [\"/usr/local/bin/sealpost\"]\n"),
        "no shell is asked for"
    );
    let built = text("Cargo.toml");
    let version = built.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(image.contains(&format!("FROM rust:{}-", version.trim_matches('"'))), "{version}");
    // A process has longer to stop than it takes to drain.
    let drain = sealpost::config::Config::default().worker.drain;
    for (file, grace) in [(&compose, "stop_grace_period: 60s"), (&task, "Duration.seconds(60)")] {
        assert!(file.contains(grace) && drain.as_secs() < 60, "{grace}");
    }
}
