//! `sealpost completions`: what a shell needs to complete the commands.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, output};

/// Print what a shell needs to complete these commands
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost completions bash > sealpost.bash\n\nbash reads it from ~/.local/share/bash-completion/completions/sealpost, zsh from a folder of its fpath as _sealpost, fish from ~/.config/fish/completions/sealpost.fish."
)]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

pub fn run(verb: &Completions) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(verb.shell, &mut Cli::command(), "sealpost", &mut script);
    output::line(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
