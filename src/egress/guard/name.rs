//! Which names are public. A name that is says nothing yet of the addresses it resolves to.

/// Names and their subdomains that are reserved for one machine, one network or nobody.
const LOCAL: &[(&str, &str)] = &[
    ("localhost", "loopback (RFC 6761)"),
    ("localdomain", "local to a network"),
    ("local", "multicast DNS (RFC 6762)"),
    ("internal", "private use (ICANN, 2024)"),
    ("intranet", "local to a network"),
    ("lan", "local to a network"),
    ("home", "local to a network"),
    ("corp", "local to a network"),
    ("private", "local to a network"),
    ("home.arpa", "local to a network (RFC 8375)"),
    ("invalid", "does not exist (RFC 6761)"),
    ("onion", "not in the DNS (RFC 7686)"),
    ("alt", "not in the DNS (RFC 9476)"),
];

/// Checks the form of a name, given in lower case and without the final dot.
pub fn check_form(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 253 {
        return Err("a name has 1 to 253 bytes (RFC 1035)");
    }
    if name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err("each of its labels has 1 to 63 bytes (RFC 1035)");
    }
    Ok(())
}

/// Checks that a well-formed name is not reserved for local use.
pub fn check_public(name: &str) -> Result<(), &'static str> {
    if !name.contains('.') {
        return Err("a single label is looked up in the local network");
    }
    let is_under = |suffix: &str| {
        name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    LOCAL.iter().find(|(suffix, _)| is_under(suffix)).map_or(Ok(()), |(_, why)| Err(why))
}
