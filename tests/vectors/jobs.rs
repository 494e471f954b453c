//! The examples of jobs, read by the program and judged by the schema that it gives to producers.

use std::path::{Path, PathBuf};

use sealpost::domain::envelope::{self, Pointers};
use sealpost::domain::job;
use sealpost::domain::reason::Reason;
use serde_json::Value;

fn examples(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/jobs").join(kind);
    let paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!paths.is_empty());
    paths
}

fn accepted_by_schema(json: &[u8]) -> Option<bool> {
    let schema = jsonschema::options().should_validate_formats(true).build(&job::schema()).unwrap();
    Some(schema.is_valid(&serde_json::from_slice::<Value>(json).ok()?))
}

/// The schema is that of our own jobs; `foreign` marks what comes in an envelope of others.
#[test]
fn good_jobs_are_read_and_fit_the_schema() {
    for path in examples("good") {
        let bytes = std::fs::read(&path).unwrap();
        envelope::read(&bytes.clone().into(), &Pointers::default()).unwrap();
        let is_ours = !path.file_name().unwrap().to_str().unwrap().starts_with("foreign.");
        assert_eq!(accepted_by_schema(&bytes), Some(is_ours), "{path:?}");
    }
}

/// A bad job's file is named `<reason>.<what is wrong>.json`; `not-in-schema` marks what a schema
/// cannot say.
#[test]
fn bad_jobs_are_refused_with_the_reason_in_their_name() {
    for path in examples("bad") {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let reason: Reason = name.split('.').next().unwrap().parse().unwrap();
        let refused = envelope::read(&bytes.clone().into(), &Pointers::default()).unwrap_err();
        assert_eq!(refused.reason, reason, "{name}");
        let beyond_schema = name.contains("not-in-schema");
        assert_ne!(accepted_by_schema(&bytes), Some(!beyond_schema), "{name}");
    }
}

#[test]
fn the_schema_in_the_tree_is_the_one_that_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/job.schema.json");
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(kept, job::schema(), "run: sealpost schema > docs/job.schema.json");
}
