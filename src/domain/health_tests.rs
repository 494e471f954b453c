use super::*;
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn hour(hours: u32) -> Timestamp {
    START.plus(HOUR * hours)
}

/// The hours, after the start, at which something was written, and when the endpoint was disabled.
fn run(
    failures: &[u32],
    patience: Duration,
    well_at: Option<Timestamp>,
) -> (Vec<u32>, Option<u32>) {
    let (mut known, mut written) = (None, Vec::new());
    for at in failures {
        match after_failure(known, Some(patience), well_at, hour(*at)) {
            Noted::Nothing => {}
            Noted::Failing(failing) => {
                known = Some(failing);
                written.push(*at);
            }
            Noted::Disable(failing) => {
                assert_eq!((failing.since, failing.noted_at), (hour(failures[0]), hour(*at)));
                return (written, Some(*at));
            }
        }
    }
    (written, None)
}

#[test]
fn days_of_failures_alone_disable_with_a_bounded_number_of_writes() {
    let every_hour: Vec<u32> = (0..200).collect();
    let (written, disabled) = run(&every_hour, USUAL_PATIENCE, None);
    assert_eq!(disabled, Some(120));
    assert_eq!(written, (0..20).map(|step| step * 6).collect::<Vec<_>>());
}

#[test]
fn two_failures_however_far_apart_disable_nothing() {
    assert_eq!(run(&[0, 240], USUAL_PATIENCE, None), (vec![0, 240], None));
    assert_eq!(run(&[0, 240, 241, 250], USUAL_PATIENCE, None).1, Some(250));
}

#[test]
fn a_call_that_went_well_begins_the_time_anew() {
    let patience = Some(USUAL_PATIENCE);
    let failing = Failing { since: hour(0), noted_at: hour(110), notes: 19 };
    let later = hour(130);
    assert!(matches!(after_failure(Some(failing), patience, None, later), Noted::Disable(_)));
    let anew = Failing { since: later, noted_at: later, notes: 1 };
    let well = Some(hour(50));
    assert_eq!(after_failure(Some(failing), patience, well, later), Noted::Failing(anew));
    let well_before = Some(START.minus(HOUR));
    assert!(matches!(
        after_failure(Some(failing), patience, well_before, later),
        Noted::Disable(_)
    ));
}

#[test]
fn an_endpoint_that_fails_now_and_then_costs_no_write() {
    assert_eq!(after_failure(None, Some(USUAL_PATIENCE), Some(hour(0)), hour(5)), Noted::Nothing);
    assert!(matches!(
        after_failure(None, Some(USUAL_PATIENCE), Some(hour(0)), hour(6)),
        Noted::Failing(_)
    ));
}

#[test]
fn without_a_limit_of_patience_nothing_is_noted() {
    assert_eq!(after_failure(None, None, None, hour(0)), Noted::Nothing);
    let never = HealthSettings { disable_after: Some(DisableAfter(None)), ..Default::default() };
    assert_eq!(never.patience(Profile::Sealpost), None);
    let usual = HealthSettings::default();
    assert_eq!(usual.patience(Profile::Sealpost), Some(USUAL_PATIENCE));
    assert_eq!(usual.patience(Profile::EventBridge), None);
}

#[test]
fn settings_are_read_as_they_are_written_and_refused_with_their_path() {
    let read = |text: &str| serde_json::from_str::<HealthSettings>(text).map_err(|e| e.to_string());
    for text in [
        r#"{"disableAfter":"5days","onDisabled":"hold","probe":"1h"}"#,
        r#"{"disableAfter":false,"onDisabled":"deadLetter"}"#,
    ] {
        assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
    }
    assert!(read(r#"{"disableAfter":true}"#).unwrap_err().contains("false for never"));
    assert!(read(r#"{"disableAfter":"x"}"#).unwrap_err().contains("a duration"));
    let path = |text: &str| read(text).unwrap().check().unwrap_err().path;
    assert_eq!(path(r#"{"disableAfter":"59s"}"#), "disableAfter");
    assert_eq!(path(r#"{"probe":"31days"}"#), "probe");
}

#[test]
fn a_record_of_before_there_were_failures_is_read() {
    let old = r#"{"state":"disabled","why":"gone"}"#;
    let record: HealthRecord = serde_json::from_str(old).unwrap();
    assert_eq!(record.health, Health::Disabled { why: "gone".to_owned() });
    assert_eq!((record.failing, record.revision), (None, 0));
    let written = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<HealthRecord>(&written).unwrap(), record);
}

proptest! {
    #[test]
    fn nothing_is_disabled_before_its_time_and_little_is_written(
        gaps in prop::collection::vec(0u32..20, 1..300), patience in 20u32..300,
    ) {
        let at: Vec<u32> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
        let (written, disabled) = run(&at, HOUR * patience, None);
        prop_assert!(written.len() <= NOTES as usize + 2, "{}", written.len());
        if let Some(disabled) = disabled {
            prop_assert!(disabled - at[0] >= patience);
        }
    }
}
