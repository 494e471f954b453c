//! The operator's event types.

use sealpost::domain::event_catalog::EventType;
use serde_json::json;

use crate::backend::{Backend, over_both};

over_both! {
    event_types_are_listed_by_name_replaced_and_removed,
}

async fn event_types_are_listed_by_name_replaced_and_removed(backend: Backend) {
    let (types, updated_at) = (&backend.app.event_types, backend.app.clock.now());
    let make = |name: &str, description: &str| EventType {
        name: name.parse().unwrap(),
        description: description.to_owned(),
        example: Some(json!({"n": 1})),
        archived: false,
        updated_at,
    };
    for name in ["b.two", "a.one", "c"] {
        types.put(&make(name, "first")).await.unwrap();
    }
    types.put(&make("c", "second")).await.unwrap();
    assert_eq!(types.get(&"c".parse().unwrap()).await.unwrap(), Some(make("c", "second")));
    let names = async |after: Option<&str>, limit| -> Vec<String> {
        let page = types.list(after, limit).await.unwrap();
        page.into_iter().map(|known| known.name.to_string()).collect()
    };
    assert_eq!(names(None, 10).await, ["a.one", "b.two", "c"]);
    assert_eq!(names(Some("a.one"), 1).await, ["b.two"]);
    assert!(types.delete(&"b.two".parse().unwrap()).await.unwrap());
    assert!(!types.delete(&"b.two".parse().unwrap()).await.unwrap());
    assert_eq!(types.get(&"b.two".parse().unwrap()).await.unwrap(), None);
    assert_eq!(names(None, 10).await, ["a.one", "c"]);
}
