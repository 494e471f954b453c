//! The jobs that are kept are sealed: what customers are told lies in no table as it is.

use rusqlite::types::ValueRef;
use sealpost::domain::delivery_record::{DeliveryFilter, Recording};
use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::kept_body::KeepBodies;
use sealpost::domain::resend::ResendOrder;
use sealpost::ports::queue::NewMessage;
use serde_json::json;

use crate::bench::{Bench, loopback};
use crate::canary::assert_silent;
use crate::web::Web;

const TOLD: &str = "canary-in-the-job-7f31";

/// What every table of the database holds, message queue and dead letters included, row by row.
fn tables(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    let path = bench.files().into_iter().map(|(name, _)| name);
    let path = path.into_iter().find(|name| name.ends_with("sealpost.db")).unwrap();
    let database = rusqlite::Connection::open(path).unwrap();
    let names = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let mut names = database.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let rows = |name: String| {
        let mut all = database.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = all.column_count();
        let mut rows = all.query([]).unwrap();
        let mut bytes = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                if let ValueRef::Text(text) | ValueRef::Blob(text) = row.get_ref(column).unwrap() {
                    bytes.extend_from_slice(text);
                }
                bytes.push(b' ');
            }
        }
        (name, bytes)
    };
    names.map(|name| rows(name.unwrap())).collect()
}

#[tokio::test]
async fn a_kept_job_is_in_no_table_of_the_database_as_it_is() {
    let web = Web::start(|_| ("204 No Content".to_owned(), String::new())).await;
    let mut config = loopback();
    config.deliveries.record = Recording::All;
    config.deliveries.keep_bodies = KeepBodies::All;
    let bench = Bench::open(config).await;
    let app = &bench.app;
    app.vault.create_tenant_key(&"acme".parse().unwrap()).await.unwrap();
    let endpoint =
        json!({"customerId": "acme", "endpointId": "e", "url": format!("{}/in", web.origin)});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    app.endpoints.put(endpoint, None, app.clock.now()).await.unwrap();
    let job = json!({"customerId": "acme", "endpointId": "e", "data": {"told": TOLD}});
    let message = NewMessage { body: job.to_string().into(), ..NewMessage::default() };
    app.queue.send(vec![message]).await.unwrap();
    bench.deliver_due().await;
    bench.pipeline.recorder.as_ref().unwrap().flush().await;
    let of = DeliveryFilter::of("acme".parse().unwrap());
    let now = app.clock.now();
    let recorded = app.records.list(&of, None, 9, now).await.unwrap().records;
    let kept = app.records.body(&recorded[0].id, now).await.unwrap().unwrap();
    assert!(kept.len() > job.to_string().len(), "it is there, whole");
    // A second time: what was opened leaves nothing behind either.
    let order = ResendOrder { delivery_id: recorded[0].id.clone(), who: "ops-1".to_owned() };
    let (body, state) = ("order".into(), Some(order.to_state().unwrap().into()));
    app.queue.send(vec![NewMessage { body, state, ..NewMessage::default() }]).await.unwrap();
    bench.deliver_due().await;
    bench.deliver_due().await;
    bench.pipeline.recorder.as_ref().unwrap().flush().await;
    assert_eq!(app.tally.counts().delivered, 2);
    let tables = tables(&bench);
    let found = |name: &str| tables.iter().find(|(table, _)| table == name).unwrap().1.len();
    assert!(found("kept_bodies") > 2 * kept.len() && found("attempt_records") > 0);
    for (name, bytes) in &tables {
        assert_silent(name, bytes, &[TOLD]);
    }
}
