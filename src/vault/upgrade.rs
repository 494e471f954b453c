//! Upgrades a value that another program sealed without a context: it is bound where it lies.

use std::collections::BTreeSet;

use crate::domain::ids::{CustomerId, SecretId};
use crate::domain::origin::Origin;
use crate::domain::secret::{Binding, SealedKind, SealedVersion};
use crate::ports::rebind::{Rebind, Rebound};
use crate::ports::{Result, Secrets};

/// What became of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgraded {
    /// It is bound, and has this version number.
    Done(u64),
    /// Somebody else has written the row in between: it is as they left it.
    Changed,
    /// The key service does not take it.
    Refused(String),
}

/// Binds an unbound value, which is current as `from`, to its customer, its name, its first version
/// number and `origins`, in one write that is made only if the row still is as it was. Nobody but the
/// key service sees the value, so nothing is known of what it is.
///
/// # Errors
/// If the store or the key service fails.
pub async fn upgrade(
    (secrets, rebind): (&dyn Secrets, &dyn Rebind),
    (customer, secret): (&CustomerId, &SecretId),
    from: &SealedVersion,
    origins: BTreeSet<Origin>,
) -> Result<Upgraded> {
    let record = secrets.record(customer, secret).await?;
    if record.secret.as_ref().is_none_or(|stored| stored.current != *from) {
        return Ok(Upgraded::Changed);
    }
    let Some((SealedKind::Unbound, wrapped)) = SealedKind::split(&from.sealed) else {
        return Ok(Upgraded::Refused("it is bound already".to_owned()));
    };
    let version = record.last_version + 1;
    let (customer_id, secret_id) = (customer.clone(), secret.clone());
    let binding = Binding { customer_id, secret_id, version, origins };
    let wrapped = match rebind.bind(wrapped, &binding.context()).await? {
        Rebound::Wrapped(wrapped) => wrapped,
        Rebound::Refused(problem) => return Ok(Upgraded::Refused(problem)),
    };
    let sealed = [&[SealedKind::Direct.byte()][..], &wrapped].concat();
    let (origins, created_at) = (binding.origins, from.created_at);
    let to = SealedVersion { version, sealed, origins, created_at, facts: None };
    let replaced = secrets.replace(customer, secret, from, &to).await?;
    Ok(if replaced { Upgraded::Done(version) } else { Upgraded::Changed })
}
