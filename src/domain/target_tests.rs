use super::*;

fn template(text: &str) -> Result<UrlTemplate, FieldError> {
    UrlTemplate::try_from(text.to_owned())
}

#[test]
fn parameters_fill_the_wildcards_in_order_and_cannot_leave_their_segment() {
    let t = template("https://a.example/*/orders/*?x=1").unwrap();
    let url = t.fill(&["eu".into(), "a/../b c".into()]).unwrap();
    assert_eq!(url.as_str(), "https://a.example/eu/orders/a%2F..%2Fb%20c?x=1");
    for bad in ["..", ".", ""] {
        assert!(t.fill(&["eu".into(), bad.into()]).is_err(), "{bad:?}");
    }
}

#[test]
fn too_few_and_too_many_parameters_are_refused() {
    let t = template("https://a.example/*").unwrap();
    assert!(t.fill(&[]).is_err());
    assert!(t.fill(&["a".into(), "b".into()]).is_err());
}

#[test]
fn a_wildcard_outside_the_path_is_refused() {
    for text in [
        "https://*.example/x",
        "https:///api.bo*.com/hook",
        "https:\\\\a*.example/x",
        "https:/a*.example/x",
        "https:*.example/x",
        "https://u*@a.example/x",
        "https://a.example:8*/x",
        "https://a.example/*?*",
        "https://a.example/x?*",
        "https://a.example/#*",
        "*",
        "/x",
        "https://a.example/{secret}",
        "https://a.example/{secret:a",
        "https://a.example/{secret:a b}",
        "https://a.example/x?token={secret:a}",
        "https://{secret:a}.example/x",
        "https://a.example/{secret:a}/../{secret:b}",
        "https://a.example/*/{secret:a}/../c",
        "https://a.example/*/%2E%2e/c",
    ] {
        assert!(template(text).is_err(), "{text}");
    }
}

#[test]
fn dots_spelled_in_percent_stay_data() {
    let t = template("https://a.example/a/*/b").unwrap();
    assert_eq!(t.fill(&["%2e%2e".into()]).unwrap().path(), "/a/%252e%252e/b");
}

#[test]
fn a_secret_in_the_path_is_masked_until_it_is_sent() {
    let t = template("https://hooks.example/services/{secret:slack}/*?x=1").unwrap();
    assert_eq!(t.secrets().map(SecretId::as_str).collect::<Vec<_>>(), ["slack"]);
    let url = t.fill(&["********".into()]).unwrap();
    assert_eq!(
        url.as_str(),
        "https://hooks.example/services/********/%2A%2A%2A%2A%2A%2A%2A%2A?x=1"
    );
    let secret = |text: &str| secret_segments(&SecretBytes::new(text.as_bytes().to_vec()));
    let value = secret("T00/B00:é%20x").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        unmask(url.path(), &[value]),
        "/services/T00/B00:%C3%A9%20x/%2A%2A%2A%2A%2A%2A%2A%2A"
    );
    for bad in ["", "/a", "a/", "a/../b", "a/%2E%2e/b", ".", "a?b", "a#b", "a b", "a\\b", "a\nb"] {
        assert!(secret(bad).is_err(), "{bad:?}");
    }
}
