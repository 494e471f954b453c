//! What an erasure leaves, and until when.

use std::time::Duration;

use super::erasure::Left;
use crate::app::App;
use crate::domain::access::LONGEST_TOKEN;
use crate::domain::submission::REMEMBERED;
use crate::ports::deliveries::FENCES_KEPT;

/// Most keys that are named.
const MOST_NAMED: usize = 20;

fn left(what: &'static str, detail: impl Into<String>) -> Left {
    Left { what, until: None, detail: detail.into() }
}

/// What every erasure leaves.
pub(super) fn always(app: &App) -> Vec<Left> {
    let (config, now) = (&app.config, app.clock.now());
    let for_long = |what, lifetime: Duration, detail: &str| {
        let until = Some(now.plus(lifetime));
        Left { what, until, detail: detail.to_owned() }
    };
    let mut all = vec![
        for_long(
            "caches",
            config.cache.lifetimes(config.is_aws()).hard,
            "workers may call with the endpoints and secrets that they have read; what such a call leaves goes \
             with another erasure after this time",
        ),
        left(
            "jobs",
            "jobs in the queue become dead letters (unknown_endpoint) when their time comes, and those for all \
             endpoints end as unmatched: none is sent; erase again to remove such letters",
        ),
        for_long("fences", FENCES_KEPT, "ids of jobs with what came of their attempts"),
        for_long("submissions", REMEMBERED, "hashes of jobs that came over the API"),
    ];
    if config.is_aws() {
        let detail = "test calls until they are an hour old; tokens, which are refused since now";
        all.push(for_long("expiring", LONGEST_TOKEN, detail));
    }
    all.push(left(
        "numbers",
        "ids of endpoints and secrets with their last version, which is never given twice, and the mark that the \
         tenant key was shredded; records of replays",
    ));
    let pages = if config.is_aws() {
        ""
    } else {
        ", free pages of sealpost.db until they are written over"
    };
    let detail = format!("backups of the store and logs, for as long as you keep them{pages}");
    all.push(left("backups", detail));
    all
}

/// Keys that reach other customers, too.
pub(super) fn shared_keys(ids: &[String]) -> Option<Left> {
    let named = ids.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = if ids.len() > MOST_NAMED { ", and more" } else { "" };
    let detail =
        format!("{named}{more}: good for other customers, too; revoke them if that is wrong");
    (!ids.is_empty()).then(|| left("keys", detail))
}

/// Dead letters that are listed after all.
pub(super) fn letters(count: u64) -> Option<Left> {
    let detail = format!(
        "{count} are listed: given up meanwhile, or not to be had from the queue just now; erase again in a few \
         minutes, and have those forgotten that are not found then either"
    );
    (count > 0).then(|| left("dead_letters", detail))
}
