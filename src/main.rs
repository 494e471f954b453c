//! The `sealpost` program: parses the command line and hands over.

use std::process::ExitCode;

use clap::Parser;

/// A delivery allocates more than a hundred times, on one thread what another frees: this does so at a
/// fraction of the system's cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = sealpost::cli::Cli::parse();
    if let Err(error) = sealpost::process::keep_memory_private() {
        eprintln!("sealpost: core dumps cannot be turned off: {error}");
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sealpost: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(sealpost::cli::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sealpost: {error:#}");
            ExitCode::FAILURE
        }
    }
}
