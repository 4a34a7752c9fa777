//! The W3C trace context (level 1): the `traceparent` field that ties spans of several programs together.

use rand::RngCore;

/// Bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The one flag that level 1 defines; every other has to be sent as zero (section 3.2.2.5).
const SAMPLED: u8 = 0x01;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A position in a trace: what `traceparent` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// Reads the value of a `traceparent` field (W3C Trace Context level 1, section 3.2).
    ///
    /// Strict: lower-case hexadecimal, no surrounding space, no zero ids, not version `ff`. A version
    /// above 00 is read as far as 00 goes, as section 4.3 asks. `None` means: as if there were none.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_at_checked(LENGTH)?;
        let version = byte(&head[..2])?;
        let tail_fits = rest.is_empty() || (version > 0 && rest[0] == b'-');
        if version == 0xff || !tail_fits || [head[2], head[35], head[52]] != *b"---" {
            return None;
        }
        let context = Self {
            trace_id: bytes(&head[3..35])?,
            span_id: bytes(&head[36..52])?,
            sampled: byte(&head[53..])? & SAMPLED != 0,
        };
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// The first span of a new trace, sampled with the given probability (0 to 1).
    #[must_use]
    pub fn root<R: RngCore + ?Sized>(rng: &mut R, ratio: f64) -> Self {
        let trace_id = random_id(rng);
        Self { trace_id, span_id: random_id(rng), sampled: falls_within(trace_id, ratio) }
    }

    /// A new span below this one: same trace, same sampling, an id of its own.
    #[must_use]
    pub fn child<R: RngCore + ?Sized>(&self, rng: &mut R) -> Self {
        Self { span_id: random_id(rng), ..*self }
    }

    /// The span that a flow becomes: a child of what the client sent, else the root of a new trace.
    /// The client's sampling is followed; `ratio` applies to new traces.
    #[must_use]
    pub fn for_flow<R: RngCore + ?Sized>(parent: Option<&Self>, rng: &mut R, ratio: f64) -> Self {
        match parent {
            Some(parent) => parent.child(rng),
            None => Self::root(rng, ratio),
        }
    }

    /// The value of `traceparent`, version 00.
    #[must_use]
    pub fn header_value(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id);
        write_hex(&mut text[36..52], &self.span_id);
        write_hex(&mut text[53..], &[u8::from(self.sampled)]);
        text
    }

    /// The trace, never all zero.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span, never all zero.
    #[must_use]
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Whether the spans of this trace are kept.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// Whether a new trace with this id is kept at this ratio. A pure function of the id, so that the
/// header sent on and the span exported later agree without a flag being carried along.
#[must_use]
pub fn falls_within(trace_id: [u8; 16], ratio: f64) -> bool {
    // The last seven bytes are the random ones in every generation of ids (level 2, section 3.2.2.3);
    // 53 of their bits are what an f64 holds exactly.
    let mut low = [0; 8];
    low[1..].copy_from_slice(&trace_id[9..]);
    ((u64::from_be_bytes(low) >> 3) as f64) < ratio * (1_u64 << 53) as f64
}

fn random_id<const N: usize, R: RngCore + ?Sized>(rng: &mut R) -> [u8; N] {
    let mut id = [0; N];
    rng.fill_bytes(&mut id);
    if id == [0; N] {
        id[N - 1] = 1; // All zero means "invalid"; a generator that is stuck must not hang us in a loop.
    }
    id
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn byte(digits: &[u8]) -> Option<u8> {
    Some(nibble(digits[0])? << 4 | nibble(digits[1])?)
}

fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    for (slot, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *slot = byte(pair)?;
    }
    Some(out)
}

fn write_hex(out: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_the_example_of_the_specification() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(context.trace_id()[..2], [0x4b, 0xf9]);
        assert_eq!(context.span_id()[6..], [0x02, 0xb7]);
        assert!(context.is_sampled());
        assert_eq!(context.header_value(), EXAMPLE.as_bytes());
    }

    #[test]
    fn refuses_what_the_specification_calls_invalid() {
        let table = [
            ("", "empty"),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", "upper case"),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "version ff"),
            ("0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "version is no hex"),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "zero trace id"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "zero span id"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", "flags cut short"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-zz", "flags are no hex"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", "version 00 with a tail"),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", "tail without a dash"),
            ("00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01", "wrong separators"),
            (" 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "leading space"),
        ];
        for (value, why) in table {
            assert_eq!(TraceContext::parse(value.as_bytes()), None, "{why}");
        }
    }

    #[test]
    fn reads_later_versions_as_far_as_it_knows_them() {
        for tail in ["", "-what-comes-later"] {
            let value = format!("cc{}{tail}", &EXAMPLE[2..]);
            let context = TraceContext::parse(value.as_bytes()).unwrap();
            assert_eq!(context.header_value(), EXAMPLE.as_bytes(), "sent on as version 00");
        }
    }

    #[test]
    fn drops_flags_it_does_not_know() {
        let value = format!("{}fe", &EXAMPLE[..53]);
        let context = TraceContext::parse(value.as_bytes()).unwrap();
        assert!(!context.is_sampled());
        assert!(context.header_value().ends_with(b"-00"));
    }

    #[test]
    fn ratio_zero_samples_nothing_and_one_everything() {
        let mut rng = StdRng::seed_from_u64(7);
        for _ in 0..1000 {
            assert!(!TraceContext::root(&mut rng, 0.0).is_sampled());
            assert!(TraceContext::root(&mut rng, 1.0).is_sampled());
        }
        assert!(falls_within([0xff; 16], 1.0), "the highest id is within everything");
        let kept = (0..10_000).filter(|_| TraceContext::root(&mut rng, 0.25).is_sampled()).count();
        assert!((2_200..2_800).contains(&kept), "{kept} of 10000 at a quarter");
    }

    proptest! {
        #[test]
        fn never_panics_and_what_it_accepts_has_valid_ids(value: Vec<u8>) {
            if let Some(context) = TraceContext::parse(&value) {
                prop_assert_ne!(context.trace_id(), [0; 16]);
                prop_assert_ne!(context.span_id(), [0; 8]);
            }
        }

        #[test]
        fn one_wrong_byte_is_never_read_as_the_same_context(at in 0_usize..55, with: u8) {
            let mut value = EXAMPLE.as_bytes().to_vec();
            prop_assume!(value[at] != with);
            value[at] = with;
            let read = TraceContext::parse(&value);
            // The version and the unknown flags are the two places that do not belong to the context.
            if read == TraceContext::parse(EXAMPLE.as_bytes()) {
                prop_assert!(!(2..53).contains(&at));
            }
        }

        #[test]
        fn a_written_context_is_read_back(seed: u64, ratio in 0.0..=1.0) {
            let mut rng = StdRng::seed_from_u64(seed);
            let root = TraceContext::root(&mut rng, ratio);
            prop_assert_eq!(TraceContext::parse(&root.header_value()), Some(root));
            let child = root.child(&mut rng);
            prop_assert_eq!(child.trace_id(), root.trace_id());
            prop_assert_eq!(child.is_sampled(), root.is_sampled());
            prop_assert_ne!(child.span_id(), root.span_id());
        }
    }
}
