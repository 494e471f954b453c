//! Which addresses are public.
//!
//! IPv4 is public unless a range below says otherwise; IPv6 only inside the one block that is handed
//! out for global unicast (2000::/3), and there unless a range says otherwise, so that whatever is
//! assigned in the future is blocked until it is known. (IANA IPv4 and IPv6 Special-Purpose Address
//! Registries.)

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

struct V4(Ipv4Addr, u32, &'static str);
struct V6(Ipv6Addr, u32, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, len: u32, why: &'static str) -> V4 {
    V4(Ipv4Addr::new(a, b, c, d), len, why)
}

const fn v6(head: [u16; 3], len: u32, why: &'static str) -> V6 {
    V6(Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, 0, 0), len, why)
}

static BLOCKED_V4: &[V4] = &[
    v4(0, 0, 0, 0, 8, "this network (RFC 791)"),
    v4(10, 0, 0, 0, 8, "private (RFC 1918)"),
    v4(100, 64, 0, 0, 10, "shared by carriers (RFC 6598)"),
    v4(127, 0, 0, 0, 8, "loopback (RFC 1122)"),
    v4(169, 254, 0, 0, 16, "link-local: cloud metadata lives here (RFC 3927)"),
    v4(172, 16, 0, 0, 12, "private (RFC 1918)"),
    v4(192, 0, 0, 0, 24, "IETF protocol assignments (RFC 6890)"),
    v4(192, 0, 2, 0, 24, "documentation (RFC 5737)"),
    v4(192, 31, 196, 0, 24, "AS112 (RFC 7535)"),
    v4(192, 52, 193, 0, 24, "AMT (RFC 7450)"),
    v4(192, 88, 99, 0, 24, "6to4 relay (RFC 7526)"),
    v4(192, 168, 0, 0, 16, "private (RFC 1918)"),
    v4(192, 175, 48, 0, 24, "AS112 (RFC 7534)"),
    v4(198, 18, 0, 0, 15, "benchmarking (RFC 2544)"),
    v4(198, 51, 100, 0, 24, "documentation (RFC 5737)"),
    v4(203, 0, 113, 0, 24, "documentation (RFC 5737)"),
    v4(224, 0, 0, 0, 4, "multicast (RFC 5771)"),
    v4(240, 0, 0, 0, 4, "reserved (RFC 1112)"),
    // A public address that answers from inside every Azure machine.
    v4(168, 63, 129, 16, 32, "Azure WireServer"),
];

static BLOCKED_V6: &[V6] = &[
    v6([0x2001, 0, 0], 23, "IETF protocol assignments, Teredo among them (RFC 2928, RFC 4380)"),
    v6([0x2001, 0x0db8, 0], 32, "documentation (RFC 3849)"),
    v6([0x2002, 0, 0], 16, "6to4, which holds an IPv4 address (RFC 3056)"),
    v6([0x2620, 0x004f, 0x8000], 48, "AS112 (RFC 7534)"),
    v6([0x3fff, 0, 0], 20, "documentation (RFC 9637)"),
];

/// An IPv4-mapped IPv6 address as the IPv4 address that it reaches (RFC 4291 section 2.5.5.2).
pub fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Whether an address is public; if not, why.
pub fn check_public(address: IpAddr) -> Result<(), &'static str> {
    let blocked = match address {
        IpAddr::V4(address) => BLOCKED_V4
            .iter()
            .find(|V4(net, len, _)| (address.to_bits() ^ net.to_bits()) >> (32 - len) == 0)
            .map(|V4(_, _, why)| *why),
        IpAddr::V6(address) if address.to_bits() >> 125 != 0b001 => {
            Some(outside_global_unicast(address))
        }
        IpAddr::V6(address) => BLOCKED_V6
            .iter()
            .find(|V6(net, len, _)| (address.to_bits() ^ net.to_bits()) >> (128 - len) == 0)
            .map(|V6(_, _, why)| *why),
    };
    blocked.map_or(Ok(()), Err)
}

fn outside_global_unicast(address: Ipv6Addr) -> &'static str {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback (RFC 4291)",
        [0x0064, 0xff9b, ..] => "NAT64, which holds an IPv4 address (RFC 6052, RFC 8215)",
        [first, ..] if first & 0xfe00 == 0xfc00 => "unique local (RFC 4193)",
        [first, ..] if first & 0xffc0 == 0xfe80 => "link-local (RFC 4291)",
        [first, ..] if first & 0xff00 == 0xff00 => "multicast (RFC 4291)",
        _ => "not a global unicast address (RFC 4291 section 2.4)",
    }
}
