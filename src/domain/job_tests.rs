use super::*;

fn decode(extra: &str) -> Result<Job, Undecodable> {
    Job::decode(format!(r#"{{"customerId":"c","endpointId":"e"{extra}}}"#).as_bytes())
}

#[test]
fn json_data_keeps_its_text_exactly() {
    let job = decode(r#","data":{"a":10.50, "n":9007199254740993}"#).unwrap();
    assert_eq!(job.payload.bytes, r#"{"a":10.50, "n":9007199254740993}"#);
    assert_eq!(job.payload.content_type.as_deref(), Some("application/json"));
}

#[test]
fn null_is_data() {
    assert_eq!(decode(r#","data":null"#).unwrap().payload.bytes, "null");
    assert_eq!(decode("").unwrap().payload.bytes, "");
}

#[test]
fn a_body_and_data_at_once_are_refused() {
    let error = decode(r#","data":1,"body":"x""#).unwrap_err();
    assert_eq!((error.reason, error.error.path.as_str()), (Reason::InvalidJob, "data"));
}

#[test]
fn what_is_not_json_in_utf8_is_malformed() {
    for bytes in [&b"{"[..], b"", b"\xff{}", b"{\"customerId\":\"\xff\"}"] {
        assert_eq!(Job::decode(bytes).unwrap_err().reason, Reason::MalformedJob, "{bytes:?}");
    }
}

#[test]
fn a_wrong_field_is_named_by_its_path() {
    let path_of = |extra: &str| decode(extra).unwrap_err().error.path;
    assert_eq!(path_of(r#","headers":{"x-a":"b\r\nc"}"#), "headers.x-a");
    assert_eq!(path_of(r#","headers":{"Webhook-Id":"b"}"#), "headers.Webhook-Id");
    assert_eq!(path_of(r#","notBefore":"soon""#), "notBefore");
    assert_eq!(path_of(r#","bodyBase64":"?""#), "bodyBase64");
    assert_eq!(path_of(r#","headers":{"a":7}"#), "headers.a");
    assert_eq!(path_of(r#","extra":7"#), "extra");
}

#[test]
fn a_mebibyte_of_nesting_is_refused_without_harm() {
    let nested = format!(r#","data":{}"#, "[".repeat(MAX_JOB - 100));
    assert_eq!(decode(&nested).unwrap_err().reason, Reason::MalformedJob);
    let oversized = format!(r#","body":"{}""#, "x".repeat(MAX_JOB));
    assert_eq!(decode(&oversized).unwrap_err().reason, Reason::OversizedJob);
}
