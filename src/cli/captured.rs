//! Reads a captured HTTP/1.1 request: request line, headers, an empty line, and the body to the end.

use anyhow::{Context, bail};
use url::Url;

use crate::auth::verify::Captured;
use crate::domain::endpoint::Method;

/// Most headers that are read.
const MAX_HEADERS: usize = 256;

/// Reads a request. Its URL is `url`, or made of its request line and its `Host`.
///
/// # Errors
/// If it is not an HTTP/1.1 request.
pub fn read(bytes: &[u8], url: Option<&Url>) -> anyhow::Result<Captured> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes).context(
        "this is not an HTTP/1.1 request: expected a request line such as `POST /hook HTTP/1.1`, \
         headers, an empty line and the body",
    )?;
    let httparse::Status::Complete(head) = parsed else {
        bail!("there is no empty line after the headers");
    };
    let method: Method =
        request.method.unwrap_or_default().parse().context("in the request line")?;
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
    };
    let headers: Vec<(String, String)> = request.headers.iter().map(text).collect();
    let mut captured = Captured {
        method,
        url: match url {
            Some(url) => url.clone(),
            None => whole_url(request.path.unwrap_or_default(), &headers)?,
        },
        headers,
        body: bytes[head..].to_vec().into(),
    };
    if captured.all("transfer-encoding").next().is_some() {
        bail!(
            "its body is chunked: replace it by the body as the receiver's program sees it, and remove the header Transfer-Encoding"
        );
    }
    let length = captured.all("content-length").next().and_then(|text| text.parse::<usize>().ok());
    // Editors end a file with a line break that was not sent.
    if let Some(length) = length.filter(|length| *length < captured.body.len()) {
        let surplus = &captured.body[length..];
        if surplus.iter().all(u8::is_ascii_whitespace) {
            captured.body.truncate(length);
        }
    }
    if let Some(length) = length.filter(|length| *length != captured.body.len()) {
        bail!("its Content-Length is {length}, and its body has {} bytes", captured.body.len());
    }
    Ok(captured)
}

fn whole_url(target: &str, headers: &[(String, String)]) -> anyhow::Result<Url> {
    if target.starts_with("http://") || target.starts_with("https://") {
        return target.parse().context("in the request line");
    }
    let host = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (_, host) = host.context("there is no header Host: give the whole URL with --url")?;
    let url = format!("https://{}{target}", host.trim());
    url.parse().with_context(|| format!("{url} is not a URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_byte_for_byte() {
        let request =
            b"POST /in?x=1 HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\nx-a: 2\r\n\r\n{ }\r\n";
        let captured = read(request, None).unwrap();
        assert_eq!(captured.url.as_str(), "https://a.example/in?x=1");
        assert_eq!(captured.all("X-a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(&captured.body[..], b"{ }\r\n");
        assert!(captured.one("x-a").is_err());
    }

    #[test]
    fn the_line_break_that_an_editor_adds_is_not_part_of_the_body() {
        let request = |length| format!("PUT / HTTP/1.1\nhost: a\ncontent-length: {length}\n\nab\n");
        assert_eq!(&read(request(2).as_bytes(), None).unwrap().body[..], b"ab");
        assert_eq!(&read(request(3).as_bytes(), None).unwrap().body[..], b"ab\n");
        assert!(read(request(1).as_bytes(), None).is_err());
        assert!(read(request(4).as_bytes(), None).is_err());
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for bytes in [
            "",
            "hello",
            "POST / HTTP/1.1\r\nhost: a\r\n",
            "POST /x HTTP/1.1\r\n\r\n",
            "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert!(read(bytes.as_bytes(), None).is_err(), "{bytes:?}");
        }
    }
}
