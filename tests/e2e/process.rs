//! What the process takes from the machine, and what it leaves on it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::own_world::is_inside;
use crate::program::{Program, terminate};
use crate::receiver::listen;

/// The program under limits that `ulimit` sets.
fn serve_under(program: &Program, limit: &str, variables: &[(&str, &str)]) -> Child {
    let served = program.command(&["serve", "--json"]);
    let mut command = Command::new("sh");
    let script = format!("{limit} && exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(served.get_program()).args(served.get_args());
    for (name, value) in served.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("SEALPOST_LOG_LEVEL", "info").envs(variables.iter().copied());
    command.current_dir(program.data()).stderr(Stdio::piped()).spawn().unwrap()
}

fn put(program: &Program, id: &str, origin: &str) {
    let endpoint = json!({"customerId": "c", "endpointId": id, "url": origin});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

fn enqueue(program: &Program, endpoints: impl Iterator<Item = String>) {
    let job = |id: String| json!({"customerId": "c", "endpointId": id, "data": 1}).to_string();
    let jobs: Vec<String> = endpoints.map(job).collect();
    program.ok(&["enqueue", "-"], &jobs.join("\n"));
}

#[test]
fn a_worker_that_crashes_leaves_no_picture_of_its_memory() {
    let program = Program::new();
    let mut worker = serve_under(&program, "ulimit -c unlimited", &[]);
    let mut log = BufReader::new(worker.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("\"serving\"")));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let told = Command::new("kill").args(["-ABRT", &worker.id().to_string()]).status().unwrap();
    assert!(told.success());
    let ended = worker.wait().unwrap();
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_few_open_files_a_worker_does_fewer_deliveries_at_once_and_says_so() {
    let (origin, mut calls) = listen(|_| (204, String::new())).await;
    let program = Program::new();
    put(&program, "e", &origin);
    enqueue(&program, (0..200).map(|_| "e".to_owned()));
    let mut worker = serve_under(&program, "ulimit -n 96", &[]);
    for _ in 0..200 {
        calls.recv().await.unwrap();
    }
    terminate(&worker);
    let mut log = BufReader::new(worker.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = log.find(|line| line.contains("\"open_files\"")).unwrap();
    assert!(told.contains(r#""limit":96"#) && told.contains(r#""concurrency":16"#), "{told}");
    assert!(!log.any(|line| line.contains("\"fault\"")));
    assert!(worker.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_open_files_blames_no_endpoint_and_goes_on() {
    // Every connection is kept for the next call, and takes a file.
    let program = Program::new();
    let mut origins = Vec::new();
    for n in 0..40 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        origins.push(format!("http://{}", listener.local_addr().unwrap()));
        put(&program, &format!("e{n}"), &origins[n]);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                    }
                });
            }
        });
    }
    enqueue(&program, (0..40).map(|n| format!("e{n}")));
    let mut worker = serve_under(&program, "ulimit -n 40", &[]);
    let mut log = BufReader::new(worker.stderr.take().unwrap()).lines().map(Result::unwrap);
    let fault = log.find(|line| line.contains("\"retry\"") || line.contains("\"fault\"")).unwrap();
    assert!(fault.contains("egress.connect") && fault.contains("Too many open files"), "{fault}");
    // What is free again is used again.
    enqueue(&program, std::iter::once("e0".to_owned()));
    terminate(&worker);
    let rest: Vec<String> = log.collect();
    assert!(rest.iter().all(|line| !line.contains("\"retry\"")), "{rest:#?}");
    assert!(worker.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_ports_blames_no_endpoint_and_others_go_on() {
    let name = "process::a_worker_without_ports_blames_no_endpoint_and_others_go_on";
    // A network of its own, with ten ports to call from.
    let network = "ip link set lo up && echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range";
    if !tokio::task::block_in_place(|| is_inside(name, "-rn", network)) {
        return;
    }
    let program = Program::new();
    let (release, held) = tokio::sync::watch::channel(false);
    let mut origins = Vec::new();
    for port in [8001, 8002] {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        origins.push(format!("http://127.0.0.1:{port}"));
        let held = held.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut held = held.clone();
                tokio::spawn(async move {
                    while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                        if port == 8001 {
                            let _ = held.wait_for(|released| *released).await;
                        }
                        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                    }
                });
            }
        });
    }
    // Each port may be used once toward each server, so one server without ports leaves the other its own.
    put(&program, "many", &origins[0]);
    put(&program, "few", &origins[1]);
    enqueue(&program, (0..20).map(|_| "many".to_owned()));
    let mut worker = serve_under(&program, "true", &[("SEALPOST_LOG_LEVEL", "debug")]);
    let mut log = BufReader::new(worker.stderr.take().unwrap()).lines().map(Result::unwrap);
    let fault = log.find(|line| line.contains("\"retry\"") || line.contains("\"fault\"")).unwrap();
    assert!(fault.contains("egress.connect"), "{fault}");
    enqueue(&program, std::iter::once("few".to_owned()));
    let few = log.find(|line| line.contains("\"delivered\"")).unwrap();
    assert!(few.contains("\"few\""), "{few}");
    release.send(true).unwrap();
    let delivered = log.by_ref().filter(|line| line.contains("\"delivered\"")).take(20).count();
    assert_eq!(delivered, 20);
    terminate(&worker);
    assert!(log.all(|line| !line.contains("\"retry\"")));
    assert!(worker.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_with_500_calls_in_flight_ends_them_and_takes_no_more() {
    const JOBS: usize = 700;
    let program = Program::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let in_flight = tokio::sync::watch::Sender::new(0usize);
    let release = tokio::sync::watch::Sender::new(false);
    let (counted, released) = (in_flight.clone(), release.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (counted, mut released) = (counted.clone(), released.subscribe());
            tokio::spawn(async move {
                while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                    counted.send_modify(|count| *count += 1);
                    let _ = released.wait_for(|released| *released).await;
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            });
        }
    });
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin, "timeout": "60s",
                          "limits": {"adaptive": false, "concurrency": 1000}});
    program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
    enqueue(&program, (0..JOBS).map(|_| "e".to_owned()));
    let variables = [("SEALPOST_WORKER_CONCURRENCY", "600"), ("SEALPOST_WORKER_DRAIN", "60s")];
    let mut worker = serve_under(&program, "true", &variables);
    in_flight.subscribe().wait_for(|count| *count >= 500).await.unwrap();
    terminate(&worker);
    let mut log = BufReader::new(worker.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("\"stopping\"")));
    release.send_replace(true);
    let stopped = log.find(|line| line.contains("\"stopped\"")).unwrap();
    assert!(worker.wait().unwrap().success());
    let calls = *in_flight.borrow();
    let delivered = format!(r#""counts.delivered":{calls},"#);
    assert!(
        stopped.contains(r#""clean":true"#) && stopped.contains(&delivered),
        "{calls}: {stopped}"
    );
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    let count = database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0));
    assert_eq!(count, Ok(JOBS - calls), "the rest is there still");
}
