//! The guard's verdicts.

use std::net::IpAddr;

use anyhow::ensure;
use sealpost::egress::guard::Guard;

use super::Stage;

pub fn stages() -> anyhow::Result<Vec<Stage>> {
    let guard = Guard::default();
    let (public, private): (IpAddr, IpAddr) = ("93.184.215.14".parse()?, "10.1.2.3".parse()?);
    let url = "https://hooks.acme.example/orders?version=2";
    ensure!(guard.check_address(public).is_ok() && guard.check_address(private).is_err());
    guard.check_url(url)?;
    let (first, second) = (guard.clone(), guard.clone());
    Ok(vec![
        Stage::new("guard: an address that may be called", move || first.check_address(public)),
        Stage::new("guard: an address that may not", move || second.check_address(private)),
        Stage::new("guard: a URL", move || guard.check_url(url)),
    ])
}
