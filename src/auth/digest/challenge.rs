//! Reads `WWW-Authenticate` and what is spelled like it (RFC 9110 section 11).

use std::collections::HashSet;
use std::fmt;

/// An auth scheme with its parameters: one challenge, or the credentials in `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme, as it was spelled.
    pub scheme: String,
    /// The parameters in order: names in lower case, values without quotes and escapes.
    pub params: Vec<(String, String)>,
}

impl Challenge {
    /// Whether it is for this scheme.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter; `name` is in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there twice: what it means is open.
    pub fn repeats(&self) -> bool {
        let mut seen = HashSet::new();
        !self.params.iter().all(|(name, _)| seen.insert(name))
    }
}

const SCHEMES: &[&str] = &["Basic", "Bearer", "Digest", "HOBA", "Negotiate", "NTLM"];
const ALGORITHMS: &[&str] =
    &["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess", "SHA-512"];
const QOPS: &[&str] = &["auth", "auth-int", "auth,auth-int", "auth, auth-int"];

/// A server's word, if it is one of those that everybody knows: a server may repeat what it was sent.
fn known(word: &str, words: &[&'static str], other: &'static str) -> &'static str {
    words.iter().find(|known| known.eq_ignore_ascii_case(word)).copied().unwrap_or(other)
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(known(&self.scheme, SCHEMES, "another scheme"))?;
        for (name, words, other) in
            [("algorithm", ALGORITHMS, "another algorithm"), ("qop", QOPS, "another qop")]
        {
            if let Some(value) = self.get(name) {
                write!(f, " {name}={}", known(value, words, other))?;
            }
        }
        Ok(())
    }
}

/// The challenges of one header value, which may hold several. What follows an error in the syntax
/// is not read, and neither is the challenge that holds it.
pub fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = Rest(value);
    loop {
        rest.skip(&[' ', '\t', ',']);
        if rest.0.is_empty() {
            return challenges;
        }
        if !rest.element(&mut challenges) {
            challenges.pop();
            return challenges;
        }
    }
}

/// What is still to be read.
struct Rest<'v>(&'v str);

impl<'v> Rest<'v> {
    fn skip(&mut self, characters: &[char]) {
        self.0 = self.0.trim_start_matches(characters);
    }

    /// Reads a parameter of the last challenge, or the beginning of the next; `false` if it is
    /// neither.
    fn element(&mut self, challenges: &mut Vec<Challenge>) -> bool {
        let Some(name) = self.token() else { return false };
        let after_name = self.0;
        self.skip(&[' ', '\t']);
        if self.0.starts_with('=') {
            self.0 = &self.0[1..];
            self.skip(&[' ', '\t']);
            let (Some(value), Some(challenge)) = (self.value(), challenges.last_mut()) else {
                return false;
            };
            challenge.params.push((name.to_ascii_lowercase(), value));
            return self.at_end_of_element();
        }
        challenges.push(Challenge { scheme: name.to_owned(), params: Vec::new() });
        // A scheme is parted from what follows by a space.
        if self.0.len() == after_name.len() {
            return self.at_end_of_element();
        }
        self.skip_token68();
        true
    }

    fn at_end_of_element(&self) -> bool {
        matches!(self.0.trim_start_matches([' ', '\t']).chars().next(), None | Some(','))
    }

    fn token(&mut self) -> Option<&'v str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        self.take_while(is_token)
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> Option<&'v str> {
        let end = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(taken).filter(|taken| !taken.is_empty())
    }

    fn value(&mut self) -> Option<String> {
        match self.0.strip_prefix('"') {
            Some(quoted) => self.quoted(quoted),
            None => self.token().map(str::to_owned),
        }
    }

    /// The value of a quoted string whose first quote is read: escapes stand for what they escape
    /// (RFC 9110 section 5.6.4).
    fn quoted(&mut self, quoted: &'v str) -> Option<String> {
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((index, c)) = characters.next() {
            match c {
                '"' => {
                    self.0 = &quoted[index + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                _ => value.push(c),
            }
        }
        None
    }

    /// Passes over credentials in one piece, as `Negotiate` has them.
    fn skip_token68(&mut self) {
        let before = self.0;
        let is_token68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
        let is_there = self.take_while(is_token68).is_some();
        self.skip(&['=']);
        if !is_there || !self.at_end_of_element() {
            self.0 = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Vec<String> {
        let show = |c: Challenge| {
            let params: Vec<String> = c.params.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!("{} [{}]", c.scheme, params.join("|"))
        };
        parse(value).into_iter().map(show).collect()
    }

    #[test]
    fn several_challenges_in_one_value_are_told_apart() {
        let value =
            r#"Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#;
        assert_eq!(
            read(value),
            [r#"Newauth [realm=apps|type=1|title=Login to "apps"]"#, "Basic [realm=simple]"]
        );
        let value = "Negotiate, Negotiate a+/b==, digest Realm = \"a, b\" ,, nonce=n\t,Bearer";
        assert_eq!(
            read(value),
            ["Negotiate []", "Negotiate []", "digest [realm=a, b|nonce=n]", "Bearer []"]
        );
        assert_eq!(read(""), [""; 0]);
    }

    #[test]
    fn a_challenge_that_cannot_be_read_is_left_out_with_all_after_it() {
        let wrong = [
            r#"Digest realm="open"#,
            r#"Digest realm="a\"#,
            r#"Digest realm="a" nonce="b""#,
            "Digest nonce=n, realm=",
            "Digest realm=\"a\"b",
        ];
        for rest in wrong {
            assert_eq!(read(&format!("Basic realm=x, {rest}")), ["Basic [realm=x]"], "{rest}");
        }
        assert_eq!(read("realm=x"), [""; 0]);
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_noticed() {
        assert!(parse("Digest nonce=a, NONCE=b")[0].repeats());
        assert!(!parse("Digest nonce=a, realm=b")[0].repeats());
    }

    proptest! {
        #[test]
        fn any_value_is_read_back_from_a_quoted_string(value in "[ -~é]{0,20}") {
            let text = format!("Digest realm=\"{}\", qop=auth", super::super::escaped(&value));
            let read = parse(&text);
            prop_assert_eq!(read[0].get("realm"), Some(value.as_str()));
            prop_assert_eq!(read[0].get("qop"), Some("auth"));
        }

        #[test]
        fn no_text_makes_the_reader_fail(text in "[ -~é]{0,40}") {
            parse(&text);
        }
    }
}
