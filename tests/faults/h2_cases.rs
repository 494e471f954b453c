//! The cases of `abuse` that are about HTTP/2.

use sealpost::domain::outcome::Phase;

use crate::abuse::Expected::{self, Failed, Status};
use crate::abuse::head;
use crate::h2_server::{
    End, Script, after, body, frame, goaway, large_head, reset, settings, status,
};

/// What an HTTP/2 server does, and what the call comes to.
pub fn server(what: &str) -> (Script, Expected) {
    let ok = || status(1, "200", false);
    match what {
        "answer" => (after(status(1, "204", true), End::Hang), Status(204)),
        "redirect" => (after(status(1, "302", true), End::Hang), Status(302)),
        "silence" => (after(Vec::new(), End::Hang), Failed(Phase::ResponseTimeout)),
        "close" => (after(Vec::new(), End::Close), Failed(Phase::AfterWrite)),
        "HTTP/1.1" => (after(head(200, ""), End::Close), Failed(Phase::Response)),
        "GOAWAY last_stream_id=0" => (after(goaway(0, ""), End::Close), Failed(Phase::BeforeWrite)),
        "GOAWAY with words" => {
            (after(goaway(0, &"w".repeat(9000)), End::Close), Failed(Phase::BeforeWrite))
        }
        "GOAWAY last_stream_id>=ours" => {
            (after(goaway(1, ""), End::Close), Failed(Phase::AfterWrite))
        }
        "GOAWAY, then the answer" => {
            let both = [goaway(1, ""), status(1, "204", true)].concat();
            (after(both, End::Close), Status(204))
        }
        "REFUSED_STREAM" => (after(reset(1, 7), End::Hang), Failed(Phase::BeforeWrite)),
        "INTERNAL_ERROR" => (after(reset(1, 2), End::Hang), Failed(Phase::AfterWrite)),
        "RST after 200" => (after([ok(), reset(1, 2)].concat(), End::Hang), Status(200)),
        "empty DATA" => (after(ok(), End::Flood(body(1, b"").repeat(1000))), Status(200)),
        "endless DATA" => (after(ok(), End::Flood(body(1, &[b'x'; 16 * 1024]))), Status(200)),
        "CONTINUATION" => {
            let begun = frame(1, 0, 1, &[0x88]);
            let endless = frame(9, 0, 1, b"\x00\x01x\x01y").repeat(1000);
            (after(begun, End::Flood(endless)), Failed(Phase::Response))
        }
        "head of 40 KB" => (after(large_head(1, 40 << 10), End::Hang), Status(200)),
        "head of 1 MB" => (after(large_head(1, 1 << 20), End::Hang), Failed(Phase::Response)),
        "PING" => (after(ok(), End::Flood(frame(6, 0, 0, &[0; 8]).repeat(1000))), Status(200)),
        "PING before the status" => {
            let endless = frame(6, 0, 0, &[0; 8]).repeat(1000);
            (after(Vec::new(), End::Flood(endless)), Failed(Phase::Response))
        }
        "SETTINGS before the status" => {
            let endless = settings(&[]).repeat(1000);
            (after(Vec::new(), End::Flood(endless)), Failed(Phase::Response))
        }
        "WINDOW_UPDATE before the status" => {
            let endless = frame(8, 0, 1, &[0, 0, 0, 1]).repeat(1000);
            (after(Vec::new(), End::Flood(endless)), Failed(Phase::Response))
        }
        "103 before the status" => {
            let endless = status(1, "103", false).repeat(1000);
            (after(Vec::new(), End::Flood(endless)), Failed(Phase::Response))
        }
        "window 0" => {
            let script = after(Vec::new(), End::Hang);
            (Script { first: settings(&[(4, 0)]), ..script }, Failed(Phase::ResponseTimeout))
        }
        "settings" => {
            let script = after(Vec::new(), End::Hang);
            (Script { first: settings(&[(3, 0)]), ..script }, Failed(Phase::ResponseTimeout))
        }
        unknown => panic!("no server for {unknown}"),
    }
}
