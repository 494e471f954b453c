//! The MD5 that SQS tells of every body: what it has is what was sent, and what came is what it has. The
//! SDK does not compare it.

use md5::{Digest as _, Md5};

use crate::adapters::aws::{Failure, Kind};

/// Compares a body with the MD5 that was told of it.
///
/// # Errors
/// If they differ. Whose body it is, is not told: the queue's own id says where to look.
pub fn check(body: &str, told: Option<&str>) -> Result<(), Failure> {
    // It is always told; not by every stand-in for SQS.
    let Some(told) = told.filter(|told| !told.is_empty()) else { return Ok(()) };
    let digest = Md5::digest(body.as_bytes());
    let own: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if own.eq_ignore_ascii_case(told) {
        return Ok(());
    }
    let message = format!("a body was altered on its way: its MD5 is {own}, and not {told}");
    Err(Failure { kind: Kind::ServiceFault, code: None, request_id: None, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_other_letter_is_told() {
        // RFC 1321, appendix A.5.
        let told = Some("900150983cd24fb0d6963f7d28e17f72");
        assert!(check("abc", told).is_ok());
        assert!(check("abd", told).is_err());
        assert!(check("abd", None).is_ok());
    }
}
