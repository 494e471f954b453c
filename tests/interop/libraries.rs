//! What `docs/AUTH.md` says has been tried is what is tried.

use std::collections::BTreeMap;
use std::path::Path;

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The versions that `make receivers` installs: of JavaScript, those that are asked for; of Python, all.
fn pins() -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let package: serde_json::Value =
        serde_json::from_str(&read("tests/receivers/package.json")).unwrap();
    let javascript = package["dependencies"].as_object().unwrap().iter();
    let javascript = javascript.map(|(n, v)| (n.clone(), v.as_str().unwrap().to_owned())).collect();
    let requirements = read("tests/receivers/requirements.txt");
    let python = requirements.lines().map(|line| {
        let (name, version) = line.split(';').next().unwrap().trim().split_once("==").unwrap();
        (name.to_owned(), version.to_owned())
    });
    (javascript, python.collect())
}

#[test]
fn the_documentation_names_the_libraries_and_versions_that_are_installed() {
    let document = read("docs/AUTH.md");
    let (_, section) = document
        .split_once("\n## What has been tried against the receivers' own libraries\n")
        .unwrap_or_else(|| panic!("docs/AUTH.md has no such heading"));
    let section = section.split("\n## ").next().unwrap();
    let (javascript, python) = pins();
    let mut named = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let pins = match cells[1] {
            "JavaScript" => &javascript,
            "Python" => &python,
            other => panic!("{other} is no language: {row}"),
        };
        for library in cells[2].split(", ") {
            let (name, version) = library.rsplit_once(' ').unwrap();
            let name = name.trim_matches('`');
            assert_eq!(pins.get(name).map(String::as_str), Some(version), "{row}");
            named.push(name.to_owned());
        }
    }
    let missing: Vec<_> = javascript.keys().filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty(), "docs/AUTH.md lacks {missing:?}");
}
