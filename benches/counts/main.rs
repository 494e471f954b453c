//! `make bench-check`: the instructions that each stage of a delivery takes, counted by callgrind, against
//! those in `benches/counts.json`. Processor time is noise on a shared machine; instructions are not.
//!
//! This program runs itself under valgrind. There it runs each stage [`WARM_UP`] times, which makes what
//! is made once, and then as often as it says; after each of the two it calls a function at which callgrind
//! writes down what it has counted and begins anew. So neither the start nor the first time counts.

#![allow(missing_docs, reason = "a program")]

mod file;
#[path = "../stages/pure/mod.rs"]
#[allow(dead_code, reason = "what is timed alone has its part in it")]
mod pure;
mod valgrind;

use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use comfy_table::{Table, presets};

use file::{Counts, Difference};

/// Runs of a stage before it is counted.
const WARM_UP: u32 = 20;
/// The file in the tree.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.json");

/// Counts instructions; fails if a stage takes more than 3 % more or less than the file says.
#[derive(Debug, Parser)]
struct Bench {
    /// Write the file anew
    #[arg(long)]
    renew: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Runs the stages; prints how often, and their names
    #[command(hide = true)]
    Run,
}

fn main() -> anyhow::Result<ExitCode> {
    let bench = Bench::parse();
    if let Some(Part::Run) = bench.part {
        run_all()?;
        return Ok(ExitCode::SUCCESS);
    }
    let counted = valgrind::count()?;
    if bench.renew {
        counted.write(Path::new(FILE))?;
        println!("{FILE}");
        return Ok(ExitCode::SUCCESS);
    }
    let known = Counts::read(Path::new(FILE))?;
    let differences = known.differences(&counted);
    print(&differences);
    let worst: Vec<String> = differences.iter().filter_map(Difference::problem).collect();
    if worst.is_empty() {
        println!("Every stage is within 3 % of commit {}.", known.commit);
        return Ok(ExitCode::SUCCESS);
    }
    for problem in worst {
        println!("{problem}");
    }
    println!(
        "The file is of commit {}. If this is what was meant: make bench-counts",
        known.commit
    );
    if let Some(changed) = known.other_tools(&counted) {
        println!("{changed}");
    }
    Ok(ExitCode::FAILURE)
}

/// Every stage under callgrind.
fn run_all() -> anyhow::Result<()> {
    for stage in pure::all()? {
        for _ in 0..WARM_UP {
            stage.run();
        }
        end_of_segment();
        for _ in 0..stage.runs {
            stage.run();
        }
        end_of_segment();
        println!("{} {}", stage.runs, stage.name);
    }
    Ok(())
}

/// Here callgrind writes down what it has counted: it knows this function by its name.
#[inline(never)]
fn end_of_segment() {
    black_box(());
}

fn print(differences: &[Difference]) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["stage", "was", "is", "change"]);
    for difference in differences {
        table.add_row(difference.row());
    }
    println!("{table}");
}
