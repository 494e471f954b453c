//! Shows what is kept beside sealed values. Never a value.

use serde_json::{Value, json};

use crate::cli::{Global, output};
use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::secret::{Facts, SealedKind, SealedSecret, SealedVersion};
use crate::domain::secret_record::Standing;
use crate::domain::timestamp::Timestamp;

/// Warns of a certificate that has ended or ends soon.
pub fn warn_of_end(name: &str, facts: Option<&Facts>, now: Timestamp) {
    if let Some(warning) = facts.and_then(|facts| facts.warning(now)) {
        output::note(&format!("warning: the certificate in {name} {warning}"));
    }
}

/// What there is to say of a version, facts included.
fn described(version: &SealedVersion) -> Value {
    let kind = SealedKind::split(&version.sealed).map_or("unknown", |(kind, _)| kind.word());
    let origins: Vec<String> = version.origins.iter().map(ToString::to_string).collect();
    let mut shown = json!({"version": version.version, "createdAt": version.created_at,
                           "sealing": kind, "origins": origins});
    // Texts, numbers and times always make JSON.
    if let Some(facts) = &version.facts
        && let Ok(Value::Object(facts)) = serde_json::to_value(facts)
        && let Some(shown) = shown.as_object_mut()
    {
        shown.extend(facts);
    }
    shown
}

/// Prints rows: as JSON whole, or some of their members as a table.
fn print(
    global: &Global,
    rows: impl IntoIterator<Item = Value>,
    columns: &[(&str, &str)],
) -> anyhow::Result<()> {
    if global.json {
        return rows.into_iter().try_for_each(|row| output::json(&row));
    }
    let heading: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let rows = rows
        .into_iter()
        .map(|row| columns.iter().map(|(_, member)| cell(member, &row[*member])).collect());
    output::table(&heading, rows)
}

fn cell(member: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Array(items) if items.is_empty() && member == "origins" => "unbound".to_owned(),
        Value::Array(items) => {
            items.iter().map(|item| cell(member, item)).collect::<Vec<_>>().join("\n")
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// The secrets, each with its current version.
pub fn list(
    global: &Global,
    secrets: &[(CustomerId, SecretId, SealedSecret)],
) -> anyhow::Result<()> {
    let rows = secrets.iter().map(|(customer, id, secret)| {
        let mut row = described(&secret.current);
        row["customerId"] = json!(customer);
        row["secretId"] = json!(id);
        row["previousVersion"] = json!(secret.previous.as_ref().map(|v| v.version));
        row["previousUntil"] = json!(secret.previous_until);
        row
    });
    let columns = [
        ("customer", "customerId"),
        ("secret", "secretId"),
        ("version", "version"),
        ("created", "createdAt"),
        ("origins", "origins"),
        ("previous until", "previousUntil"),
        ("valid until", "notAfter"),
    ];
    print(global, rows, &columns)
}

/// The versions of one secret.
pub fn history(global: &Global, versions: &[(Standing, SealedVersion)]) -> anyhow::Result<()> {
    let rows = versions.iter().map(|(standing, version)| {
        let mut row = described(version);
        row["standing"] = json!(standing.word());
        row
    });
    let columns = [
        ("version", "version"),
        ("", "standing"),
        ("created", "createdAt"),
        ("sealing", "sealing"),
        ("origins", "origins"),
        ("key", "keyType"),
        ("valid until", "notAfter"),
    ];
    print(global, rows, &columns)
}
