//! What the HTTP API was asked, by route. The routes are set once: nothing that a caller writes
//! becomes a label.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use super::metrics::label::StatusClass;
use super::metrics::{Histogram, PerLabel};

/// The method and the route of what is none of the API's.
pub const NO_ROUTE: (&str, &str) = ("other", "none");

/// Requests by route.
#[derive(Debug, Default)]
pub struct Requests(OnceLock<Routes>);

#[derive(Debug)]
struct Routes {
    by_route: HashMap<String, Vec<(String, Requested)>>,
    others: Requested,
}

/// The requests of one method and route.
#[derive(Debug)]
pub struct Requested {
    /// By the class of their status.
    pub statuses: PerLabel<StatusClass>,
    /// How long they took.
    pub seconds: Histogram,
}

impl Requested {
    fn new() -> Self {
        Self { statuses: PerLabel::default(), seconds: Histogram::new(Histogram::REQUEST) }
    }
}

impl Requests {
    /// The API has these methods and routes. Only the first call counts.
    pub fn begin(&self, routes: impl Iterator<Item = (String, String)>) {
        self.0.get_or_init(|| {
            let mut by_route: HashMap<String, Vec<_>> = HashMap::new();
            for (method, route) in routes {
                by_route.entry(route).or_default().push((method, Requested::new()));
            }
            Routes { by_route, others: Requested::new() }
        });
    }

    /// A request was answered.
    pub fn count(&self, method: &str, route: Option<&str>, status: u16, took: Duration) {
        let Some(routes) = self.0.get() else { return };
        let methods = route.and_then(|route| routes.by_route.get(route));
        let known = methods.and_then(|methods| methods.iter().find(|(name, _)| name == method));
        let requested = known.map_or(&routes.others, |(_, requested)| requested);
        requested.statuses.of(StatusClass::of(status)).one();
        requested.seconds.observe(took);
    }

    /// Every method and route that was asked for, sorted.
    pub fn asked(&self) -> Vec<(&str, &str, &Requested)> {
        let Some(routes) = self.0.get() else { return Vec::new() };
        let known = routes.by_route.iter().flat_map(|(route, methods)| {
            methods.iter().map(|(method, asked)| (method.as_str(), route.as_str(), asked))
        });
        let others = (NO_ROUTE.0, NO_ROUTE.1, &routes.others);
        let mut asked: Vec<_> = known.chain([others]).collect();
        asked.retain(|(_, _, requested)| !requested.seconds.is_empty());
        asked.sort_by_key(|(method, route, _)| (*route, *method));
        asked
    }
}
