//! The cases of `fixtures/transform/`.

use std::path::Path;

use sealpost::domain::body::Body;
use serde::Deserialize;

use crate::case::Case;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Case>,
}

#[test]
fn bodies_are_made_as_the_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transform");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file: File =
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            for case in &file.cases {
                case.check();
                seen += 1;
            }
        }
    }
    assert!(seen >= 150, "only {seen} cases");
}

#[test]
fn settings_read_back_as_they_were_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transform");
    for name in ["form.json", "cloud_events.json", "input_transformer.json"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        for case in serde_json::from_str::<File>(&text).unwrap().cases {
            let Ok(body) = serde_json::from_str::<Body>(case.body.get()) else { continue };
            let written = serde_json::to_string(&body).unwrap();
            assert_eq!(serde_json::from_str::<Body>(&written).unwrap(), body, "{written}");
        }
    }
}
