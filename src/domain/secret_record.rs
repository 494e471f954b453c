//! What becomes of a secret's versions when a new one is put, or an old one is made current again.
//!
//! A store keeps the current version, and the previous one while it overlaps, in one record; versions
//! that leave the record are its history. Every write says what its writer has seen, and is made only
//! if that still holds.

use crate::domain::secret::{SealedSecret, SealedVersion};
use crate::domain::timestamp::Timestamp;

/// A secret as those see it who change it: there is a record of a deleted one too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretRecord {
    /// The last version number ever given; 0 if there was none.
    pub last_version: u64,
    /// The versions in use; `None` if there are none, or the secret was deleted.
    pub secret: Option<SealedSecret>,
}

/// What a writer has seen of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The last version number ever given.
    pub last_version: u64,
    /// The version that is current; `None` if there is none.
    pub current: Option<u64>,
}

/// A write over a record, to be made only if the record still is as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretChange {
    /// What the record has to be.
    pub seen: Seen,
    /// The last version number given, from then on.
    pub last_version: u64,
    /// The versions in use, from then on.
    pub next: SealedSecret,
    /// Versions that are in use no more, to be kept as history.
    pub retired: Vec<SealedVersion>,
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is used.
    Current,
    /// It is used beside the current one.
    Previous,
    /// It is kept, and not used.
    Past,
}

impl Standing {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Past => "past",
        }
    }
}

impl SecretRecord {
    /// What there is to see.
    pub fn seen(&self) -> Seen {
        let current = self.secret.as_ref().map(|secret| secret.current.version);
        Seen { last_version: self.last_version, current }
    }

    /// The current version's number; 0 if there is none.
    pub fn current_version(&self) -> u64 {
        self.seen().current.unwrap_or(0)
    }

    /// Makes `version` the current one, be it new or an old one. The version that is current now stays
    /// in use beside it until `previous_until`; without that, it is history at once. An overlap that
    /// was begun before ends either way: no more than two versions are ever in use.
    pub fn make_current(
        self,
        version: SealedVersion,
        previous_until: Option<Timestamp>,
    ) -> SecretChange {
        let seen = self.seen();
        let (before, older) = match self.secret {
            Some(secret) => (Some(secret.current), secret.previous),
            None => (None, None),
        };
        let (previous, left) = match previous_until {
            Some(_) => (before, None),
            None => (None, before),
        };
        let mut retired: Vec<SealedVersion> = left.into_iter().chain(older).collect();
        retired.retain(|old| old.version != version.version);
        let last_version = self.last_version.max(version.version);
        let previous_until = previous_until.filter(|_| previous.is_some());
        let next = SealedSecret { current: version, previous, previous_until };
        SecretChange { seen, last_version, next, retired }
    }

    /// Ends the overlap; the previous version is not kept. `None` if there is no previous version.
    pub fn without_previous(self) -> Option<SecretChange> {
        let (seen, last_version) = (self.seen(), self.last_version);
        let secret = self.secret.filter(|secret| secret.previous.is_some())?;
        let next = SealedSecret { previous: None, previous_until: None, ..secret };
        Some(SecretChange { seen, last_version, next, retired: Vec::new() })
    }

    /// Every version that is kept, newest first, each with where it stands at `now`. `past` are those
    /// that the store keeps as history; one that was made current again may still be among them.
    pub fn versions(
        &self,
        past: Vec<SealedVersion>,
        now: Timestamp,
    ) -> Vec<(Standing, SealedVersion)> {
        let mut versions = Vec::new();
        if let Some(secret) = &self.secret {
            versions.push((Standing::Current, secret.current.clone()));
            let overlaps = secret.previous_until.is_some_and(|until| now < until);
            let standing = if overlaps { Standing::Previous } else { Standing::Past };
            versions.extend(secret.previous.iter().map(|v| (standing, v.clone())));
        }
        for version in past {
            if !versions.iter().any(|(_, known)| known.version == version.version) {
                versions.push((Standing::Past, version));
            }
        }
        versions.sort_by_key(|(_, version)| std::cmp::Reverse(version.version));
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u64) -> SealedVersion {
        let created_at = Timestamp::from_millis(0);
        SealedVersion { version, sealed: vec![1], origins: [].into(), created_at, facts: None }
    }

    fn numbers(versions: &[SealedVersion]) -> Vec<u64> {
        versions.iter().map(|v| v.version).collect()
    }

    /// The record after `change`.
    fn after(change: SecretChange) -> SecretRecord {
        SecretRecord { last_version: change.last_version, secret: Some(change.next) }
    }

    const LATER: Option<Timestamp> = Some(Timestamp::from_millis(1000));

    #[test]
    fn what_leaves_the_record_becomes_history_and_nothing_else_does() {
        let one = SecretRecord::default().make_current(version(1), LATER);
        assert_eq!((one.next.previous.clone(), one.next.previous_until), (None, None));
        let two = after(one).make_current(version(2), LATER);
        assert!(two.retired.is_empty());
        let three = after(two).make_current(version(3), LATER);
        assert_eq!(numbers(&three.retired), [1]);
        assert_eq!(three.next.previous.as_ref().map(|v| v.version), Some(2));
        let four = after(three).make_current(version(4), None);
        assert_eq!(numbers(&four.retired), [3, 2]);
        assert_eq!(four.next.previous, None);
    }

    #[test]
    fn an_old_version_becomes_current_again_and_no_number_is_given_twice() {
        let record = |secret| SecretRecord { last_version: 3, secret: Some(secret) };
        let secret =
            SealedSecret { current: version(3), previous: Some(version(2)), previous_until: LATER };
        let back = record(secret.clone()).make_current(version(2), None);
        assert_eq!((back.last_version, back.next.current.version), (3, 2));
        assert_eq!(numbers(&back.retired), [3], "the one that is current again is not retired");
        let beside = record(secret.clone()).make_current(version(1), LATER);
        assert_eq!(beside.next.previous.map(|v| v.version), Some(3));
        assert_eq!(numbers(&beside.retired), [2]);
        let ended = record(secret).without_previous().unwrap();
        assert_eq!((ended.next.previous, ended.retired), (None, Vec::new()));
    }

    #[test]
    fn a_version_is_listed_once_with_where_it_stands() {
        let secret =
            SealedSecret { current: version(2), previous: Some(version(3)), previous_until: LATER };
        let record = SecretRecord { last_version: 3, secret: Some(secret) };
        let listed = |at| -> Vec<(Standing, u64)> {
            let versions = record.versions(vec![version(1), version(2)], at);
            versions.iter().map(|(standing, v)| (*standing, v.version)).collect()
        };
        let (now, then) = (Timestamp::from_millis(999), Timestamp::from_millis(1000));
        let (past, current) = (Standing::Past, Standing::Current);
        assert_eq!(listed(now), [(Standing::Previous, 3), (current, 2), (past, 1)]);
        assert_eq!(listed(then), [(past, 3), (current, 2), (past, 1)]);
    }
}
