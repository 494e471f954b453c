use super::*;
use crate::domain::endpoint::Endpoint;

fn parse(limits: &str) -> Result<Limits, FieldError> {
    let endpoint = format!(
        r#"{{"customerId":"c","endpointId":"e","url":"https://a.example/","limits":{limits}}}"#
    );
    Endpoint::from_json(&endpoint).map(|endpoint| endpoint.limits)
}

#[test]
fn an_endpoint_that_names_no_limits_has_a_breaker_and_no_rate() {
    let limits = parse("{}").unwrap();
    assert_eq!(limits, Limits::default());
    assert_eq!((limits.rate, limits.concurrency, limits.adaptive), (None, 256, true));
    assert_eq!(limits.breaker.unwrap().failures, 20);
    assert_eq!(parse(r#"{"breaker":true}"#).unwrap(), limits);
    assert_eq!(parse(r#"{"breaker":false}"#).unwrap().breaker, None);
}

#[test]
fn a_rate_is_a_text_or_an_object() {
    let rate = |text: &str| parse(&format!(r#"{{"rate":{text}}}"#)).unwrap().rate.unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(rate(r#""100/s""#), Rate { count: 100, per: SECOND, burst: 100 });
    assert_eq!(rate(r#""90/m""#), Rate { count: 90, per: minute, burst: 1 });
    assert_eq!(rate(r#""600/m""#), Rate { count: 600, per: minute, burst: 10 });
    let full = r#"{"count":100,"per":"1s","burst":20}"#;
    assert_eq!(rate(full), Rate { count: 100, per: SECOND, burst: 20 });
    assert_eq!(rate(r#"{"count":3}"#), Rate { count: 3, per: SECOND, burst: 3 });
}

#[test]
fn the_interval_is_never_shorter_than_the_rate_asks() {
    let interval = |text: &str| text.parse::<Rate>().unwrap().interval();
    assert_eq!(interval("100/s"), Duration::from_millis(10));
    assert_eq!(interval("3/s"), Duration::from_nanos(333_333_334));
    assert_eq!(interval("1000000/s"), Duration::from_micros(1));
}

#[test]
fn a_wrong_limit_is_named_by_its_path() {
    for (limits, path) in [
        (r#"{"rate":"100"}"#, "limits.rate"),
        (r#"{"rate":"-1/s"}"#, "limits.rate"),
        (r#"{"rate":"+1/s"}"#, "limits.rate"),
        (r#"{"rate":"1/w"}"#, "limits.rate"),
        (r#"{"rate":100}"#, "limits.rate"),
        (r#"{"rate":"0/s"}"#, "limits.rate.count"),
        (r#"{"rate":"99999999/s"}"#, "limits.rate.count"),
        (r#"{"rate":{"count":1,"per":"10ms"}}"#, "limits.rate.per"),
        (r#"{"rate":{"count":1,"per":"0s"}}"#, "limits.rate"),
        (r#"{"rate":{"count":1,"per":"2days"}}"#, "limits.rate.per"),
        (r#"{"rate":{"count":1,"burst":0}}"#, "limits.rate.burst"),
        (r#"{"rate":{"count":"1"}}"#, "limits.rate.count"),
        (r#"{"rate":{"count":1,"bursts":2}}"#, "limits.rate.bursts"),
        (r#"{"concurrency":0}"#, "limits.concurrency"),
        (r#"{"concurrency":10001}"#, "limits.concurrency"),
        (r#"{"adaptive":"yes"}"#, "limits.adaptive"),
        (r#"{"breaker":"on"}"#, "limits.breaker"),
        (r#"{"breaker":{"failures":0}}"#, "limits.breaker.failures"),
        (r#"{"breaker":{"percent":101}}"#, "limits.breaker.percent"),
        (r#"{"breaker":{"calls":65}}"#, "limits.breaker.calls"),
        (r#"{"breaker":{"wait":"10ms"}}"#, "limits.breaker.wait"),
        (r#"{"breaker":{"wait":"10m"}}"#, "limits.breaker.maxWait"),
        (r#"{"breaker":{"maxWait":"2h"}}"#, "limits.breaker.maxWait"),
        (r#"{"breaker":{"window":1}}"#, "limits.breaker.window"),
        (r#"{"rates":"1/s"}"#, "limits.rates"),
    ] {
        assert_eq!(parse(limits).unwrap_err().path, path, "{limits}");
    }
}

#[test]
fn limits_read_back_as_they_were_written_and_are_not_written_where_none_are_named() {
    for limits in [r#"{"rate":"90/m","concurrency":3,"adaptive":false,"breaker":false}"#, "{}"] {
        let limits = parse(limits).unwrap();
        let json = serde_json::to_string(&limits).unwrap();
        assert_eq!(parse(&json).unwrap(), limits);
    }
    let plain = r#"{"customerId":"c","endpointId":"e","url":"https://a.example/"}"#;
    let plain = Endpoint::from_json(plain).unwrap();
    assert!(!serde_json::to_string(&plain).unwrap().contains("limits"));
}
