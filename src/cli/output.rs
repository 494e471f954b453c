//! Prints results: a table or a line for people, JSON for machines.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// One JSON value on a line of its own.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// One line. A reader that has gone away (`| head`) is no error.
pub fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// A table with a heading.
pub fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<()> {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(heading.iter());
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    line(&table.to_string())
}

/// One line beside the results, on standard error: machines read standard output alone.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
