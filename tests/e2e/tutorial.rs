//! docs/TUTORIAL.md works as written: its commands are run in order, those that go on until they are
//! stopped as in terminals of their own, and the receiver prints what the tutorial shows.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::program::terminate;

/// Long enough for a slow machine: what is waited for comes in a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// A part of the tutorial, in order.
#[derive(Debug)]
enum Block {
    /// Commands for the shell.
    Shell(String),
    /// What the receiver prints.
    Shown(String),
}

/// The parts from one heading up to another.
fn blocks(from: &str, to: &str) -> Vec<Block> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TUTORIAL.md");
    let text = std::fs::read_to_string(path).unwrap();
    let part = text.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let fenced = part.split("```").skip(1).step_by(2);
    let block = |fenced: &str| match fenced.split_once('\n').unwrap() {
        ("sh", commands) => Block::Shell(commands.to_owned()),
        ("text", shown) => Block::Shown(shown.to_owned()),
        (other, _) => panic!("a block of {other}"),
    };
    fenced.map(block).collect()
}

/// A reader of the tutorial, in an empty folder.
struct Reader {
    folder: tempfile::TempDir,
    port: u16,
    variables: Vec<(String, String)>,
    /// The programs of the other terminals.
    running: Vec<Child>,
    /// How many lines of the receiver were compared.
    seen: usize,
}

impl Reader {
    fn new(variables: Vec<(String, String)>) -> Self {
        // Port 8000 may be taken here.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, port, variables, running: Vec::new(), seen: 0 }
    }

    fn shell(&self, commands: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_sealpost")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{path}", binary.display(), self.folder.path().display());
        let mut command = Command::new("sh");
        let commands = commands.replace("8000", &self.port.to_string());
        command.args(["-euc", &commands]).current_dir(self.folder.path()).env("PATH", path);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SEALPOST_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().cloned());
        command
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Waits until something is so.
    async fn wait(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let waiting = async {
            while !is_so().await {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("{what}: {}", self.read("worker.log")));
    }

    /// Runs commands; what they print.
    async fn follow(&mut self, commands: &str) -> String {
        let is_receiver = commands == "python3 receiver.py\n";
        let is_worker =
            ["sealpost serve", "sealpost worker"].iter().any(|c| commands.starts_with(c));
        if is_receiver || is_worker {
            let log = if is_receiver { "receiver.log" } else { "worker.log" };
            let file = File::create(self.folder.path().join(log)).unwrap();
            let mut command = self.shell(&format!("exec {commands}"));
            command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null());
            self.running.push(command.spawn().unwrap());
            if is_receiver {
                let port = self.port;
                #[allow(clippy::disallowed_methods, reason = "a look at whether it listens")]
                let listens = async || TcpStream::connect(("127.0.0.1", port)).await.is_ok();
                self.wait("no receiver", listens).await;
            } else {
                self.wait("no worker", async || self.read(log).contains("serving")).await;
            }
            return String::new();
        }
        let output = self.shell(commands).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{told}\n{}", self.read("worker.log"));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Goes through all parts; what the commands printed.
    async fn read_all(&mut self, blocks: Vec<Block>) -> String {
        let mut printed = String::new();
        for block in blocks {
            match block {
                Block::Shell(commands) => printed += &self.follow(&commands).await,
                Block::Shown(shown) => self.compare(&shown).await,
            }
        }
        printed
    }

    /// The receiver's next lines are these.
    async fn compare(&mut self, shown: &str) {
        let until = self.seen + shown.lines().count();
        self.wait(shown, async || self.read("receiver.log").lines().count() >= until).await;
        let log = self.read("receiver.log");
        let next: Vec<&str> = log.lines().skip(self.seen).collect();
        assert_eq!(next, shown.lines().collect::<Vec<_>>());
        self.seen = until;
        if shown.starts_with("400") {
            let is_dead = async || self.read("worker.log").contains("dead_letter");
            self.wait("no dead letter", is_dead).await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for program in &mut self.running {
            terminate(program);
            let _ = program.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_works_as_written_on_a_laptop() {
    let mut reader = Reader::new(Vec::new());
    let printed = reader.read_all(blocks("## On a laptop", "## On AWS")).await;
    assert!(printed.contains("authentic\n") && printed.contains("replayed 1\n"), "{printed}");
    assert!(printed.contains("order-43"), "the list of dead letters: {printed}");
    // What it says of a changed byte.
    let changed = "sed -i 's/43}/44}/' request.http; sealpost verify request.http \
                   --scheme standard_webhooks --secret-file signing.key --url http://127.0.0.1:8000/hook";
    assert_eq!(reader.shell(changed).output().unwrap().status.code(), Some(1));
}

/// The AWS CLI that `make eventbridge` installs. Its version 1 asks SQS at an old address of AWS, whatever
/// `AWS_ENDPOINT_URL` says.
#[cfg(feature = "aws")]
fn put_aws_cli(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let installed = std::env::var("EVENTBRIDGE_DIR")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target/eventbridge").to_owned());
    let script = format!(
        "#!/bin/sh\nexec {installed}/venv/bin/aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"\n"
    );
    std::fs::write(folder.join("aws"), script).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("aws"), executable).unwrap();
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_works_as_written_on_aws() {
    let emulator = crate::emulator::Emulator::on_the_machines_clock();
    let variables = [
        ("AWS_ENDPOINT_URL", emulator.url()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("NO_PROXY", "127.0.0.1".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let mut reader = Reader::new(variables);
    put_aws_cli(reader.folder.path());
    // "With receiver.py and answer from above, and run the receiver as above."
    let above = blocks("### A receiver", "### A secret");
    reader.read_all(above).await;
    reader.read_all(blocks("## On AWS", "## Then")).await;
}
