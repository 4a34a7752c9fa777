//! `key=value` pairs, with the keys of the JSON format. Values that are no plain word are quoted and
//! escaped as JSON strings are.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use egret_core::record::FlowRecord;

use super::clock::Clock;
use super::fields::{self, Fields};
use super::text;

pub(super) fn append(out: &mut Vec<u8>, record: &FlowRecord, clock: &mut Clock) {
    let mut pairs = Pairs { out, clock, first: true };
    fields::walk(record, &mut pairs);
}

struct Pairs<'a> {
    out: &'a mut Vec<u8>,
    clock: &'a mut Clock,
    first: bool,
}

impl Pairs<'_> {
    #[inline(always)]
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'=');
    }
}

/// Words that every logfmt reader takes as they are.
fn is_plain(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'=' | b'\\'))
}

impl Fields for Pairs<'_> {
    fn time(&mut self, key: &str, value: SystemTime) {
        self.key(key);
        self.clock.rfc3339(self.out, value);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.joined(key, "", value);
    }

    fn word(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.extend_from_slice(value.as_bytes());
    }

    fn joined(&mut self, key: &str, prefix: &str, value: &str) {
        self.key(key);
        let plain = is_plain(value) && !(prefix.is_empty() && value.is_empty());
        if !plain {
            self.out.push(b'"');
        }
        self.out.extend_from_slice(prefix.as_bytes());
        text::json_escaped(self.out, value);
        if !plain {
            self.out.push(b'"');
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        text::number(self.out, value);
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn millis(&mut self, key: &str, value: Duration) {
        self.key(key);
        text::millis(self.out, value);
    }

    fn address(&mut self, key: &str, value: SocketAddr) {
        self.key(key);
        text::socket(self.out, value);
    }

    fn hex(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        text::hex(self.out, value);
    }
}
