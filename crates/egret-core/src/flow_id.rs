//! Short names for flows, to be read over the phone.

use std::fmt;

/// Eight characters of base 32 (Crockford's alphabet, lower case) that name one flow.
///
/// Unique within a process for 2^40 flows; the starting point is random, so that the ids of several
/// replicas rarely meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId([u8; 8]);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl FlowId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII from ALPHABET is ever stored.
        std::str::from_utf8(&self.0).unwrap_or("????????")
    }

    /// The id that this text is; `None` if it is not the text of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id: [u8; 8] = text.as_bytes().try_into().ok()?;
        id.iter().all(|byte| ALPHABET.contains(byte)).then_some(Self(id))
    }

    fn from_number(number: u64) -> Self {
        let mut text = [0; 8];
        for (i, slot) in text.iter_mut().enumerate() {
            *slot = ALPHABET[(number >> (35 - 5 * i)) as usize & 31];
        }
        Self(text)
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes the ids of one worker: a counter, scattered so that neighbours do not look alike.
#[derive(Debug)]
pub struct FlowIds {
    next: u64,
    step: u64,
}

const MASK: u64 = (1 << 40) - 1;

impl FlowIds {
    /// The ids of worker `worker` of `workers`, starting at `seed` (random, the same for all workers).
    #[must_use]
    pub fn new(seed: u64, worker: u64, workers: u64) -> Self {
        Self { next: seed.wrapping_add(worker), step: workers.max(1) }
    }

    /// The next id.
    pub fn next_id(&mut self) -> FlowId {
        let number = self.next;
        self.next = self.next.wrapping_add(self.step);
        // Multiplication by an odd number is a bijection modulo 2^40: no id repeats before all were used.
        FlowId::from_number(number.wrapping_mul(0x9E_3779_B97F) & MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_from_its_text() {
        let id = FlowIds::new(7, 0, 1).next_id();
        assert_eq!(FlowId::parse(id.as_str()), Some(id));
        for text in ["", "0123456", "012345678", "0123456u", "0123456é"] {
            assert_eq!(FlowId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ids_of_two_workers_do_not_meet() {
        let (mut a, mut b) = (FlowIds::new(7, 0, 2), FlowIds::new(7, 1, 2));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(a.next_id()));
            assert!(seen.insert(b.next_id()));
        }
    }
}
