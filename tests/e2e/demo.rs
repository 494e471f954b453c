use crate::program::Program;

#[test]
fn the_demo_adds_up_and_says_so() {
    let printed = Program::new().ok(&["demo", "--json", "--jobs", "200"], "");
    let summary: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(summary["accepted"], 200);
    assert_eq!((&summary["delivered"], &summary["dead_lettered"]), (&180.into(), &20.into()));
    assert_eq!(
        (&summary["replayed"], &summary["delivered_after_replay"]),
        (&20.into(), &200.into())
    );
    assert_eq!(
        (&summary["refused_by_receiver"], &summary["arrived_twice"]),
        (&0.into(), &0.into())
    );
    assert_eq!(summary["retries"], 20 * 2 + 20 * 2);
    assert_eq!(summary["adds_up"], true);
}
