//! The one spelling of a request that both sides hash ("Create a signed AWS API request", task 1).

use std::borrow::Cow;
use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

use crate::auth::hex::hex;

/// A request as it is hashed.
pub struct CanonicalRequest<'r> {
    /// The method, in upper case.
    pub method: &'r str,
    /// Made by [`canonical_path`].
    pub path: String,
    /// Made by [`canonical_query`].
    pub query: String,
    /// The signed headers, made by [`sorted`].
    pub headers: Vec<(&'r str, &'r [u8])>,
    /// SHA-256 of the body in hex, or what stands in its place.
    pub payload_hash: &'r str,
}

impl CanonicalRequest<'_> {
    /// The names of the signed headers, each once, joined with `;`.
    pub fn signed_headers(&self) -> String {
        let mut names = String::new();
        for (index, (name, _)) in self.headers.iter().enumerate() {
            if !self.repeats(index) {
                names.push_str(if index == 0 { "" } else { ";" });
                names.push_str(name);
            }
        }
        names
    }

    /// SHA-256 of the canonical request, in hex. It is hashed in pieces: headers may be secret, and
    /// so no copy of them is made.
    pub fn hash(&self) -> String {
        let mut hasher = Context::new(&SHA256);
        self.write(|piece| hasher.update(piece));
        hex(hasher.finish().as_ref())
    }

    /// Hands the canonical request over, piece by piece.
    pub fn write(&self, mut out: impl FnMut(&[u8])) {
        for part in [self.method, &self.path, &self.query] {
            out(part.as_bytes());
            out(b"\n");
        }
        for (index, (name, value)) in self.headers.iter().enumerate() {
            if self.repeats(index) {
                out(b",");
            } else {
                out(if index == 0 { b"" } else { b"\n" });
                out(name.as_bytes());
                out(b":");
            }
            write_value(value, &mut out);
        }
        out(b"\n\n");
        out(self.signed_headers().as_bytes());
        out(b"\n");
        out(self.payload_hash.as_bytes());
    }

    /// Whether the header at `index` continues a list: the one before has the same name.
    fn repeats(&self, index: usize) -> bool {
        let before = index.checked_sub(1).and_then(|before| self.headers.get(before));
        before.is_some_and(|(name, _)| *name == self.headers[index].0)
    }
}

/// A header's value without surrounding white space, and with one space for each run of it.
fn write_value(value: &[u8], out: &mut impl FnMut(&[u8])) {
    let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            out(b" ");
        }
        out(word);
    }
}

/// Headers by name; those of one name stay in their order. Names are in lower case.
pub fn sorted<'r>(
    headers: impl IntoIterator<Item = (&'r str, &'r [u8])>,
) -> Vec<(&'r str, &'r [u8])> {
    let mut headers: Vec<_> = headers.into_iter().collect();
    headers.sort_by_key(|(name, _)| *name);
    headers
}

/// What a service makes of the path before it hashes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathRule {
    /// Dots and repeated slashes are resolved, and what is sent is encoded once more. It was encoded
    /// for the URL already: so each segment is encoded twice.
    Normalised,
    /// What is sent is encoded once more.
    Unnormalised,
    /// Every character keeps its place and is encoded once: Amazon S3, whose keys may hold dots and
    /// repeated slashes.
    Once,
}

impl PathRule {
    /// The rule of a service, by the name that stands in the credential scope.
    pub fn of(service: &str) -> Self {
        match service {
            "s3" | "s3-object-lambda" | "s3-outposts" | "s3express" => Self::Once,
            _ => Self::Normalised,
        }
    }
}

/// The path as it is hashed. `path` is what is sent, percent-encoded.
pub fn canonical_path(path: &str, rule: PathRule) -> String {
    let mut encoded = String::with_capacity(path.len() + 16);
    match rule {
        PathRule::Normalised => encode(normalised(path).as_bytes(), b"/", &mut encoded),
        PathRule::Unnormalised => encode(path.as_bytes(), b"/", &mut encoded),
        PathRule::Once => {
            for (index, segment) in path.split('/').enumerate() {
                encoded.push_str(if index == 0 { "" } else { "/" });
                encode(&decoded(segment, b'+'), b"", &mut encoded);
            }
        }
    }
    encoded
}

/// Without `.`, `..` and repeated slashes (RFC 3986 section 5.2.4).
fn normalised(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.contains("/.") && path.starts_with('/') {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let is_folder = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    let end = if is_folder && !kept.is_empty() { "/" } else { "" };
    Cow::Owned(format!("/{}{end}", kept.join("/")))
}

/// The query as it is hashed: decoded, encoded anew, and sorted by name and then by value. A `+` is a
/// space, as in forms.
pub fn canonical_query(query: &str) -> String {
    let spelled = |text: &str| {
        let mut encoded = String::with_capacity(text.len());
        encode(&decoded(text, b' '), b"", &mut encoded);
        encoded
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (spelled(name), spelled(value)))
        .collect();
    pairs.sort();
    let mut canonical = String::with_capacity(query.len() + 16);
    for (name, value) in &pairs {
        canonical.push_str(if canonical.is_empty() { "" } else { "&" });
        canonical.push_str(name);
        canonical.push('=');
        canonical.push_str(value);
    }
    canonical
}

/// Percent-encodes all but letters, digits, `-._~` and what `kept` holds.
fn encode(bytes: &[u8], kept: &[u8], out: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Undoes percent-encoding. A `+` becomes `plus`; a `%` that begins no escape stays.
fn decoded(text: &str, plus: u8) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'%', [high, low, after @ ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (b'+', _) => plus,
            (byte, _) => *byte,
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_sent_encoded_is_encoded_again_except_for_s3() {
        let sent = "/a%20b/%E1%88%B4/x*y/./c//d%2Fe";
        assert_eq!(
            canonical_path(sent, PathRule::of("execute-api")),
            "/a%2520b/%25E1%2588%25B4/x%2Ay/c/d%252Fe"
        );
        assert_eq!(canonical_path(sent, PathRule::of("s3")), "/a%20b/%E1%88%B4/x%2Ay/./c//d%2Fe");
        assert_eq!(canonical_path("/%7Ea+%e1", PathRule::Once), "/~a%2B%E1");
    }

    #[test]
    fn dots_and_slashes_are_resolved_as_rfc_3986_has_it() {
        let cases = [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/a/b/../..", "/"),
            ("/a/./b/../../g", "/g"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../../a", "/a"),
            ("//a//", "/a/"),
            ("/.hidden/..x", "/.hidden/..x"),
        ];
        for (path, expected) in cases {
            assert_eq!(canonical_path(path, PathRule::Normalised), expected, "{path}");
        }
    }

    #[test]
    fn a_query_is_sorted_by_name_then_value_after_it_is_encoded() {
        let cases = [
            ("", ""),
            ("acl", "acl="),
            ("b=2&a=1&&b=1", "a=1&b=1&b=2"),
            ("A-=1&A=2&a=3", "A=2&A-=1&a=3"),
            ("x=a+b&y=a%2Bb&z=a%20b", "x=a%20b&y=a%2Bb&z=a%20b"),
            ("q=a=b/c", "q=a%3Db%2Fc"),
            ("q=%ff%zz%", "q=%FF%25zz%25"),
        ];
        for (query, expected) in cases {
            assert_eq!(canonical_query(query), expected, "{query}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_query_is_its_own(query in "[ -~]{0,40}") {
            let once = canonical_query(&query);
            prop_assert_eq!(canonical_query(&once), once);
        }

        #[test]
        fn the_order_of_parameters_changes_nothing(a in "[a-z=%+]{0,9}", b in "[a-z=%+]{0,9}") {
            prop_assert_eq!(canonical_query(&format!("{a}&{b}")), canonical_query(&format!("{b}&{a}")));
        }

        #[test]
        fn a_canonical_path_has_no_dots_left(path in "(/[a.]{0,3}){0,6}") {
            let path = canonical_path(&path, PathRule::Normalised);
            prop_assert!(!path.contains("//") && !path.split('/').any(|s| s == "." || s == ".."));
        }
    }
}
