//! The form of a value is checked when it is put, with every scheme that names it.

use std::collections::BTreeSet;

use sealpost::auth::{Chain, REGISTRY};
use sealpost::domain::endpoint::AuthStep;
use sealpost::domain::ids::SecretId;
use sealpost::domain::secret::SecretBytes;
use sealpost::vault::facts;
use serde_json::Value;

use crate::data::own;
use crate::scheme::key;

fn value(text: &str) -> SecretBytes {
    let text = match text.strip_prefix("key:") {
        Some(names) => names.split('+').map(key).collect(),
        None => text.to_owned(),
    };
    SecretBytes::new(text.into_bytes())
}

fn chain(step: &Value) -> Chain {
    let step: AuthStep = serde_json::from_value(step.clone()).unwrap();
    Chain::compile(std::slice::from_ref(&step), std::iter::empty())
        .unwrap_or_else(|e| panic!("{step:?}: {e}"))
}

/// Words of a value that no complaint may hold; shorter ones are in every sentence.
fn words(value: &SecretBytes) -> Vec<&str> {
    let words =
        value.expose_str().unwrap().split(|c: char| c.is_whitespace() || ":\"{}".contains(c));
    words.filter(|word| word.len() >= 8 && !word.contains("-----")).collect()
}

#[test]
fn values_are_taken_and_refused_as_the_cases_say_and_no_complaint_repeats_one() {
    let (file, id) = (own("secrets/forms.json"), "s".parse::<SecretId>().unwrap());
    let mut schemes = BTreeSet::new();
    for case in file["cases"].as_array().unwrap() {
        let step = &case["step"];
        schemes.insert(step["scheme"].as_str().unwrap().to_owned());
        let chain = chain(step);
        for good in case["good"].as_array().unwrap() {
            let good = value(good.as_str().unwrap());
            let checked = chain.check_secret(&id, &good);
            assert!(checked.is_ok(), "{step}: {}", checked.unwrap_err());
            let known = facts(&good).map_or(Ok(()), |facts| chain.check_facts(&id, &facts));
            assert!(known.is_ok(), "{step}: {}", known.unwrap_err());
        }
        for bad in case["bad"].as_array().unwrap() {
            let text = value(bad["value"].as_str().unwrap());
            let refused = chain.check_secret(&id, &text);
            let refused = refused.err().unwrap_or_else(|| panic!("{step} takes {bad}"));
            let said = refused.to_string();
            assert!(said.contains(bad["says"].as_str().unwrap()), "{bad}: {said}");
            assert!(said.starts_with("auth[0]: secret s: "), "{said}");
            let known = facts(&text).map(|facts| chain.check_facts(&id, &facts));
            let known = known.and_then(Result::err).map(|error| error.to_string());
            match bad["kept"].as_str() {
                Some(kept) => {
                    assert!(known.as_ref().is_some_and(|k| k.contains(kept)), "{bad}: {known:?}")
                }
                None => assert_eq!(known, None, "{bad}"),
            }
            for said in [Some(said), known].into_iter().flatten() {
                let repeated = words(&text).into_iter().find(|word| said.contains(word));
                assert_eq!(repeated, None, "{said}");
            }
        }
    }
    let all = REGISTRY.iter().map(|scheme| scheme.name()).filter(|name| *name != "none");
    assert_eq!(schemes, all.map(str::to_owned).collect());
}
