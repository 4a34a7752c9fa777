//! What was found out about credentials lately, so that a client that sends them with every request is
//! not checked with every request.
//!
//! Credentials are known here by a keyed hash alone: whoever reads the memory of the process finds none,
//! and nobody can choose two that collide.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use egret_core::authentication::VerdictCache;
use egret_core::identity::User;
use quick_cache::sync::{Cache, DefaultLifecycle, PlaceholderGuard};
use quick_cache::{DefaultHashBuilder, UnitWeighter};

/// Credentials, as they are known here.
pub(super) type Digest = [u8; 32];

/// Why credentials were found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// User and password do not belong together.
    Password,
    /// The token is not good; the words say why.
    Token(&'static str),
    /// They are good, but of somebody who may not use the proxy.
    NotAllowed,
    /// They are good, but of somebody in more groups than are read.
    TooManyGroups,
}

#[derive(Clone)]
struct Accepted {
    user: User,
    until: Instant,
}

#[derive(Clone, Copy)]
struct Refused {
    wrong: Wrong,
    until: Instant,
}

/// The verdicts of one configuration.
pub(super) struct Verdicts {
    key: hmac::Key,
    accepted: Cache<Digest, Accepted>,
    refused: Cache<Digest, Refused>,
    settings: VerdictCache,
}

/// The right to find out about credentials, which one task at a time has; others wait for what it finds.
pub(super) struct Turn<'a>(
    PlaceholderGuard<
        'a,
        Digest,
        Accepted,
        UnitWeighter,
        DefaultHashBuilder,
        DefaultLifecycle<Digest, Accepted>,
    >,
);

impl Verdicts {
    pub(super) fn new(settings: &VerdictCache) -> Self {
        let secret: [u8; 32] = rand::random();
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            accepted: Cache::new(settings.entries.max(1)),
            refused: Cache::new(settings.entries.max(1)),
            settings: settings.clone(),
        }
    }

    /// The digest of credentials. `kind` keeps those of different fields apart.
    pub(super) fn digest(&self, kind: u8, parts: [&[u8]; 2]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[kind]);
        context.update(&(parts[0].len() as u64).to_le_bytes());
        context.update(parts[0]);
        context.update(parts[1]);
        let mut digest = Digest::default();
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    /// The user, if these credentials were accepted lately.
    pub(super) fn accepted(&self, digest: &Digest) -> Option<User> {
        let known = self.accepted.get(digest)?;
        (known.until > Instant::now()).then_some(known.user)
    }

    /// Why they were refused lately.
    pub(super) fn refused(&self, digest: &Digest) -> Option<Wrong> {
        let known = self.refused.get(digest)?;
        (known.until > Instant::now()).then_some(known.wrong)
    }

    /// Whether they were refused before, however long ago: the same guess again tells a guesser nothing,
    /// and is what a program with an old password does all day.
    pub(super) fn was_refused(&self, digest: &Digest) -> bool {
        self.refused.contains_key(digest)
    }

    /// Waits until nobody else finds out about the same credentials. `Ok` is what somebody has found out
    /// in the meantime.
    pub(super) async fn turn(&self, digest: &Digest) -> Result<User, Turn<'_>> {
        loop {
            match self.accepted.get_value_or_guard_async(digest).await {
                Ok(known) if known.until > Instant::now() => return Ok(known.user),
                Ok(_) => {
                    self.accepted.remove_if(digest, |known| known.until <= Instant::now());
                }
                Err(guard) => return Err(Turn(guard)),
            }
        }
    }

    /// Remembers that credentials are good, for no longer than `at_most`.
    pub(super) fn accept(&self, turn: Turn<'_>, user: User, at_most: Option<Duration>) {
        let time = at_most.unwrap_or(Duration::MAX).min(self.settings.accepted);
        if !time.is_zero() {
            // Fails only when the entry was removed meanwhile, and then they are checked again.
            let _ = turn.0.insert(Accepted { user, until: Instant::now() + time });
        }
    }

    /// Remembers that credentials are wrong.
    pub(super) fn refuse(&self, digest: Digest, wrong: Wrong) {
        self.refused.insert(digest, Refused { wrong, until: Instant::now() + self.settings.refused });
    }

    /// How many accepted credentials are remembered.
    pub(super) fn len(&self) -> usize {
        self.accepted.len()
    }
}
