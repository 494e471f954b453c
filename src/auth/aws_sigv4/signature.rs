//! From a canonical request to its signature ("Create a signed AWS API request", tasks 2 to 4).

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::canonical::CanonicalRequest;
use crate::auth::hex::hex;
use crate::domain::secret::SecretBytes;
use crate::domain::timestamp::Timestamp;

/// The algorithm, as it stands in the `Authorization` header and in the string to sign.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signing key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope<'s> {
    /// The day, as in `20150830`.
    pub day: &'s str,
    /// The region, as in `eu-west-1`.
    pub region: &'s str,
    /// The service's name for signing, as in `execute-api`.
    pub service: &'s str,
}

impl std::fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }
}

/// A time as `x-amz-date` has it: `20150830T123600Z`, cut to the second.
pub fn amz_date(time: Timestamp) -> String {
    // RFC 3339 to the second, without its punctuation.
    let text = time.to_string();
    let digits = text.chars().take("2015-08-30T12:36:00".len());
    digits.filter(char::is_ascii_alphanumeric).chain(['Z']).collect()
}

/// Reads a time of `x-amz-date`.
pub fn read_amz_date(text: &str) -> Option<Timestamp> {
    let (day, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let is_date = day.len() == 8 && clock.len() == 6;
    if !is_date || !day.bytes().chain(clock.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
    let (hour, minute, second) = (&clock[..2], &clock[2..4], &clock[4..]);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()
}

/// What is signed.
pub fn string_to_sign(date: &str, scope: &Scope<'_>, request: &CanonicalRequest<'_>) -> String {
    format!("{ALGORITHM}\n{date}\n{scope}\n{}", request.hash())
}

/// The key of one scope.
pub fn signing_key(secret_access_key: &SecretBytes, scope: &Scope<'_>) -> hmac::Key {
    let first = Zeroizing::new([b"AWS4", secret_access_key.expose()].concat());
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, &first);
    let mut next = Zeroizing::new([0; 32]);
    for part in [scope.day, scope.region, scope.service, "aws4_request"] {
        let Ok(next) = hmac::sign_to_buffer(&key, part.as_bytes(), &mut *next) else {
            unreachable!("the buffer is as long as a tag of HMAC-SHA256")
        };
        key = hmac::Key::new(hmac::HMAC_SHA256, next);
    }
    key
}

/// The signature, in hex.
pub fn signature(key: &hmac::Key, string_to_sign: &str) -> String {
    hex(hmac::sign(key, string_to_sign.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_reads_back_as_it_was_written_to_the_second() {
        let time = Timestamp::from_millis(1_440_938_160_999);
        assert_eq!(amz_date(time), "20150830T123600Z");
        assert_eq!(read_amz_date("20150830T123600Z").unwrap().as_secs(), time.as_secs());
        let wrong = ["", "20150830", "20150830T123600", "20150830T12360Z", "20151330T123600Z"];
        for text in wrong.into_iter().chain(["2015083éT12360Z", "20150830t123600z"]) {
            assert!(read_amz_date(text).is_none(), "{text}");
        }
    }
}
