//! What holds for every job.

use proptest::prelude::*;
use sealpost::transform::{BodyKind, merge};
use serde_json::{Value, json};

use crate::case::Case;

/// The numbers of a document, as they are written.
fn numbers(json: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut in_string = false;
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => drop(chars.next()),
            '"' => in_string = !in_string,
            _ if in_string => {}
            '0'..='9' | '+' | '-' | '.' | 'E' => found.last_mut().unwrap().push(c),
            'e' if found.last().unwrap().ends_with(|c: char| c.is_ascii_digit()) => {
                found.last_mut().unwrap().push(c);
            }
            _ => found.push(String::new()),
        }
    }
    found.retain(|number| !number.is_empty());
    found
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
        Just("10.50".to_owned()),
        Just("9007199254740993".to_owned()),
        Just("1e400".to_owned()),
        Just("-0".to_owned()),
        Just("1E5".to_owned()),
    ]
}

fn string() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| Value::String(text).to_string())
}

/// Any document, its members' names each once.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        number(),
        string(),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[ {} ]", items.join(" ,"))),
            prop::collection::btree_map("[ -~]{0,6}", inner, 0..6).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, value)| format!("{}: {value}", Value::String(name)))
                    .collect();
                format!("{{{}\n}}", members.join(","))
            }),
        ]
    })
}

/// Bodies that pass the data on, whole.
fn passes_on() -> Vec<Value> {
    let transformer = json!({"inputPathsMap": {"all": "$"}, "inputTemplate": "{\"a\": <all>}"});
    let whole = json!({"inputTemplate": "[<aws.events.event.json>]"});
    vec![
        json!({}),
        json!({"as": "json"}),
        json!({"jmespath": "@"}),
        json!({"jmespath": "{a: [@][0], b: `[]`}"}),
        json!({"inputPath": "$"}),
        json!({"template": "{{ data }}"}),
        json!({"template": "{% set x = {\"a\": [data]} %}{% for y in x.a %}{{ y }}{% endfor %}"}),
        json!({"template": "{{ data|tojson }}"}),
        json!({"inputTransformer": transformer}),
        json!({"inputTransformer": whole}),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_number_that_is_passed_on_keeps_its_text(document in document()) {
        for body in passes_on() {
            let made = Case::new(&body.to_string(), &document).text().unwrap();
            prop_assert_eq!(numbers(&made), numbers(&document), "{}", body);
        }
        let body = json!({"as": {"cloudEvents": {"type": "t", "source": "/"}}});
        let made = Case::new(&body.to_string(), &document).text().unwrap();
        let (_, data) = made.split_once("\"data\":").unwrap();
        prop_assert_eq!(numbers(data), numbers(&document));
    }

    #[test]
    fn what_is_passed_on_is_the_same_value(document in document()) {
        // What serde_json cannot read as doubles is left to the law of numbers.
        if let Ok(value) = serde_json::from_str::<Value>(&document) {
            for body in ["{\"jmespath\":\"@\"}", "{\"template\":\"{{ data }}\"}", "{\"inputPath\":\"$\"}"] {
                let made = Case::new(body, &document).text().unwrap();
                let made: Value = serde_json::from_str(&made).unwrap();
                prop_assert_eq!(&made, &value, "{}", body);
            }
        }
    }

    #[test]
    fn a_form_keeps_the_text_of_every_number(values in prop::collection::btree_map("[a-z]{1,3}", number(), 0..6)) {
        let members: Vec<_> = values.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let made = Case::new("{\"as\":\"form\"}", &format!("{{{}}}", members.join(","))).text().unwrap();
        let read: Vec<_> = url::form_urlencoded::parse(made.as_bytes()).into_owned().collect();
        prop_assert_eq!(read, values.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_value_never_becomes_more_than_a_value(text in any::<String>()) {
        let data = Value::String(text.clone()).to_string();
        for body in [
            json!({"template": "{\"a\": \"x{{ data }}y\", \"b\": {{ data }}}"}),
            json!({"inputTransformer": {"inputPathsMap": {"d": "$"},
                   "inputTemplate": "{\"a\": \"x<d>y\", \"b\": <d>}"}}),
        ] {
            let made = Case::new(&body.to_string(), &data).text().unwrap();
            let made: Value = serde_json::from_str(&made).unwrap();
            prop_assert_eq!(&made, &json!({"a": format!("x{text}y"), "b": text}));
        }
        let xml = json!({"template": "{{ data }}", "contentType": "application/xml"});
        if let Ok(made) = Case::new(&xml.to_string(), &data).text() {
            prop_assert!(!made.contains(['<', '>', '"', '\'', '\r']), "{}", made);
            let plain = made.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            let plain = plain.replace("&#39;", "'").replace("&#13;", "\r").replace("&amp;", "&");
            prop_assert_eq!(&plain, &text);
        }
        let form = json!({"template": "a={{ data }}&b=1", "contentType": "application/x-www-form-urlencoded"});
        let made = Case::new(&form.to_string(), &data).text().unwrap();
        let read: Vec<_> = url::form_urlencoded::parse(made.as_bytes()).into_owned().collect();
        prop_assert_eq!(read, vec![("a".to_owned(), text), ("b".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn only_json_is_read_as_json(
        words in prop::collection::vec(prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", "\"a\"", "\"\\n\"", "\"\\x\"", "\"\u{1}\"", "\"", "\\", "0", "1", "01",
            "-", "+", "1.", ".5", "1.5", "-0", "e5", "1e", "1E+5", "true", "null", "false", "tru", " ",
            "\n", "\u{a0}",
        ]), 0..6),
    ) {
        let text = words.concat();
        let ours = Case::new("{\"jmespath\":\"@\"}", &text).text();
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", &text, ours);
    }

    #[test]
    fn no_settings_make_it_panic(source in "\\PC{0,40}", data in document()) {
        for body in [
            json!({"template": source, "as": "text"}),
            json!({"template": format!("{{{{ {source} }}}}")}),
            json!({"template": format!("{{% {source} %}}")}),
            json!({"jmespath": source}),
            json!({"inputPath": format!("$.{source}")}),
            json!({"inputTransformer": {"inputTemplate": source}}),
        ] {
            // Whether it is refused, fails or is made: it ends.
            drop(Case::new(&body.to_string(), &data).text());
        }
    }

    #[test]
    fn no_sequence_of_words_makes_it_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "data", "a", ".", "[", "]", "(", ")", "{", "}", "|", "upper", "if", "else", "for", "in",
            "not", "is", "defined", "set", "=", "==", "<", "+", "-", "*", "/", "%}", "{%", "{{", "}}",
            "{#", "#}", "'", "\"", "1", "0.5", ",", ":", "~", "endif", "endfor", "raw", "endraw", "@",
            "&", "[?", "[]", "`1`", "\\", "é", "length", "sort_by",
        ]), 0..16),
    ) {
        let source = words.join(" ");
        for body in [json!({"template": source, "as": "text"}), json!({"jmespath": source})] {
            drop(Case::new(&body.to_string(), "{\"a\":[1,2]}").text());
        }
    }

    #[test]
    fn a_merged_parameter_stands_once_and_all_else_as_before(
        members in prop::collection::vec(("[a-c]", document()), 0..6),
        value in document(),
    ) {
        let body: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let body = format!("{{{}}}", body.join(","));
        let made = merge(BodyKind::Json, body.as_bytes(), &[("a", value.as_bytes())]).unwrap();
        let made = String::from_utf8(made).unwrap();
        let picked = |json: &str, path: &str| Case::new(&format!("{{\"inputPath\":\"$.{path}\"}}"), json).text();
        let alone = Case::new("{\"jmespath\":\"@\"}", &value).text();
        prop_assert_eq!(picked(&made, "a"), alone);
        prop_assert_eq!(picked(&made, "b"), picked(&body, "b"));
        let others: Vec<_> = members.iter().filter(|(name, _)| name != "a").flat_map(|(_, v)| numbers(v)).collect();
        prop_assert_eq!(numbers(&made).len(), others.len() + numbers(&value).len());
    }
}
