//! Sends dead letters again: for the command line and for the API.

use crate::app::App;
use crate::domain::dead_letter::DeadLetter;
use crate::ports::queue::{Redrive, Sought};
use crate::ports::{Error, Result};

/// Letters handled at once.
pub const PAGE: usize = 500;

/// What became of the chosen dead letters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// With so many it was done.
    pub count: usize,
    /// The queue did not have these, or not within reach. They stay in the list.
    pub not_found: Vec<String>,
}

impl Done {
    /// Adds what became of others.
    pub fn add(&mut self, others: Self) {
        self.count += others.count;
        self.not_found.extend(others.not_found);
    }
}

/// Replays dead letters.
///
/// # Errors
/// If the queue or the index fails.
pub async fn replay(app: &App, letters: Vec<DeadLetter>) -> Result<Done> {
    let now = app.clock.now();
    let mut done = Done::default();
    for page in letters.chunks(PAGE) {
        let redrives: serde_json::Result<Vec<Redrive>> = page
            .iter()
            .map(|letter| {
                let state = letter.replayed(now);
                let state = state.map(|state| serde_json::to_vec(&state)).transpose()?;
                Ok(Redrive { dead_letter_id: letter.id.clone(), state: state.map(Into::into) })
            })
            .collect();
        let redrives = redrives.map_err(|e| Error::new("redrive.state", e))?;
        let sought = app.queue.redrive(redrives).await?;
        done.count += sought.found.len();
        // The messages are back in the queue: only now may the index forget them.
        forget(app, page, sought, &mut done).await?;
    }
    Ok(done)
}

/// Purges dead letters.
///
/// # Errors
/// If the queue or the index fails.
pub async fn purge(app: &App, letters: &[DeadLetter]) -> Result<Done> {
    let mut done = Done::default();
    for page in letters.chunks(PAGE) {
        let ids: Vec<String> = page.iter().map(|letter| letter.id.clone()).collect();
        let sought = app.queue.purge_dead(&ids).await?;
        done.count += ids.len() - sought.unknown.len();
        forget(app, page, sought, &mut done).await?;
    }
    Ok(done)
}

/// Takes out of the index what is no dead letter any more.
async fn forget(app: &App, page: &[DeadLetter], sought: Sought, done: &mut Done) -> Result<()> {
    let settled: Vec<DeadLetter> =
        page.iter().filter(|letter| !sought.unknown.contains(&letter.id)).cloned().collect();
    app.deliveries.remove_dead_letters(&settled).await?;
    done.not_found.extend(sought.unknown);
    Ok(())
}
