//! From when and until when a certificate is valid.

use jiff::{SignedDuration, Timestamp};

use super::AuthorityError;

/// Certificates begin this long before they are made: the clocks of clients are not all right.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);
/// The longest validity of a leaf, in days, and the default. Apple's clients refuse more than 398 even
/// from private CAs.
pub const LEAF_DAYS: u32 = 397;
/// The default validity of a CA, in days: ten years.
pub const CA_DAYS: u32 = 3652;
/// The longest validity of a CA, in days.
pub const CA_DAYS_MAX: u32 = 36_525;

/// A span of time in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// So many days from now on. `within` is the issuer's: nothing is valid longer than what signed it.
    pub(super) fn days(
        days: u32,
        limit: u32,
        now: Timestamp,
        within: Option<Self>,
    ) -> Result<Self, AuthorityError> {
        if days == 0 || days > limit {
            return Err(AuthorityError::Days { days, limit });
        }
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let span = |days: u32| SignedDuration::from_hours(24 * i64::from(days));
        let overflow = |_| AuthorityError::Days { days, limit };
        let mut not_before = now.checked_sub(CLOCK_SKEW).map_err(overflow)?;
        // The limit is on the whole, the hour before now included.
        let mut not_after = now
            .checked_add(span(days))
            .map_err(overflow)?
            .min(not_before.checked_add(span(limit)).map_err(overflow)?);
        if let Some(issuer) = within {
            if now > issuer.not_after {
                return Err(AuthorityError::CaExpired { at: issuer.not_after });
            }
            not_before = not_before.max(issuer.not_before);
            not_after = not_after.min(issuer.not_after);
        }
        Ok(Self { not_before, not_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const DAY: i64 = 86_400;

    #[test]
    fn begins_in_the_past_and_ends_within_the_limit() {
        let now = at(1_000_000_000);
        let validity = Validity::days(397, LEAF_DAYS, now, None).unwrap();
        assert_eq!(validity.not_before, at(1_000_000_000 - 3600));
        assert_eq!(validity.not_after, at(1_000_000_000 - 3600 + 397 * DAY));
        let validity = Validity::days(1, LEAF_DAYS, now, None).unwrap();
        assert_eq!(validity.not_after, at(1_000_000_000 + DAY));
        for days in [0, 398] {
            assert!(matches!(Validity::days(days, LEAF_DAYS, now, None), Err(AuthorityError::Days { .. })));
        }
    }

    #[test]
    fn stays_within_the_issuer() {
        let now = at(1_000_000_000);
        let issuer = Validity { not_before: now, not_after: at(1_000_000_000 + DAY) };
        assert_eq!(Validity::days(30, LEAF_DAYS, now, Some(issuer)).unwrap(), issuer);
        let past = Validity { not_before: at(0), not_after: at(1) };
        assert!(matches!(
            Validity::days(30, LEAF_DAYS, now, Some(past)),
            Err(AuthorityError::CaExpired { .. })
        ));
    }
}
