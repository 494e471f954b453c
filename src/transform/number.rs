//! Numbers as they are written: kept by their text, read only to be compared or reckoned with.

use std::cmp::Ordering;
use std::sync::Arc;

/// Longest number, in characters: reading one as a double takes longer the longer it is.
pub const MAX_LENGTH: usize = 1000;

/// The value of a plain integer: no point, no exponent.
pub fn integer(text: &str) -> Option<i128> {
    // Longer texts do not fit, and "-0" is not the integer it would be written as.
    if text.len() > 40 || text == "-0" {
        return None;
    }
    text.parse().ok()
}

/// The nearest double; infinite where a number is beyond them.
pub fn float(text: &str) -> f64 {
    // Every JSON number is read by Rust's grammar of floats.
    text.parse().unwrap_or(f64::NAN)
}

/// Plain integers are compared exactly, all else as doubles.
pub fn compare(a: &str, b: &str) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ if a == b => Ordering::Equal,
        _ => float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal),
    }
}

/// The shortest text of a double; none of what JSON cannot write.
pub fn from_float(value: f64) -> Option<Arc<str>> {
    if !value.is_finite() {
        return None;
    }
    // Whole numbers that doubles hold exactly are written without a point.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        return Some(format!("{value:.0}").into());
    }
    serde_json::Number::from_f64(value).map(|number| number.to_string().into())
}

/// Whether it is 0, however that is written.
pub fn is_zero(text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    digits.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'))
}

/// Whether a text is a number of JSON (RFC 8259 section 6), and nothing else.
pub fn is_number(text: &str) -> bool {
    text.len() <= MAX_LENGTH && length(text.as_bytes()) == Some(text.len())
}

/// The length of the number that the bytes begin with.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        for (a, b, expected) in [
            ("10.50", "10.5", Ordering::Equal),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("-0", "0", Ordering::Equal),
            ("1E2", "99.5", Ordering::Greater),
            ("-3", "2", Ordering::Less),
        ] {
            assert_eq!(compare(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn zero_is_zero_however_it_is_written() {
        for text in ["0", "-0", "0.000", "0e9", "-0.0E-1"] {
            assert!(is_zero(text), "{text}");
        }
        for text in ["1", "0.01", "1e-400", "-10"] {
            assert!(!is_zero(text), "{text}");
        }
    }

    #[test]
    fn only_numbers_of_json_are_numbers() {
        for text in ["0", "-0", "10.50", "1E+5", "1e400", "-1.5e-3"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "01", "+1", "1.", ".5", "1e", "0x1", "1 ", "NaN", "inf", "1_0"] {
            assert!(!is_number(text), "{text}");
        }
    }
}
