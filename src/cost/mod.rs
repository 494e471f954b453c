//! What it costs a month to keep customers' secrets and to deliver with them, on AWS: usage and a
//! price list in, bills out. Pure, and exact to the last digit.

mod bill;
mod delivery;
mod money;
mod prices;
#[cfg(test)]
mod prices_tests;
mod storage;
#[cfg(test)]
mod tests;
mod usage;

pub use bill::{Bill, Line};
pub use money::{Dollars, Money, Per, grouped};
pub use prices::{ARTICLE, DeliveryPrices, Price, Prices, Requests, StoragePrices, TODAY, Units};
pub use usage::Usage;

/// What the rows of the comparison are.
pub const ROWS: &str = "The last two deliver, what their secrets cost included; the others keep secrets, each call counted.";

/// What no bill holds, because it is the same on every way or depends on what else runs there.
pub const LEFT_OUT: &str = "Not in any bill: data transfer, logs, alarms, networks, and taxes. Jobs are taken to be at most 64 KB.";

/// The names of all bills, in their order.
pub const NAMES: [&str; 7] = [
    storage::SECRETS_MANAGER,
    storage::SSM,
    storage::DIRECT,
    storage::ENVELOPE,
    storage::TENANT_KEY,
    delivery::EVENTBRIDGE,
    delivery::WORKER,
];

/// The bills at these prices: one for each way to keep the secrets and, where the list prices
/// delivery, one for each way to deliver. The usage has passed [`Usage::check`].
pub fn bills(usage: &Usage, prices: &Prices) -> Vec<Bill> {
    let mut bills = storage::bills(usage, &prices.storage);
    if let Some(delivery) = &prices.delivery {
        bills.extend(delivery::bills(usage, &prices.storage, delivery));
    }
    bills
}
