//! Test calls are kept with their answers, for a while.

use std::time::Duration;

use sealpost::domain::test_call::{TestCall, TestKind, TestRecord};
use sealpost::domain::test_report::{StepName, TestReport};

use crate::backend::{Backend, over_both};

over_both! {
    a_test_call_is_kept_with_its_answer_for_an_hour,
}

async fn a_test_call_is_kept_with_its_answer_for_an_hour(backend: Backend) {
    let (tests, now) = (&backend.app.test_calls, backend.app.clock.now());
    let (customer, endpoint) = ("c".parse().unwrap(), "e".parse().unwrap());
    let call = TestCall::new("1".to_owned(), customer, endpoint, TestKind::Test, now);
    let asked = TestRecord { call, report: None };
    assert_eq!(tests.get("test_1", now).await.unwrap(), None);
    tests.put(&asked).await.unwrap();
    assert_eq!(tests.get("test_1", now).await.unwrap(), Some(asked.clone()));
    let mut report = TestReport::default();
    report.fail(StepName::Dns, "no address", Some("correct the name"));
    let answered = TestRecord { report: Some(report.finished(now)), ..asked };
    tests.put(&answered).await.unwrap();
    let last = now.plus(Duration::from_secs(3599));
    assert_eq!(tests.get("test_1", last).await.unwrap(), Some(answered));
    assert_eq!(tests.get("test_1", now.plus(Duration::from_secs(3600))).await.unwrap(), None);
    assert_eq!(tests.get("test_2", now).await.unwrap(), None);
}
