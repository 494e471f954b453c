//! Price files: what is refused, and what may be left out.

use super::*;

/// What is said of a list in which `old` is written as `new`.
fn refused(old: &str, new: &str) -> String {
    assert!(TODAY.contains(old), "{old}");
    let error = Prices::parse(&TODAY.replacen(old, new, 1)).unwrap_err();
    error.to_string()
}

#[test]
fn a_bad_price_file_is_refused_with_the_key_and_what_was_expected() {
    let key = "[storage.secrets_manager_secret]\ndollars = \"0.40\"";
    let dollars = |written: &str| format!("[storage.secrets_manager_secret]\n{written}");
    let path = "storage.secrets_manager_secret";
    let units = "[storage.dynamodb_requests.units.read]\ndollars = \"0.125\"\nper = 1_000_000\nsource = \"Amazon DynamoDB Pricing: On-Demand Capacity\"\nverified = true\n";
    let assumed = units.replace("units.read", "assumed");
    let cases = [
        ("name =", "nickname =".to_owned(), vec!["nickname: unknown field", "`date`"]),
        ("date = 2026-11-26\n", String::new(), vec!["missing field `date`"]),
        ("date = 2026-11-26", "date = 'today'".to_owned(), vec!["date: "]),
        ("date = 2026-11-26", "date = 2026-11-26T10:00:00Z".to_owned(), vec!["date: ", "no day"]),
        (key, dollars("dollars = \"-0.40\""), vec![path, "dollars: -0.40 is negative"]),
        (key, dollars("dollars = -1"), vec![path, "dollars: -1 is negative"]),
        (key, dollars("dollars = 0.40"), vec![path, "dollars: ", "in quotes"]),
        (key, dollars("dollars = \"1001\""), vec![path, "dollars: ", "too high", "1000"]),
        (key, dollars("dollars = \"0.0000000001\""), vec![path, "dollars: ", "nine decimals"]),
        (key, dollars("dolars = \"0.40\""), vec![path, "dolars: unknown field", "`dollars`"]),
        (key, dollars(""), vec![path, "missing field `dollars`"]),
        ("per = 10_000", "per = 12".to_owned(), vec!["per: 12 is not a power of ten"]),
        ("free = 10_000", "free = -1".to_owned(), vec!["storage.ssm_parameter.free: "]),
        ("verified = true\n", "verified = 1\n".to_owned(), vec!["verified: ", "boolean"]),
        (
            "source = \"AWS",
            "source = \" \" # \"AWS".to_owned(),
            vec!["source: expected some words"],
        ),
        ("units.read", "unit.read".to_owned(), vec!["dynamodb_requests.unit: unknown field"]),
        (units, "# ".to_owned(), vec!["units: missing field `read`"]),
        (units, format!("{assumed}{units}"), vec!["dynamodb_requests: ", "both are there"]),
        ("[delivery.sqs_call]", "[delivery.sqs]".to_owned(), vec!["delivery.sqs: unknown field"]),
        ("[storage.kms_key]", "[storage.kms_key".to_owned(), vec!["TOML parse error at line"]),
    ];
    for (old, new, expected) in cases {
        let error = refused(old, &new);
        for words in expected {
            assert!(error.contains(words), "{new}: {error:?} lacks {words:?}");
        }
    }
}

#[test]
fn requests_of_dynamodb_have_to_be_priced() {
    let section = TODAY.split("[storage.dynamodb_requests").next().unwrap();
    let none = format!("{section}[storage.dynamodb_requests]\n");
    let error = Prices::parse(&none).unwrap_err();
    assert_eq!(error.path, "storage.dynamodb_requests");
    assert!(error.problem.contains("neither is there"), "{error}");
    let missing = Prices::parse(section).unwrap_err();
    assert!(missing.to_string().contains("missing field `dynamodb_requests`"), "{missing}");
}

#[test]
fn a_list_without_delivery_leaves_its_bills_out() {
    let storage_alone = TODAY.split("[delivery.").next().unwrap();
    let prices = Prices::parse(storage_alone).unwrap();
    assert_eq!(bills(&Usage::default(), &prices).len(), 5);
}
