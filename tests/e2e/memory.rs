//! How much memory large jobs take, all in flight at once.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::program::{Program, terminate};

const JOBS: usize = 200;
/// Just under the largest job.
const BODY: usize = 1024 * 1024 - 200;
/// Most memory for one delivery: the message, the job that was read from it, and the request.
const MOST_EACH: usize = 4 * 1024 * 1024;

/// The most memory that a process has had, in bytes.
fn peak(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn large_jobs_in_flight_at_once_take_a_bounded_piece_of_memory_each() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (whole, release) = (watch::Sender::new(0usize), watch::Sender::new(false));
    let (counted, released) = (whole.clone(), release.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (counted, mut released) = (counted.clone(), released.subscribe());
            tokio::spawn(async move {
                let (mut buffer, mut read) = (vec![0; 64 * 1024], 0);
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    read += count;
                    if read < BODY {
                        continue;
                    }
                    read = 0;
                    counted.send_modify(|count| *count += 1);
                    let _ = released.wait_for(|released| *released).await;
                    let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    });
    let program = Program::new();
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin, "timeout": "120s",
                          "limits": {"adaptive": false, "concurrency": 1000}});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    let job = json!({"customerId": "c", "endpointId": "e", "body": "x".repeat(BODY)}).to_string();
    for _ in 0..JOBS / 20 {
        program.ok(&["enqueue", "-"], &vec![job.clone(); 20].join("\n"));
    }
    let mut idle = Program::new().command(&["serve", "--json"]);
    let mut idle = idle.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut log = std::io::BufReader::new(idle.stderr.take().unwrap());
    while !line.contains("\"serving\"") {
        line.clear();
        std::io::BufRead::read_line(&mut log, &mut line).unwrap();
    }
    let base = peak(idle.id());
    terminate(&idle);
    idle.wait().unwrap();
    let mut command = program.command(&["serve"]);
    // A customer has seven eighths of the worker.
    command.env("SEALPOST_WORKER_CONCURRENCY", (JOBS * 8 / 7 + 1).to_string());
    let mut worker = command.env("SEALPOST_LOG_LEVEL", "error").spawn().unwrap();
    whole.subscribe().wait_for(|count| *count >= JOBS).await.unwrap();
    let each = (peak(worker.id()) - base) / JOBS;
    println!("{} KiB for each of {JOBS} jobs of 1 MiB over {} MiB", each / 1024, base >> 20);
    release.send_replace(true);
    terminate(&worker);
    assert!(worker.wait().unwrap().success());
    assert!(each <= MOST_EACH, "{each} bytes for each job");
}
