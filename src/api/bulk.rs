//! Jobs in bulk: one a line, read and enqueued as they come, in bounded memory.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::input::check_type;
use super::jobs::take;
use super::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::job::MAX_JOB;

/// Jobs enqueued at once: one commit for all.
const BATCH: usize = 500;
/// Bytes of jobs that are kept before they are enqueued.
const BATCH_BYTES: usize = 4 * MAX_JOB;
/// Most refused lines that are told one by one.
const MOST_TOLD: usize = 100;
/// How long the next piece of the body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of the lines.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bulk {
    /// Jobs enqueued.
    accepted: u64,
    /// Jobs that had been taken before.
    duplicates: u64,
    /// Lines that were refused.
    rejected: u64,
    /// The first 100 of these.
    errors: Vec<RefusedLine>,
}

/// A line that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedLine {
    /// Its number, from 1.
    line: u64,
    /// Why.
    problem: Problem,
}

/// Enqueue jobs, one a line (NDJSON)
///
/// Each line is taken or refused for itself. Jobs are enqueued while the body comes; if this ends with a
/// problem, `detail` says which lines are durable. Jobs with an `id` can be sent again.
#[utoipa::path(post, path = "/v1/jobs/bulk", tag = "jobs", operation_id = "sendJobs",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, description = "What became of the lines", body = Bulk)))]
pub async fn send(
    State(api): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer<Json<Bulk>> {
    caller.check_scope(Action::Send)?;
    check_type(request.headers(), &["application/x-ndjson", "application/jsonl", "text/plain"])?;
    let mut body = request.into_body();
    let (mut lines, mut done) = (Lines::default(), Progress::default());
    loop {
        let frame = timeout(PATIENCE, body.frame()).await;
        let frame = frame.map_err(|_| done.stopped(Code::Timeout, "the body stopped coming"))?;
        let Some(frame) = frame else { break };
        let frame = frame
            .map_err(|_| done.stopped(Code::InvalidRequest, "the body did not come to its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        lines.push(data);
        while let Some(line) = lines.next() {
            done.line(&api, &caller, line).await?;
        }
    }
    if let Some(line) = lines.rest() {
        done.line(&api, &caller, line).await?;
    }
    done.flush(&api, &caller).await?;
    Ok(Json(done.told))
}

/// A line: its bytes, or that it is too long.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Whole(Bytes),
    TooLong,
}

/// Cuts bytes into lines. Of a line that is too long nothing is kept.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line's end.
    searched: usize,
    /// The beginning of this line was dropped.
    too_long: bool,
}

impl Lines {
    fn push(&mut self, data: Bytes) {
        self.buffer.extend_from_slice(&data);
    }

    fn next(&mut self) -> Option<Line> {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let Some(found) = found else {
            self.searched = self.buffer.len();
            // One byte more than a job has, for a carriage return.
            if self.buffer.len() > MAX_JOB + 1 {
                self.too_long = true;
                self.buffer.clear();
                self.searched = 0;
            }
            return None;
        };
        let line = self.buffer.split_to(self.searched + found).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Some(self.line(line))
    }

    /// What follows the last line's end.
    fn rest(&mut self) -> Option<Line> {
        let line = self.buffer.split().freeze();
        (self.too_long || !line.is_empty()).then(|| self.line(line))
    }

    fn line(&mut self, line: Bytes) -> Line {
        let is_too_long = std::mem::take(&mut self.too_long) || line.len() > MAX_JOB + 1;
        if is_too_long { Line::TooLong } else { Line::Whole(line) }
    }
}

/// The jobs that wait to be enqueued, and what became of those before.
#[derive(Default)]
struct Progress {
    number: u64,
    /// Lines up to this one were taken or refused.
    settled: u64,
    waiting: Vec<Bytes>,
    numbers: Vec<u64>,
    bytes: usize,
    told: Bulk,
}

impl Progress {
    async fn line(&mut self, api: &Shared, caller: &Caller, line: Line) -> Answer<()> {
        self.number += 1;
        match line {
            Line::TooLong => {
                let detail = format!("a job has at most {MAX_JOB} bytes");
                self.refuse(self.number, Problem::new(Code::TooLarge, detail));
            }
            Line::Whole(line) if line.trim_ascii().is_empty() => {}
            Line::Whole(line) => {
                let (begin, end) =
                    (line.len() - line.trim_ascii_start().len(), line.trim_ascii_end().len());
                self.bytes += line.len();
                self.waiting.push(line.slice(begin..end));
                self.numbers.push(self.number);
            }
        }
        if self.waiting.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.flush(api, caller).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, api: &Shared, caller: &Caller) -> Answer<()> {
        let numbers = std::mem::take(&mut self.numbers);
        self.bytes = 0;
        let taken = take(api, caller, std::mem::take(&mut self.waiting), None).await;
        let taken = taken.map_err(|problem| self.stopped(problem.what(), problem.detail()))?;
        for (number, taken) in numbers.into_iter().zip(taken) {
            match taken {
                Ok(accepted) if accepted.duplicate => self.told.duplicates += 1,
                Ok(_) => self.told.accepted += 1,
                Err(problem) => self.refuse(number, problem),
            }
        }
        self.settled = self.number;
        Ok(())
    }

    fn refuse(&mut self, line: u64, problem: Problem) {
        self.told.rejected += 1;
        if self.told.errors.len() < MOST_TOLD {
            self.told.errors.push(RefusedLine { line, problem });
        }
    }

    /// Why it does not go on, and from where the caller has to.
    fn stopped(&self, what: Code, why: &str) -> Problem {
        let Bulk { accepted, duplicates, rejected, .. } = &self.told;
        Problem::new(
            what,
            format!(
                "{why}; up to line {} everything is settled ({accepted} accepted, {duplicates} \
                 duplicates, {rejected} rejected): send the lines after it again",
                self.settled
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Line> {
        let (mut lines, mut cut) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(Bytes::copy_from_slice(piece));
            while let Some(line) = lines.next() {
                cut.push(line);
            }
            assert!(lines.buffer.len() <= MAX_JOB + 1, "more than a line is kept");
        }
        cut.extend(lines.rest());
        cut
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_come() {
        let text = b"one\n\ntwo\r\nthree";
        let whole = cut(&[text]);
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[3], Line::Whole(Bytes::from_static(b"three")));
        for size in 1..text.len() {
            assert_eq!(cut(&text.chunks(size).collect::<Vec<_>>()), whole, "{size}");
        }
        assert_eq!(cut(&[b"one\n"]), [Line::Whole(Bytes::from_static(b"one"))]);
    }

    #[test]
    fn of_a_line_that_is_too_long_nothing_is_kept_and_the_next_is_whole() {
        let long = vec![b'x'; MAX_JOB + 2];
        for size in [1000, MAX_JOB / 2, MAX_JOB + 2] {
            let mut pieces: Vec<&[u8]> = long.chunks(size).collect();
            pieces.push(b"\nnext\n");
            let cut = cut(&pieces);
            assert_eq!(cut, [Line::TooLong, Line::Whole(Bytes::from_static(b"next"))], "{size}");
        }
        assert_eq!(cut(&[&long]), [Line::TooLong]);
        assert!(matches!(&cut(&[&long[2..]])[..], [Line::Whole(line)] if line.len() == MAX_JOB));
    }
}
