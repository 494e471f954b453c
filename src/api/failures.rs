//! How often an address may fail to say who it is: each unknown key costs a reading of the store.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::problem::{Answer, Code, Problem};
use crate::domain::bucket::Bucket;
use crate::domain::limits::Rate;
use crate::domain::timestamp::Timestamp;

/// Most addresses whose failures are counted.
const MOST_ADDRESSES: usize = 10_000;

/// Where a request comes from: the other end of its connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The failures of each address.
pub struct Failures {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Failures {
    /// Lets each address fail so often in a minute.
    pub fn new(per_minute: u32) -> Self {
        let rate = Rate::new(per_minute.max(1), Duration::from_secs(60), Some(per_minute.max(1)));
        Self { rate, buckets: Mutex::default() }
    }

    /// Counts an attempt of the address, as if it failed.
    ///
    /// # Errors
    /// If it has failed too often.
    pub fn count(&self, address: IpAddr, now: Timestamp) -> Answer<()> {
        let address = network(address);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST_ADDRESSES && !buckets.contains_key(&address) {
            // Everybody begins anew: it bounds the memory, and so it does the readings of the store.
            buckets.clear();
        }
        let taken = buckets.entry(address).or_default().take(&self.rate, now, Duration::ZERO);
        let Err(at) = taken else { return Ok(()) };
        let seconds = u32::try_from(at.since(now).as_millis().div_ceil(1000)).unwrap_or(1);
        let detail = "too many keys from this address were not good";
        Err(Problem::new(Code::RateLimited, detail).retry_after(seconds))
    }

    /// Takes one back that was no failure.
    pub fn forgive(&self, address: IpAddr) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(&network(address)) {
            bucket.give_back(&self.rate);
        }
    }
}

/// What counts as one address: whoever has one of IPv6 has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// Who calls: the peer, or whoever a proxy of ours names in `X-Forwarded-For`. Everyone can write that
/// header, so it is read from its end, for as long as those who wrote it are trusted.
pub fn address_of(peer: Option<Peer>, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut address = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.to_canonical());
    let named: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("").split(','))
        .collect();
    for name in named.into_iter().rev() {
        if !is_trusted(&address) {
            break;
        }
        let Ok(named) = name.trim().parse::<IpAddr>() else { break };
        address = named.to_canonical();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_fails_too_often_is_told_when_to_come_again() {
        let (failures, one) = (Failures::new(3), address("192.0.2.1"));
        for _ in 0..3 {
            failures.count(one, NOW).unwrap();
        }
        assert_eq!(failures.count(one, NOW).unwrap_err().what(), Code::RateLimited);
        failures.count(address("192.0.2.2"), NOW).unwrap();
        failures.forgive(one);
        failures.count(one, NOW).unwrap();
        assert!(failures.count(one, NOW.plus(Duration::from_secs(19))).is_err());
        failures.count(one, NOW.plus(Duration::from_secs(20))).unwrap();
    }

    #[test]
    fn the_addresses_of_one_network_are_one() {
        let failures = Failures::new(1);
        failures.count(address("2001:db8::1"), NOW).unwrap();
        assert!(failures.count(address("2001:db8::ffff:1"), NOW).is_err());
        failures.count(address("2001:db8:0:1::1"), NOW).unwrap();
        failures.count(address("::ffff:192.0.2.1"), NOW).unwrap();
        assert!(failures.count(address("192.0.2.1"), NOW).is_err());
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let failures = Failures::new(1);
        for n in 0..MOST_ADDRESSES as u32 + 1 {
            failures.count(Ipv4Addr::from(n).into(), NOW).unwrap();
        }
        assert_eq!(failures.buckets.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_forwarded_address_is_believed_of_trusted_proxies_alone() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let of = |peer: &str, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            address_of(Some(Peer(address(peer))), &headers, &trusted).to_string()
        };
        assert_eq!(of("192.0.2.1", "198.51.100.7"), "192.0.2.1", "a stranger says so");
        assert_eq!(of("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(of("10.0.0.1", "203.0.113.9, 198.51.100.7"), "198.51.100.7", "its own word");
        assert_eq!(of("10.0.0.1", "198.51.100.7, 10.0.0.2"), "198.51.100.7", "two proxies");
        assert_eq!(of("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(address_of(None, &HeaderMap::new(), &[]).to_string(), "0.0.0.0");
    }
}
