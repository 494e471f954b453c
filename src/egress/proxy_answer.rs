//! Whose fault it is that a proxy opens no tunnel. Pure.

use crate::domain::outcome::Phase;

/// Longest head of a proxy's answer.
pub const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// What a proxy's answer comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The tunnel is there.
    Open,
    /// The proxy works, and could not reach the target: the endpoint's fault.
    Target(Phase, u16),
    /// The proxy does not want to: ours.
    Refused(u16),
    /// Not an answer: ours.
    Nonsense(&'static str),
}

/// Judges what a proxy sent.
pub fn judge(answer: &[u8]) -> Verdict {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let end = match response.parse(answer) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Verdict::Nonsense("the proxy's head has no end"),
        Err(_) => return Verdict::Nonsense("the proxy does not answer in HTTP"),
    };
    match response.code.unwrap_or_default() {
        // The target speaks after it was spoken to; what comes before is not from there.
        200..=299 if end < answer.len() => {
            Verdict::Nonsense("the proxy sent something of its own into the tunnel")
        }
        200..=299 => Verdict::Open,
        // RFC 9110 sections 15.6.3 and 15.6.5: it is the other side that failed.
        502 => Verdict::Target(Phase::Connect, 502),
        504 => Verdict::Target(Phase::ConnectTimeout, 504),
        503 if response.headers.iter().any(blames_target) => Verdict::Target(Phase::Connect, 503),
        status => Verdict::Refused(status),
    }
}

/// Whether a header says that the target could not be reached: as RFC 9209 has it, or as Squid says it.
fn blames_target(header: &httparse::Header<'_>) -> bool {
    let value = String::from_utf8_lossy(header.value).to_ascii_lowercase();
    match header.name.to_ascii_lowercase().as_str() {
        "proxy-status" => value.split([';', ',']).any(|part| {
            let error = part.trim().strip_prefix("error=");
            error.is_some_and(|e| e.starts_with("destination_") || e.starts_with("connection_"))
        }),
        "x-squid-error" => value.starts_with("err_connect_fail"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_a_proxy_is_somebody_s_fault_or_a_tunnel() {
        use Verdict::{Nonsense, Open, Refused, Target};
        let tail = "the proxy sent something of its own into the tunnel";
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        let cases = [
            ("HTTP/1.1 200 Connection established\r\n\r\n", Open),
            ("HTTP/1.0 204 x\r\nvia: p\r\n\r\n", Open),
            ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", Nonsense(tail)),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", Target(Phase::Connect, 502)),
            ("HTTP/1.1 504 Timeout\r\n\r\n", Target(Phase::ConnectTimeout, 504)),
            ("HTTP/1.1 503 Unavailable\r\n\r\n", Refused(503)),
            (
                "HTTP/1.1 503 x\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n",
                Target(Phase::Connect, 503),
            ),
            ("HTTP/1.1 503 x\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n", Refused(503)),
            (
                "HTTP/1.1 503 x\r\nProxy-Status: p; error=connection_refused\r\n\r\n",
                Target(Phase::Connect, 503),
            ),
            ("HTTP/1.1 503 x\r\nProxy-Status: p; error=proxy_internal_error\r\n\r\n", Refused(503)),
            ("HTTP/1.1 407 Who\r\nproxy-authenticate: Basic\r\n\r\n", Refused(407)),
            ("HTTP/1.1 302 There\r\nlocation: http://10.0.0.1/\r\n\r\n", Refused(302)),
            ("HTTP/1.1 101 Switching\r\n\r\n", Refused(101)),
            (&endless, Nonsense("the proxy's head has no end")),
            ("SSH-2.0-OpenSSH_9.9\r\n\r\n", Nonsense("the proxy does not answer in HTTP")),
        ];
        for (answer, verdict) in cases {
            assert_eq!(judge(answer.as_bytes()), verdict, "{answer:.80}");
        }
    }
}
