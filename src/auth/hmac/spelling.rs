//! Other spellings of the same body: what frameworks and proxies make of one.

use serde::de::IgnoredAny;

/// Bodies that this one may have been, each with what it is like.
pub fn others(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    if body.len() > MAX_BODY {
        return Vec::new();
    }
    let mut others = lines(body);
    if depth(body) <= MAX_DEPTH && serde_json::from_slice::<IgnoredAny>(body).is_ok() {
        for (how, style) in STYLES {
            let spaced = respaced(body, style);
            let ended = [spaced.as_slice(), b"\n"].concat();
            let unescaped = unescaped(&spaced);
            others.extend([(*how, spaced), (*how, ended), (*how, unescaped)]);
        }
    }
    others.retain(|(_, other)| other != body);
    others
}

/// Larger and deeper bodies are not spelled in other ways: indentation grows with the depth of each
/// line, and who sends the body chooses it.
const MAX_BODY: usize = 64 * 1024;
const MAX_DEPTH: usize = 64;

/// At most how deep a JSON text is nested; brackets in strings count too.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    for byte in json {
        match byte {
            b'{' | b'[' => now += 1,
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

fn lines(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let bare = body.trim_ascii_end();
    let one_line_end = "without the white space at its end";
    let unix: Vec<u8> = without_cr(body);
    let windows: Vec<u8> = unix
        .iter()
        .flat_map(|b| match b {
            b'\n' => b"\r\n".as_slice(),
            other => std::slice::from_ref(other),
        })
        .copied()
        .collect();
    vec![
        (one_line_end, bare.to_vec()),
        ("with a line feed at its end", [body, b"\n"].concat()),
        ("with a line feed at its end", [bare, b"\n"].concat()),
        ("with CR and LF at its end", [body, b"\r\n"].concat()),
        ("with CR and LF at its end", [bare, b"\r\n"].concat()),
        ("with LF for CR and LF", unix),
        ("with CR and LF for LF", windows),
        ("without white space around it", body.trim_ascii().to_vec()),
        ("without a byte order mark", body.strip_prefix(BOM).unwrap_or(body).to_vec()),
        ("with a byte order mark", [BOM, body].concat()),
        ("empty", Vec::new()),
    ]
}

const BOM: &[u8] = b"\xef\xbb\xbf";

fn without_cr(body: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(body.len());
    for (at, byte) in body.iter().enumerate() {
        if !(*byte == b'\r' && body.get(at + 1) == Some(&b'\n')) {
            kept.push(*byte);
        }
    }
    kept
}

/// White space of a JSON text.
struct Style {
    comma: &'static str,
    colon: &'static str,
    /// What each level is indented by; `None` for one line.
    indent: Option<&'static str>,
}

const STYLES: &[(&str, Style)] = &[
    ("as compact JSON", Style { comma: ",", colon: ":", indent: None }),
    ("as JSON on one line with spaces", Style { comma: ", ", colon: ": ", indent: None }),
    ("as JSON with a space after each colon", Style { comma: ",", colon: ": ", indent: None }),
    ("as JSON indented by two spaces", Style { comma: ",", colon: ": ", indent: Some("  ") }),
    ("as JSON indented by four spaces", Style { comma: ",", colon: ": ", indent: Some("    ") }),
    ("as JSON indented by tabs", Style { comma: ",", colon: ": ", indent: Some("\t") }),
];

/// The same JSON with other white space. Order, numbers and strings stay as they are spelled.
fn respaced(json: &[u8], style: &Style) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut at = 0;
    let line = |out: &mut Vec<u8>, depth: usize| {
        if let Some(indent) = style.indent {
            out.push(b'\n');
            out.extend(indent.repeat(depth).bytes());
        }
    };
    while let Some(byte) = json.get(at) {
        let end = at + token(&json[at..]);
        let was_open = matches!(out.last(), Some(b'{' | b'['));
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at = end;
                continue;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !was_open {
                    line(&mut out, depth);
                }
                out.push(*byte);
            }
            b',' => {
                out.extend(style.comma.bytes());
                line(&mut out, depth);
            }
            b':' => out.extend(style.colon.bytes()),
            _ => {
                if was_open {
                    line(&mut out, depth);
                }
                out.extend(&json[at..end]);
                depth += usize::from(matches!(byte, b'{' | b'['));
            }
        }
        at = end;
    }
    out
}

/// How long the token is that `json` begins with: a string, or one byte of anything else.
fn token(json: &[u8]) -> usize {
    if json.first() != Some(&b'"') {
        return 1;
    }
    let mut escaped = false;
    for (at, byte) in json.iter().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    json.len()
}

/// The same JSON with its strings spelled without escapes that are not needed (`\u00e9`, `\/`).
fn unescaped(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut at = 0;
    while at < json.len() {
        let end = at + token(&json[at..]);
        let text = &json[at..end];
        match serde_json::from_slice::<String>(text) {
            Ok(string) => out.extend(serde_json::Value::from(string).to_string().bytes()),
            Err(_) => out.extend(text),
        }
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_json_is_spelled_as_serialisers_do() {
        let compact = br#"{"b":[1.0,{}],"a":"x: y,\"","c":[]}"#;
        let spaced = br#"{"b": [1.0, {}], "a": "x: y,\"", "c": []}"#;
        let indented =
            b"{\n  \"b\": [\n    1.0,\n    {}\n  ],\n  \"a\": \"x: y,\\\"\",\n  \"c\": []\n}";
        let all: [&[u8]; 3] = [compact, spaced, indented];
        for one in all {
            let others = others(one);
            for other in all.into_iter().filter(|other| *other != one) {
                assert!(others.iter().any(|(_, body)| body == other), "{}", one.escape_ascii());
            }
        }
    }

    #[test]
    fn line_ends_and_escapes_are_tried() {
        let holds = |body: &[u8], other: &[u8]| others(body).iter().any(|(_, b)| b == other);
        assert!(holds(b"a\r\nb", b"a\nb") && holds(b"a\nb", b"a\r\nb"));
        assert!(holds(b"a", b"a\n") && holds(b"a\n", b"a"));
        assert!(holds(br#"["\u00e9\/"]"#, "[\"é/\"]".as_bytes()));
    }
}
