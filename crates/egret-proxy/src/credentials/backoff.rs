//! Slowing down whoever tries one password after the other.
//!
//! Failures are counted by client address (IPv6: by /64, which is what one customer has). So many are
//! forgiven; with each one more, the time doubles in which nothing from that address is checked.
//! Credentials that were found good lately are not slowed down: they need no check.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use egret_core::authentication::Backoff as Settings;
use quick_cache::sync::Cache;

/// Client addresses and their failures.
pub(super) struct Backoff {
    settings: Settings,
    /// Checks under way that one address may have.
    share: u32,
    clients: Cache<IpAddr, Arc<Mutex<Client>>>,
}

#[derive(Debug, Default)]
struct Client {
    failures: u32,
    failed_at: Option<Instant>,
    blocked_until: Option<Instant>,
    pending: u32,
}

/// Why no check is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Too many failures; none before this time has passed.
    Blocked(Duration),
    /// As many checks as one address may have are under way.
    Busy,
}

/// A check under way for an address. Dropped without a word, it counts for nothing.
pub(super) struct Attempt(Arc<Mutex<Client>>);

impl Backoff {
    pub(super) fn new(settings: &Settings, checks: usize) -> Self {
        let share = u32::try_from(checks / 4).unwrap_or(u32::MAX).max(1);
        Self { settings: settings.clone(), share, clients: Cache::new(settings.clients.max(1)) }
    }

    /// Lets an address have one check. True beside it: the table is full, and another address is
    /// forgotten for this one.
    pub(super) fn admit(&self, client: IpAddr) -> (Result<Attempt, Denied>, bool) {
        let client = network(client);
        let is_full = self.clients.len() >= self.settings.clients && !self.clients.contains_key(&client);
        let entry =
            self.clients.get_or_insert_with(&client, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let entry = entry.unwrap_or_default();
        let outcome = self.begin(&entry, Instant::now());
        (outcome.map(|()| Attempt(entry)), is_full)
    }

    fn begin(&self, entry: &Mutex<Client>, now: Instant) -> Result<(), Denied> {
        let mut client = lock(entry);
        if let Some(until) = client.blocked_until.filter(|until| *until > now) {
            return Err(Denied::Blocked(until - now));
        }
        if client.failed_at.is_some_and(|at| now >= at + self.settings.max_delay) {
            client.failures = 0;
        }
        if client.pending >= self.share {
            return Err(Denied::Busy);
        }
        client.pending += 1;
        Ok(())
    }

    /// The credentials were wrong.
    pub(super) fn failed(&self, attempt: &Attempt) {
        let now = Instant::now();
        let mut client = lock(&attempt.0);
        client.failures = client.failures.saturating_add(1);
        client.failed_at = Some(now);
        let beyond = client.failures.saturating_sub(self.settings.failures);
        if beyond > 0 {
            let doubled = self.settings.delay.saturating_mul(1 << (beyond - 1).min(30));
            client.blocked_until = Some(now + doubled.min(self.settings.max_delay));
        }
    }

    /// The credentials were good: what was before is forgiven.
    pub(super) fn succeeded(attempt: &Attempt) {
        let mut client = lock(&attempt.0);
        client.failures = 0;
        client.blocked_until = None;
    }

    /// How many addresses are remembered.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut client = lock(&self.0);
        client.pending = client.pending.saturating_sub(1);
    }
}

fn lock(client: &Mutex<Client>) -> std::sync::MutexGuard<'_, Client> {
    client.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one client has: an IPv4 address, or the /64 of an IPv6 address.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(failures: u32, clients: usize) -> Backoff {
        let settings = Settings {
            failures,
            delay: Duration::from_secs(60),
            max_delay: Duration::from_secs(600),
            clients,
        };
        Backoff::new(&settings, 8)
    }

    fn fail(backoff: &Backoff, client: &str) {
        let attempt = backoff.admit(client.parse().unwrap()).0.ok().unwrap();
        backoff.failed(&attempt);
    }

    fn delay(backoff: &Backoff, client: &str) -> Option<u64> {
        match backoff.admit(client.parse().unwrap()).0 {
            Err(Denied::Blocked(time)) => Some(time.as_secs_f64().round() as u64),
            Err(Denied::Busy) => panic!("busy"),
            Ok(_) => None,
        }
    }

    #[test]
    fn blocks_an_address_after_repeated_failures() {
        let it = backoff(2, 100);
        for _ in 0..2 {
            fail(&it, "192.0.2.1");
            assert_eq!(delay(&it, "192.0.2.1"), None, "some are forgiven");
        }
        fail(&it, "192.0.2.1");
        assert_eq!(delay(&it, "192.0.2.1"), Some(60));
        assert_eq!(delay(&it, "192.0.2.2"), None, "others are not concerned");
        assert_eq!(delay(&it, "::ffff:192.0.2.1"), Some(60), "but the same in another spelling is");
    }

    #[test]
    fn the_time_doubles_up_to_a_limit() {
        let it = backoff(0, 100);
        let attempt = it.admit("192.0.2.1".parse().unwrap()).0.ok().unwrap();
        for seconds in [60, 120, 240, 480, 600, 600] {
            it.failed(&attempt);
            assert_eq!(delay(&it, "192.0.2.1"), Some(seconds));
        }
        Backoff::succeeded(&attempt);
        assert_eq!(delay(&it, "192.0.2.1"), None);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let it = backoff(0, 100);
        fail(&it, "2001:db8::1");
        assert_eq!(delay(&it, "2001:db8::2:3"), Some(60));
        assert_eq!(delay(&it, "2001:db8:0:1::1"), None);
    }

    #[test]
    fn one_address_has_a_share_of_the_checks() {
        let it = backoff(100, 100);
        let client = "192.0.2.1".parse().unwrap();
        let first = it.admit(client).0.ok().unwrap();
        let second = it.admit(client).0.ok().unwrap();
        assert!(matches!(it.admit(client).0, Err(Denied::Busy)));
        drop(first);
        assert!(it.admit(client).0.is_ok());
        drop(second);
    }

    #[test]
    fn the_table_is_bounded() {
        let it = backoff(10, 50);
        let mut was_full = false;
        for last in 0..=255u8 {
            was_full |= it.admit(IpAddr::from([198, 51, 100, last])).1;
        }
        assert!(it.len() <= 50 && was_full);
    }
}
