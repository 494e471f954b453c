//! Watches the frames of one HTTP/2 connection pass by (RFC 9113 section 4.1), to know two things that
//! nobody else tells: whether the server may have processed a request, and whether it sends more than
//! it was asked for. Pure: bytes and times come in as parameters.

use std::time::Duration;

const HEAD: usize = 9;
/// How much of a payload is looked at.
const PEEK: usize = 4;
/// What a client says before its first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

/// Frames that a server may send of its own accord, at once.
const BURST: u64 = 200;
/// And for each second of the connection's life.
const PER_SECOND: u64 = 20;
/// And for each frame of a request: its answer, trailers, a window twice.
const PER_FRAME: u64 = 4;

/// A frame as far as it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    kind: u8,
    stream: u32,
    length: usize,
    /// The payload's first bytes; for GOAWAY, the last stream.
    word: u32,
}

/// Finds the frames in bytes that come in pieces.
#[derive(Debug)]
struct Frames {
    /// Bytes that are passed over before the next frame.
    skip: usize,
    start: [u8; HEAD + PEEK],
    have: usize,
}

impl Frames {
    fn after(skip: usize) -> Self {
        Self { skip, start: [0; HEAD + PEEK], have: 0 }
    }

    fn length(&self) -> usize {
        let [a, b, c, ..] = self.start;
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    fn feed(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let peek = if self.have < HEAD { 0 } else { self.length().min(PEEK) };
            let taken = (HEAD + peek - self.have).min(bytes.len());
            self.start[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have < HEAD || self.have < HEAD + self.length().min(PEEK) {
                continue;
            }
            let word = |at: usize| {
                let four =
                    [self.start[at], self.start[at + 1], self.start[at + 2], self.start[at + 3]];
                // The first bit means nothing.
                u32::from_be_bytes(four) & 0x7fff_ffff
            };
            let length = self.length();
            seen(Frame { kind: self.start[3], stream: word(5), length, word: word(HEAD) });
            *self = Self::after(length - length.min(PEEK));
        }
    }
}

/// What was seen of one connection.
#[derive(Debug)]
pub struct Watch {
    incoming: Frames,
    outgoing: Frames,
    /// Frames of requests that were sent.
    asked: u64,
    /// Frames that came, but for bodies.
    came: u64,
    /// The newest stream that a request was begun on.
    newest: u32,
    /// The last stream that the server has processed, or still will.
    last: Option<u32>,
}

impl Watch {
    /// A new connection.
    pub fn new() -> Self {
        Self {
            incoming: Frames::after(0),
            outgoing: Frames::after(PREFACE),
            asked: 0,
            came: 0,
            newest: 0,
            last: None,
        }
    }

    /// Notes bytes that were sent.
    pub fn sent(&mut self, bytes: &[u8]) {
        let (asked, newest) = (&mut self.asked, &mut self.newest);
        self.outgoing.feed(bytes, |frame| {
            if matches!(frame.kind, HEADERS | DATA) {
                *asked += 1;
                *newest = (*newest).max(frame.stream);
            }
        });
    }

    /// Notes bytes that came, so long after the connection was made; whether they are still within
    /// what a server may send.
    pub fn came(&mut self, bytes: &[u8], age: Duration) -> bool {
        let (came, last) = (&mut self.came, &mut self.last);
        self.incoming.feed(bytes, |frame| {
            let is_body = frame.kind == DATA && frame.length > 0;
            // Parts of a head are bounded by the head's own limit.
            if !is_body && frame.kind != CONTINUATION {
                *came += 1;
            }
            if frame.kind == GOAWAY {
                *last = Some(last.map_or(frame.word, |before| before.min(frame.word)));
            }
        });
        self.came <= BURST + PER_SECOND * age.as_secs() + PER_FRAME * self.asked
    }

    /// Whether the server has said of the newest request that it will not process it.
    pub fn is_newest_refused(&self) -> bool {
        self.last.is_some_and(|last| last < self.newest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }

    fn goaway(last: u32) -> Vec<u8> {
        frame(GOAWAY, 0, &[last.to_be_bytes(), [0; 4]].concat())
    }

    fn watch(sent: &[Vec<u8>]) -> Watch {
        let mut watch = Watch::new();
        watch.sent(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &sent.concat()[..]].concat());
        watch
    }

    #[test]
    fn a_request_is_refused_by_a_goodbye_that_leaves_it_out_and_by_no_other() {
        let request = [frame(HEADERS, 1, b"x"), frame(HEADERS, 3, b"x"), frame(DATA, 3, b"body")];
        for (last, refused) in [(0, true), (1, true), (3, false), (0x7fff_ffff, false)] {
            let mut watch = watch(&request);
            assert!(!watch.is_newest_refused());
            assert!(watch.came(&goaway(last), Duration::ZERO));
            assert_eq!(watch.is_newest_refused(), refused, "{last}");
        }
        let mut watch = watch(&request);
        watch.came(&[goaway(0x7fff_ffff), goaway(1)].concat(), Duration::ZERO);
        assert!(watch.is_newest_refused(), "a first goodbye only warns");
    }

    #[test]
    fn a_server_may_send_what_it_is_asked_for_and_a_little_of_its_own() {
        let pings = |count: usize| frame(6, 0, &[0; 8]).repeat(count);
        let allowed = usize::try_from(BURST).unwrap();
        assert!(watch(&[]).came(&pings(allowed), Duration::ZERO));
        assert!(!watch(&[]).came(&pings(allowed + 1), Duration::ZERO));
        assert!(watch(&[]).came(&pings(allowed + 20), Duration::from_secs(1)));
        assert!(watch(&[frame(HEADERS, 1, b"x")]).came(&pings(allowed + 4), Duration::ZERO));
        let empty = frame(DATA, 1, b"").repeat(allowed + 1);
        assert!(!watch(&[]).came(&empty, Duration::ZERO));
        let bodies = [frame(DATA, 1, b"x"), frame(CONTINUATION, 1, b"")].concat().repeat(10_000);
        assert!(watch(&[]).came(&bodies, Duration::ZERO));
    }

    proptest! {
        #[test]
        fn however_bytes_are_cut_the_same_frames_are_found(
            frames in prop::collection::vec((0..12u8, any::<u32>(), 0..40usize), 0..20),
            cuts in prop::collection::vec(1..30usize, 1..10),
        ) {
            let bytes: Vec<u8> =
                frames.iter().flat_map(|(kind, id, length)| frame(*kind, *id, &vec![7; *length])).collect();
            let (mut whole, mut pieces) = (Vec::new(), Vec::new());
            Frames::after(0).feed(&bytes, |frame| whole.push(frame));
            let (mut reader, mut rest) = (Frames::after(0), &bytes[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, left) = rest.split_at((*cut).min(rest.len()));
                reader.feed(piece, |frame| pieces.push(frame));
                rest = left;
            }
            let kinds: Vec<u8> = whole.iter().map(|frame| frame.kind).collect();
            prop_assert_eq!(kinds, frames.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>());
            // The bytes beyond a short payload are left from before: they mean nothing.
            let known = |frame: &Frame| (frame.kind, frame.stream, frame.length);
            prop_assert_eq!(whole.iter().map(known).collect::<Vec<_>>(), pieces.iter().map(known).collect::<Vec<_>>());
        }
    }
}
