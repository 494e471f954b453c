//! `sealpost delivery`: what was recorded of deliveries.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;

use super::replay::By;
use super::{Global, output};
use crate::app::App;
use crate::domain::delivery_record::{AttemptRow, DeliveryFilter, DeliveryRecord, DeliveryStatus};
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::reason::Reason;
use crate::domain::timeline::timeline;
use crate::domain::timestamp::Timestamp;
use crate::replay::Resent;

/// List and show recorded deliveries, and send one again.
#[derive(Debug, Subcommand)]
pub enum Delivery {
    /// List a customer's recorded deliveries, newest first
    #[command(
        after_help = "Example:\n  sealpost delivery list acme --endpoint orders --status dead_letter"
    )]
    List {
        /// Whose
        customer: CustomerId,
        /// Only this endpoint's
        #[arg(long)]
        endpoint: Option<EndpointId>,
        /// Only of this job
        #[arg(long, value_name = "ID")]
        job: Option<JobId>,
        /// Only of this event type
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
        /// Only those that stand so: delivered, retrying or dead_letter
        #[arg(long)]
        status: Option<DeliveryStatus>,
        /// Only those given up with this reason code
        #[arg(long)]
        reason: Option<Reason>,
        /// Only those whose last attempt was answered with this HTTP status
        #[arg(long)]
        http_status: Option<u16>,
        /// Only those accepted since this time
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Only those accepted before this time
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// Most deliveries listed
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on behind this place: the one that the page before ended with
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// Show a delivery with its recorded attempts, and what happened in order
    #[command(after_help = "Example:\n  sealpost delivery show dv_0123456789abcdef01234567")]
    Show {
        /// The delivery's id
        id: String,
    },
    /// Send a delivery again: from its dead letter, or from the job that was kept of it
    #[command(after_help = "Example:\n  sealpost delivery resend dv_0123456789abcdef01234567")]
    Resend {
        /// The delivery's id
        id: String,
        #[command(flatten)]
        by: By,
    },
}

pub async fn run(global: &Global, verb: Delivery) -> anyhow::Result<ExitCode> {
    let app = global.open().await?;
    match verb {
        Delivery::List {
            customer: customer_id,
            endpoint: endpoint_id,
            job: job_id,
            event_type,
            status,
            reason,
            http_status,
            since,
            until,
            limit,
            after,
        } => {
            let filter = DeliveryFilter {
                customer_id,
                endpoint_id,
                job_id,
                event_type,
                status,
                reason,
                http_status,
                since,
                until,
            };
            list(global, &app, &filter, after.as_deref(), limit).await?;
        }
        Delivery::Show { id } => show(global, &app, &id).await?,
        Delivery::Resend { id, by } => resend(global, &app, &id, &by.who).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    global: &Global,
    app: &App,
    filter: &DeliveryFilter,
    after: Option<&str>,
    limit: usize,
) -> anyhow::Result<()> {
    let page = app.records.list(filter, after, limit, app.clock.now()).await?;
    if global.json {
        page.records.iter().try_for_each(output::json)?;
    } else {
        let rows = page.records.iter().map(|record| {
            vec![
                record.id.clone(),
                record.accepted_at.to_string(),
                record.endpoint_id.to_string(),
                record.job_id.to_string(),
                record.status.name().to_owned(),
                record.attempts.to_string(),
                record.last.to_string(),
            ]
        });
        output::table(&["id", "accepted", "endpoint", "job", "status", "attempts", "last"], rows)?;
    }
    if let Some(next) = page.next {
        let found = page.records.len();
        output::note(&format!("{found} so far; there may be more: go on with --after '{next}'"));
    }
    Ok(())
}

async fn find(app: &App, id: &str) -> anyhow::Result<(DeliveryRecord, Vec<AttemptRow>)> {
    let found = app.records.get(id, app.clock.now()).await?;
    found.with_context(|| {
        format!("nothing is recorded of a delivery {id}: the settings say what is ([deliveries])")
    })
}

async fn show(global: &Global, app: &App, id: &str) -> anyhow::Result<()> {
    let (record, attempts) = find(app, id).await?;
    let resends = app.records.resends(id, app.clock.now()).await?;
    let moments = timeline(&record, &attempts);
    if global.json {
        return output::json(
            &json!({"delivery": record, "attempts": attempts, "resends": resends, "timeline": moments}),
        );
    }
    output::line(&serde_json::to_string_pretty(
        &json!({"delivery": record, "attempts": attempts, "resends": resends}),
    )?)?;
    let rows = moments.iter().map(|moment| {
        let number = moment.attempt.map_or(String::new(), |number| format!(" {number}"));
        let event = format!("{}{number}", moment.event.name());
        vec![moment.at.to_string(), event, moment.detail.clone()]
    });
    output::table(&["when", "what", "how"], rows)
}

async fn resend(global: &Global, app: &App, id: &str, who: &str) -> anyhow::Result<()> {
    let (record, _) = find(app, id).await?;
    let resent = app.replayer().resend(&record, who).await?;
    let next = record.next_round_id();
    match (global.json, resent) {
        (true, resent) => output::json(&json!({"resent": resent.name(), "nextRound": next})),
        (false, Resent::Replayed) => output::line(&format!("replayed as {next}")),
        (false, Resent::Ordered) => output::line(&format!(
            "ordered: a worker sends the kept job as {next}; `sealpost delivery show {id}` says \
             what came of it"
        )),
    }
}
