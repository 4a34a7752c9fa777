//! Which readiness endpoints are being asked, and what they answered.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::probe::{Way, passes};
use crate::client::Backoff;

/// After a failure it is asked again, later and later: somebody may repair the proxy without touching the object.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(300));

/// What is known of the endpoints of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// They are being asked for the first time.
    Asking,
    /// All answered.
    Passed,
    /// One did not; why. They will be asked again.
    Failed(String),
}

/// The endpoints of all EgressProxies.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    known: HashMap<String, Known>,
    running: JoinSet<(String, i64, Result<(), String>)>,
}

#[derive(Debug)]
struct Known {
    generation: i64,
    state: Probed,
    backoff: Backoff,
    /// When to ask again; `None` while it is being asked, and after it passed.
    again: Option<Instant>,
}

impl Probes {
    /// What is known of a generation; asks, if nothing is, or if it is time again.
    pub(crate) fn of(&mut self, name: &str, generation: i64, endpoints: &[String], way: &Way) -> Probed {
        let now = Instant::now();
        let known = self.known.get_mut(name).filter(|known| known.generation == generation);
        if let Some(known) = known {
            if known.again.is_none_or(|again| now < again) {
                return known.state.clone();
            }
            known.again = None;
            let state = known.state.clone();
            self.ask(name, generation, endpoints, way);
            return state;
        }
        let known = Known { generation, state: Probed::Asking, backoff: AGAIN, again: None };
        self.known.insert(name.to_owned(), known);
        self.ask(name, generation, endpoints, way);
        Probed::Asking
    }

    fn ask(&mut self, name: &str, generation: i64, endpoints: &[String], way: &Way) {
        let (name, endpoints, way) = (name.to_owned(), endpoints.to_vec(), way.clone());
        self.running.spawn(async move {
            let asked = endpoints.iter().map(|endpoint| passes(&way, endpoint));
            let failed: Vec<String> =
                futures_util::future::join_all(asked).await.into_iter().filter_map(Result::err).collect();
            let result = if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) };
            (name, generation, result)
        });
    }

    /// Waits for the next answer. Gives whether it passed. Never ends while nothing is asked.
    pub(crate) async fn answered(&mut self) -> bool {
        let (name, generation, result) = match self.running.join_next().await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => return false,
            None => std::future::pending().await,
        };
        let passed = result.is_ok();
        if let Some(known) = self.known.get_mut(&name).filter(|known| known.generation == generation) {
            match result {
                Ok(()) => known.state = Probed::Passed,
                Err(why) => {
                    known.again = Some(Instant::now() + known.backoff.wait());
                    known.state = Probed::Failed(why);
                }
            }
        }
        passed
    }

    /// Forgets those that are gone.
    pub(crate) fn keep_only(&mut self, names: &[&str]) {
        self.known.retain(|name, _| names.contains(&name.as_str()));
    }
}
