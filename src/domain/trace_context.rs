//! Trace context as the W3C has it (Recommendation "Trace Context", 2021): which trace something
//! belongs to, what it was caused by, and whether it is looked at.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A trace: everything that one job brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// One span of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// What `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that caused this.
    pub parent: SpanId,
    /// Whether the trace is looked at.
    pub is_sampled: bool,
}

impl TraceId {
    /// The trace of what brought none: the same for everything that these words name together, so that
    /// all attempts of a delivery are in one.
    pub fn of(words: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for word in words {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }

    /// Whether a trace of this id is looked at, if this share of all is: as OpenTelemetry's
    /// `TraceIdRatioBased` sampler decides, so that everybody decides the same.
    pub fn is_within(self, share: f64) -> bool {
        let mut last = [0; 8];
        last.copy_from_slice(&self.0[8..]);
        (u64::from_be_bytes(last) as f64) < share * u64::MAX as f64
    }
}

impl SpanId {
    /// A span of these random bytes. Zero is nobody's id.
    pub fn new(bytes: [u8; 8]) -> Self {
        Self(if bytes == [0; 8] { [1; 8] } else { bytes })
    }
}

impl FromStr for TraceContext {
    type Err = ();

    /// Reads a `traceparent`. One of a version to come is read as far as this one goes (section 4.1).
    fn from_str(text: &str) -> Result<Self, ()> {
        let (head, rest) = text.split_at_checked(55).ok_or(())?;
        let parts: Vec<&str> = head.split('-').collect();
        let [version, trace_id, parent, flags] = parts[..] else { return Err(()) };
        let [version] = bytes(version)?;
        let is_whole =
            if version == 0 { rest.is_empty() } else { rest.is_empty() || rest.starts_with('-') };
        let (trace_id, parent, [flags]) = (bytes(trace_id)?, bytes(parent)?, bytes(flags)?);
        if version == 0xff || !is_whole || trace_id == [0; 16] || parent == [0; 8] {
            return Err(());
        }
        let is_sampled = flags & 1 == 1;
        Ok(Self { trace_id: TraceId(trace_id), parent: SpanId(parent), is_sampled })
    }
}

/// Bytes in hexadecimal, in lower case as the Recommendation demands.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], ()> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 2 * N || !text.bytes().all(is_hex) {
        return Err(());
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(drop)?;
    }
    Ok(bytes)
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.parent, u8::from(self.is_sampled))
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_the_recommendation_allows_is_read_and_written_again() {
        let context: TraceContext = GOOD.parse().unwrap();
        assert!(context.is_sampled);
        assert_eq!(context.to_string(), GOOD);
        let later = format!("cc{}-more", &GOOD[2..]);
        assert_eq!(later.parse::<TraceContext>(), Ok(context));
    }

    #[test]
    fn what_it_forbids_is_not_read() {
        let wrong = [
            String::new(),
            GOOD.to_uppercase(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("ff{}", &GOOD[2..]),
            format!("cc{}more", &GOOD[2..]),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf92f", "4bg92f"),
            GOOD.replacen('-', "_", 1),
        ];
        for text in wrong {
            assert_eq!(text.parse::<TraceContext>(), Err(()), "{text}");
        }
    }

    #[test]
    fn a_share_of_all_traces_is_looked_at() {
        let ids: Vec<TraceId> = (0..10_000).map(|n| TraceId::of(&[&n.to_string()])).collect();
        let looked_at = |share| ids.iter().filter(|id| id.is_within(share)).count();
        assert_eq!((looked_at(0.0), looked_at(1.0)), (0, 10_000));
        assert!((800..1200).contains(&looked_at(0.1)), "{}", looked_at(0.1));
        assert_ne!(TraceId::of(&["a", "bc"]), TraceId::of(&["ab", "c"]));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,80}") {
            let _ = text.parse::<TraceContext>();
        }
    }
}
