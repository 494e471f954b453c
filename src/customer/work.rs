//! The work on an erasure: endpoints first, so that no job is sent with half of what it needs; then
//! whatever lets somebody in or opens something; then what was recorded.
//!
//! Every step can be repeated and finds by itself what is left to do, so an erasure that was cut short goes
//! on where it was when it is asked for again. No step begins before the one before it is done.

use tokio::time::Instant;

use super::erasure::{Asked, Counts, Erasure, NotErased, of_customer};
use super::left;
use crate::app::App;
use crate::domain::access::Grant;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter};
use crate::domain::ids::CustomerId;
use crate::domain::replay::Standing;
use crate::ports;
use crate::ports::customers::Remains;
use crate::redrive;
use crate::replay::{Error as ReplayError, PAGE};
use crate::vault::TenantKeyError;

/// Dead letters removed at once.
const LETTERS: usize = 100;

/// How many dead letters a filter lets through.
pub(super) async fn count_letters(app: &App, filter: &DeadLetterFilter) -> Result<u64, NotErased> {
    Ok(app.replayer().plan(filter).await.map_err(ours)?.count)
}

/// Of counting and steering only the stores' failures come here: nothing is refused.
fn ours(error: ReplayError) -> ports::Error {
    match error {
        ReplayError::Ours(error) => error,
        ReplayError::Unknown(_) | ReplayError::Refused(_) => {
            ports::Error::new("customer.erase", error.to_string())
        }
    }
}

/// An erasure under way.
pub(super) struct Work<'a> {
    app: &'a App,
    customer: &'a CustomerId,
    until: Option<Instant>,
    removed: Counts,
    revoked: Vec<String>,
    /// Keys that reach others, too.
    shared_keys: Vec<String>,
    is_cut_short: bool,
    /// Some dead letters were meant and are there still.
    has_missed: bool,
}

impl<'a> Work<'a> {
    pub(super) fn new(app: &'a App, customer: &'a CustomerId, until: Option<Instant>) -> Self {
        let (removed, revoked, shared_keys) = (Counts::default(), Vec::new(), Vec::new());
        let (is_cut_short, has_missed) = (false, false);
        Self { app, customer, until, removed, revoked, shared_keys, is_cut_short, has_missed }
    }

    /// Does all steps, or those that the time reaches.
    pub(super) async fn run(
        &mut self,
        letters: &DeadLetterFilter,
        asked: &Asked,
    ) -> Result<(), NotErased> {
        self.remove_endpoints().await?;
        if !self.is_cut_short {
            self.withdraw_keys().await?;
            self.cancel_replays(&asked.who).await?;
            self.shred_tenant_key().await?;
            self.remove_secrets().await?;
        }
        if !self.is_cut_short {
            self.purge(letters, asked.forget).await?;
        }
        for what in Remains::ALL {
            if !self.is_cut_short {
                self.remove(what).await?;
            }
        }
        Ok(())
    }

    /// Whether the time is over. Asked after each piece of the work, so that every call does some.
    fn is_over(&mut self) -> bool {
        self.is_cut_short |= self.until.is_some_and(|until| Instant::now() >= until);
        self.is_cut_short
    }

    async fn remove_endpoints(&mut self) -> Result<(), NotErased> {
        for stored in self.app.endpoints.list(Some(self.customer)).await? {
            let id = &stored.endpoint.endpoint_id;
            let removed = self.app.endpoints.delete(self.customer, id, None).await?;
            self.removed.endpoints += u64::from(removed);
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    async fn withdraw_keys(&mut self) -> Result<(), NotErased> {
        let (control, now) = (&self.app.control, self.app.clock.now());
        control.end_tokens(self.customer, now).await?;
        let mut after = None::<String>;
        loop {
            let page = control.list_keys(after.as_deref(), PAGE).await?;
            for key in page.iter().filter(|key| key.is_good(now)) {
                let Grant::Operator { customers: Some(customers), .. } = &key.grant else {
                    continue;
                };
                if !customers.contains(self.customer) {
                    continue;
                }
                if customers.len() > 1 {
                    self.shared_keys.push(key.id.clone());
                } else if control.revoke_key(&key.id, now).await? {
                    self.removed.keys += 1;
                    self.revoked.push(key.id.clone());
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// What is under way would send the customer's letters again.
    async fn cancel_replays(&mut self, who: &str) -> Result<(), NotErased> {
        let (replays, mut after) = (&self.app.replays, None::<String>);
        loop {
            let page = replays.list(after.as_deref(), PAGE).await?;
            for replay in &page {
                let is_own = replay.request.filter.customer_id.as_ref() == Some(self.customer);
                if !is_own || !matches!(replay.state, Standing::Running | Standing::Paused) {
                    continue;
                }
                match self.app.replayer().cancel(&replay.id, who).await {
                    Ok(_) => self.removed.replays += 1,
                    // It has ended meanwhile.
                    Err(ReplayError::Refused(_)) => {}
                    Err(error) => return Err(ours(error).into()),
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
                Some(_) | None => return Ok(()),
            }
        }
    }

    async fn shred_tenant_key(&mut self) -> Result<(), NotErased> {
        match self.app.vault.shred_tenant_key(self.customer).await {
            Ok(_) | Err(TenantKeyError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn remove_secrets(&mut self) -> Result<(), NotErased> {
        for (_, id, _) in self.app.secrets.list(Some(self.customer)).await? {
            if id.is_reserved() {
                continue;
            }
            let removed = self.app.secrets.delete(self.customer, &id, None).await?;
            self.removed.secrets += u64::from(removed);
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// Removes dead letters with their jobs. Those that the queue does not give away just now stay listed,
    /// unless it has none any more that is so old, or they are to be forgotten.
    async fn purge(&mut self, letters: &DeadLetterFilter, forget: bool) -> Result<(), NotErased> {
        let (deliveries, now) = (&self.app.deliveries, self.app.clock.now());
        let kept = self.app.queue.dead_letters_kept();
        let is_gone = |letter: &DeadLetter| {
            forget || kept.is_some_and(|kept| letter.dead_at.plus(kept) <= now)
        };
        let mut after = None::<String>;
        loop {
            let page = deliveries.scan_dead_letters(letters, after.as_deref(), LETTERS).await?;
            if !page.letters.is_empty() {
                let done = redrive::purge(self.app, &page.letters).await?;
                let missed = page.letters.into_iter().filter(|l| done.not_found.contains(&l.id));
                let (gone, missed): (Vec<_>, Vec<_>) = missed.partition(&is_gone);
                deliveries.remove_dead_letters(&gone).await?;
                self.removed.dead_letters += (done.count + gone.len()) as u64;
                self.has_missed |= !missed.is_empty();
            }
            after = page.next;
            if after.is_none() || self.is_over() {
                return Ok(());
            }
        }
    }

    async fn remove(&mut self, what: Remains) -> Result<(), NotErased> {
        loop {
            let removed = self.app.customers.remove(self.customer, what).await?;
            let counted = match what {
                Remains::SecretVersions => &mut self.removed.secret_versions,
                Remains::Deliveries => &mut self.removed.deliveries,
                Remains::TestCalls => &mut self.removed.test_calls,
                Remains::Health => &mut self.removed.health,
            };
            *counted += removed.count;
            if !removed.more || self.is_over() {
                return Ok(());
            }
        }
    }

    /// What it came to.
    pub(super) async fn told(self) -> Result<Erasure, NotErased> {
        let mut left = left::always(self.app);
        left.extend(left::shared_keys(&self.shared_keys));
        left.extend(left::letters(count_letters(self.app, &of_customer(self.customer)).await?));
        let (customer_id, complete) =
            (self.customer.clone(), !self.is_cut_short && !self.has_missed);
        let (removed, revoked) = (self.removed, self.revoked);
        Ok(Erasure { customer_id, complete, removed, revoked, left })
    }
}
