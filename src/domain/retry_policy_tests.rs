use super::*;
use crate::domain::backoff;

fn policy(json: &str) -> Result<RetryPolicy, FieldError> {
    let settings: RetrySettings = serde_json::from_str(json).unwrap();
    settings.policy(RetryPreset::Sealpost)
}

#[test]
fn what_is_left_out_is_the_preset_s() {
    let policy = policy(r#"{"preset": "eventbridge", "maxAge": "1h"}"#).unwrap();
    let eventbridge = RetryPreset::EventBridge.policy();
    let hour = Duration::from_secs(3600);
    assert_eq!(policy, RetryPolicy { max_age: hour, max_delay: hour, ..eventbridge });
}

#[test]
fn every_preset_is_within_the_limits_of_a_policy() {
    for preset in RetryPreset::ALL {
        let settings = RetrySettings { preset: Some(preset), ..RetrySettings::default() };
        assert_eq!(settings.policy(RetryPreset::Sealpost), Ok(preset.policy()));
    }
}

#[test]
fn the_presets_with_a_schedule_take_as_long_as_they_are_known_for() {
    let total = |preset: RetryPreset| match preset.policy().waits {
        Waits::Listed(waits) => waits.iter().sum::<Duration>().as_secs(),
        Waits::Doubling { .. } => 0,
    };
    assert_eq!(total(RetryPreset::StandardWebhooks), 75 * 3600 + 35 * 60 + 5);
    assert_eq!(total(RetryPreset::Svix), 27 * 3600 + 35 * 60 + 5);
    let eventbridge = RetryPreset::EventBridge.policy();
    let half_of_all: Duration = (1..=185).map(|n| backoff::delay(&eventbridge, n, 0.5)).sum();
    assert!(half_of_all < eventbridge.max_age && half_of_all > eventbridge.max_age.mul_f64(0.9));
}

#[test]
fn a_schedule_decides_how_often_and_how_long() {
    let policy = policy(r#"{"schedule": ["5s", "2days", "3days"]}"#).unwrap();
    assert_eq!(policy.max_attempts, 4);
    let days = |n: u64| Duration::from_secs(n * 24 * 3600);
    assert_eq!(policy.waits, Waits::Listed(vec![Duration::from_secs(5), days(2), days(3)]));
    assert!(policy.max_age > days(5) && policy.max_delay == days(3));
}

#[test]
fn a_wrong_setting_is_named_by_its_path() {
    let path = |json: &str| policy(json).unwrap_err().path;
    assert_eq!(path(r#"{"maxAttempts": 1001}"#), "maxAttempts");
    assert_eq!(path(r#"{"maxAge": "15days"}"#), "maxAge");
    assert_eq!(path(r#"{"maxDelay": "4days"}"#), "maxDelay");
    assert_eq!(path(r#"{"baseDelay": "13h"}"#), "baseDelay");
    assert_eq!(path(r#"{"baseDelay": "1s", "schedule": ["1s"]}"#), "baseDelay");
    assert_eq!(path(r#"{"schedule": []}"#), "schedule");
    assert_eq!(path(r#"{"schedule": ["1s", "2h"], "maxDelay": "1h"}"#), "schedule[1]");
    assert_eq!(path(r#"{"schedule": ["1h", "2h"], "maxAge": "2h"}"#), "schedule");
}

#[test]
fn the_settings_read_back_as_they_were_written() {
    let json = r#"{"preset":"svix","schedule":["5s","5m"],"retryOn":["503","4xx"]}"#;
    let settings: RetrySettings = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&settings).unwrap(), json);
}
