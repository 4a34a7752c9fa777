//! One JSON object a line (RFC 8259).

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use egret_core::record::FlowRecord;

use super::clock::Clock;
use super::fields::{self, Fields};
use super::text;

pub(super) fn append(out: &mut Vec<u8>, record: &FlowRecord, clock: &mut Clock) {
    let mut object = Object { out, clock, separator: b'{' };
    fields::walk(record, &mut object);
    out.push(b'}');
}

struct Object<'a> {
    out: &'a mut Vec<u8>,
    clock: &'a mut Clock,
    separator: u8,
}

impl Object<'_> {
    #[inline(always)]
    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
    }

    fn quoted(&mut self, key: &str, write: impl FnOnce(&mut Self)) {
        self.key(key);
        self.out.push(b'"');
        write(self);
        self.out.push(b'"');
    }
}

impl Fields for Object<'_> {
    fn time(&mut self, key: &str, value: SystemTime) {
        self.quoted(key, |object| object.clock.rfc3339(object.out, value));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.quoted(key, |object| text::json_escaped(object.out, value));
    }

    fn word(&mut self, key: &str, value: &str) {
        self.quoted(key, |object| object.out.extend_from_slice(value.as_bytes()));
    }

    fn joined(&mut self, key: &str, prefix: &str, value: &str) {
        self.quoted(key, |object| {
            object.out.extend_from_slice(prefix.as_bytes());
            text::json_escaped(object.out, value);
        });
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
        self.quoted(key, |object| text::socket(object.out, value));
    }

    fn hex(&mut self, key: &str, value: &[u8]) {
        self.quoted(key, |object| text::hex(object.out, value));
    }
}
