//! Reads the values of secrets: from standard input, a file or a prompt.

use std::io::{IsTerminal, Read};
use std::path::Path;

use anyhow::Context;
use zeroize::Zeroizing;

use crate::cli::input;
use crate::domain::secret::{MAX_VALUE, SecretBytes, check_size};

/// The value from a file, standard input or a prompt.
///
/// # Errors
/// If it is empty or too long.
pub fn read_value(file: Option<&Path>, raw: bool) -> anyhow::Result<SecretBytes> {
    let mut bytes = Zeroizing::new(Vec::new());
    match file {
        None if std::io::stdin().is_terminal() => {
            let typed = Zeroizing::new(
                rpassword::prompt_password("value: ").context("no value was typed")?,
            );
            bytes.extend_from_slice(typed.as_bytes());
        }
        file => {
            let limit = MAX_VALUE as u64 + 3;
            input::open(file.unwrap_or(Path::new("-")))?.take(limit).read_to_end(&mut bytes)?;
        }
    }
    if !raw && bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    let value = SecretBytes::new(std::mem::take(&mut *bytes));
    check_size(&value).map_err(anyhow::Error::msg)?;
    Ok(value)
}
