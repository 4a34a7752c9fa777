//! Timestamps as logs write them, with the calendar worked out once a second instead of once a line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::Offset;

use egret_core::record::FlowRecord;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The text of one second, kept until another second is asked for.
#[derive(Debug)]
pub(super) struct Clock {
    second: u64,
    rfc3339: [u8; 19],
    common: [u8; 20],
}

impl Clock {
    pub(super) fn new() -> Self {
        let mut clock =
            Self { second: 0, rfc3339: *b"0000-00-00T00:00:00", common: *b"00/Jan/0000:00:00:00" };
        clock.set(0);
        clock
    }

    /// RFC 3339 in UTC with milliseconds: `2025-11-21T11:48:00.123Z`.
    pub(super) fn rfc3339(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let since = self.advance(time);
        out.extend_from_slice(&self.rfc3339);
        let millis = since.subsec_millis() as u16;
        let mut tail = *b".000Z";
        two_digits(&mut tail[2..], millis % 100);
        tail[1] = b'0' + (millis / 100) as u8;
        out.extend_from_slice(&tail);
    }

    /// The time of the Common Log Format, in UTC: `21/Nov/2025:11:48:00 +0000`.
    pub(super) fn common(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        self.advance(time);
        out.extend_from_slice(&self.common);
        out.extend_from_slice(b" +0000");
    }

    fn advance(&mut self, time: SystemTime) -> Duration {
        let since = since_epoch(time);
        if since.as_secs() != self.second {
            self.set(since.as_secs());
        }
        since
    }

    fn set(&mut self, second: u64) {
        self.second = second;
        // A clock beyond the year 9999 is set wrongly; the epoch says so as well as anything.
        let timestamp =
            i64::try_from(second).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or_default();
        let date = Offset::UTC.to_datetime(timestamp);
        let (year, month, day) = (date.year() as u16, date.month() as u16, date.day() as u16);
        let time = [date.hour() as u16, date.minute() as u16, date.second() as u16];

        two_digits(&mut self.rfc3339, year / 100);
        two_digits(&mut self.rfc3339[2..], year % 100);
        two_digits(&mut self.rfc3339[5..], month);
        two_digits(&mut self.rfc3339[8..], day);
        two_digits(&mut self.common, day);
        self.common[3..6].copy_from_slice(MONTHS[usize::from(month.clamp(1, 12)) - 1]);
        two_digits(&mut self.common[7..], year / 100);
        two_digits(&mut self.common[9..], year % 100);
        for (i, part) in time.into_iter().enumerate() {
            two_digits(&mut self.rfc3339[11 + 3 * i..], part);
            two_digits(&mut self.common[12 + 3 * i..], part);
        }
    }
}

/// Time since the epoch; a clock set before it counts as the epoch.
pub(super) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// When a flow ended, or when its interim line was made.
pub(super) fn ended(record: &FlowRecord) -> SystemTime {
    record.started.checked_add(record.phases.total).unwrap_or(record.started)
}

fn two_digits(out: &mut [u8], number: u16) {
    out[0] = b'0' + (number / 10 % 10) as u8;
    out[1] = b'0' + (number % 10) as u8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both(clock: &mut Clock, time: SystemTime) -> (String, String) {
        let (mut rfc, mut common) = (Vec::new(), Vec::new());
        clock.rfc3339(&mut rfc, time);
        clock.common(&mut common, time);
        (String::from_utf8(rfc).unwrap(), String::from_utf8(common).unwrap())
    }

    #[test]
    fn writes_known_instants() {
        let mut clock = Clock::new();
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let (rfc, common) = both(&mut clock, at(0));
        assert_eq!(
            (rfc.as_str(), common.as_str()),
            ("1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000")
        );
        let (rfc, common) = both(&mut clock, at(1_709_251_199_987));
        assert_eq!(
            (rfc.as_str(), common.as_str()),
            ("2024-02-29T23:59:59.987Z", "29/Feb/2024:23:59:59 +0000")
        );
    }

    #[test]
    fn survives_a_clock_out_of_range() {
        let mut clock = Clock::new();
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(both(&mut clock, before).0, "1970-01-01T00:00:00.000Z");
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(both(&mut clock, far).0, "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_library(millis in prop::collection::vec(0_u64..253_402_300_799_000, 1..20)) {
            let mut clock = Clock::new();
            for millis in millis {
                let expected = Timestamp::from_millisecond(millis as i64).unwrap();
                let (rfc, common) = both(&mut clock, UNIX_EPOCH + Duration::from_millis(millis));
                prop_assert_eq!(rfc, expected.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string());
                prop_assert_eq!(common, expected.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string());
            }
        }
    }
}
