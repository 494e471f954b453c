//! The examples of `docs/TRANSFORMS.md` are what is made of them.

use sealpost::domain::body::{MAX_INPUT_PATHS, MAX_JMESPATH, MAX_TEMPLATE};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::case::Case;

#[derive(Deserialize)]
struct Settings {
    body: Box<RawValue>,
}

/// The code blocks of a text, each with its language.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let fences: Vec<&str> = text.split("\n```").collect();
    fences.iter().skip(1).step_by(2).map(|block| block.split_once('\n').unwrap()).collect()
}

fn compact(json: &str) -> String {
    Case::new("{\"jmespath\":\"@\"}", json).text().unwrap_or_else(|e| panic!("{json}: {e}"))
}

#[test]
fn the_examples_are_made_as_they_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TRANSFORMS.md");
    let docs = std::fs::read_to_string(path).unwrap();
    let with_example = [
        "jmespath",
        "template",
        "XML",
        "inputTransformer",
        "inputPath",
        "text",
        "form",
        "cloudEvents",
    ];
    for heading in with_example {
        let (_, section) = docs.split_once(&format!("\n## {heading}\n")).unwrap();
        let blocks = blocks(section.split("\n## ").next().unwrap());
        assert!(!blocks.is_empty() && blocks.len().is_multiple_of(3), "{heading}");
        for example in blocks.chunks(3) {
            let settings: Settings = serde_json::from_str(example[0].1).unwrap();
            let mut case = Case::new(settings.body.get(), example[1].1);
            case.event_type = Some("order.created".to_owned());
            let made = case.text().unwrap_or_else(|e| panic!("{heading}: {e}"));
            match example[2] {
                ("json", expected) => assert_eq!(compact(&made), compact(expected), "{heading}"),
                (_, expected) => assert_eq!(made, expected, "{heading}"),
            }
        }
    }
}

#[test]
fn the_words_and_limits_that_are_listed_are_those_there_are() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TRANSFORMS.md");
    let docs = std::fs::read_to_string(path).unwrap();
    let section = docs.split("| kind | names |").nth(1).unwrap().split("\n\n").next().unwrap();
    let (filters, tests) = section.split_once("| tests |").unwrap();
    let words = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let refused = |expression: String| {
        let body = serde_json::json!({"template": expression}).to_string();
        Case::new(&body, "1").compile().err()
    };
    for name in words(filters) {
        let problem = refused(format!("{{{{ data|{name} }}}}")).unwrap_or_default();
        assert!(!problem.contains("there is no filter"), "{name}: {problem}");
    }
    for name in words(tests) {
        let problem = refused(format!("{{{{ data is {name} 1 }}}}")).unwrap_or_default();
        assert!(!problem.contains("there is no test"), "{name}: {problem}");
    }
    assert!(words(filters).len() > 25 && words(tests).len() >= 15);
    assert_eq!((MAX_TEMPLATE, MAX_JMESPATH, MAX_INPUT_PATHS), (64 * 1024, 8 * 1024, 100));
    for limit in ["64 KiB", "8 KiB", "8,192 characters, 100 paths", "128 levels, 250,000 values"] {
        assert!(docs.contains(limit), "{limit}");
    }
}
