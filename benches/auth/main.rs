//! `cargo bench --bench auth`: the processor time that authentication adds to a delivery.

#![allow(clippy::disallowed_methods, reason = "a benchmark has a token server of its own")]
#![allow(missing_docs, reason = "a program")]

mod cases;
#[path = "../support/processor.rs"]
mod processor;
mod token;

use std::hint::black_box;

use serde_json::json;

use cases::Case;
use processor::micros;

/// Calls between two looks at the clock.
const CALLS: u32 = 100;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Vec::new();
    let mut worst = Vec::new();
    let bare = cases::bare()?;
    let alone = measure(|| bare.apply())?;
    println!("{:<44} {alone:>8.2} µs   taken off what follows", bare.name);
    for case in cases::all()? {
        let micros = measure(|| case.apply())? - alone;
        println!("{:<44} {:>8.2} µs   at most {}", case.name, micros, mark(&case));
        if case.mark.is_some_and(|mark| micros > mark) {
            worst.push(case.name.clone());
        }
        rows.push(json!({"case": case.name, "cpu_micros": micros, "mark": case.mark}));
    }
    let bench = runtime.block_on(token::Bench::start())?;
    let micros = measure(|| runtime.block_on(bench.get()))? - measure(|| bench.bare())?;
    let name = "oauth2_client_credentials, a token that is kept";
    println!("{name:<44} {micros:>8.2} µs   at most {:>5.1} µs", token::MARK);
    if micros > token::MARK {
        worst.push(name.to_owned());
    }
    rows.push(json!({"case": name, "cpu_micros": micros, "mark": token::MARK}));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
    std::fs::create_dir_all(folder)?;
    std::fs::write(format!("{folder}/auth.json"), serde_json::to_string_pretty(&rows)?)?;
    match &worst[..] {
        [] => println!("every mark is held"),
        over => println!("over their marks: {}", over.join(", ")),
    }
    Ok(())
}

fn mark(case: &Case) -> String {
    case.mark.map_or_else(|| "    -".to_owned(), |mark| format!("{mark:>5.1} µs"))
}

/// Processor time of one call of `run`, in microseconds.
fn measure<T>(run: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<f64> {
    micros(CALLS, || {
        for _ in 0..CALLS {
            black_box(run()?);
        }
        Ok(())
    })
}
