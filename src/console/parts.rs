//! What pages are put together from. Whatever is written into them is escaped.

use std::fmt::Display;
use std::time::Duration;

use maud::{Markup, PreEscaped, html};

use super::form::{CSRF, Fields};
use super::session::Session;
use crate::api::problem::Problem;
use crate::domain::delivery_record::DeliveryStatus;
use crate::domain::endpoint::Health;
use crate::domain::outcome::{AttemptOutcome, Phase};
use crate::domain::timestamp::Timestamp;

/// How good a thing is. It is said in words, too: never by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Broken.
    Bad,
    /// Neither.
    Plain,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

/// A state in one or two words.
pub fn badge(tone: Tone, text: impl Display) -> Markup {
    html! { span.badge.(tone.class()) { (text.to_string()) } }
}

/// The heading of a page, with what can be done there.
pub fn heading(title: &str, hint: Option<&str>, actions: Markup) -> Markup {
    html! {
        div.heading {
            div {
                h1 { (title) }
                @if let Some(hint) = hint { p.muted { (hint) } }
            }
            div.actions { (actions) }
        }
    }
}

/// What stands where there is nothing yet.
pub fn empty(title: &str, hint: &str, action: Markup) -> Markup {
    html! { div.empty { p.title { (title) } p { (hint) } (action) } }
}

/// A time, as people say it, with the exact one behind it.
pub fn time(now: Timestamp, at: Timestamp) -> Markup {
    html! { time datetime=(at.to_string()) title=(exact(at)) { (relative(now, at)) } }
}

/// `2026-11-23 10:00:00 UTC`.
pub fn exact(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, rest) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", rest.get(..8).unwrap_or(rest))
}

fn relative(now: Timestamp, at: Timestamp) -> String {
    // What happened while the page was made is not ahead.
    let is_ahead = at > now.plus(Duration::from_secs(1));
    if is_ahead { format!("in {}", span(at.since(now))) } else { ago(now.since(at)) }
}

fn ago(length: Duration) -> String {
    if length.as_secs() < 2 { "just now".to_owned() } else { format!("{} ago", span(length)) }
}

/// A length of time in its largest unit, rounded down.
pub fn span(length: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = length.as_secs();
    let found = UNITS.iter().find(|(size, _)| seconds >= *size);
    found.map_or_else(|| "0 s".to_owned(), |(size, name)| format!("{} {name}", seconds / size))
}

/// A number in groups of three digits.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Bytes, as people say it.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// A text that begins with a capital and ends with a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// How an endpoint is.
pub fn health(enabled: bool, health: &Health) -> Markup {
    match health {
        _ if !enabled => badge(Tone::Plain, "disabled"),
        Health::Active => badge(Tone::Good, "active"),
        Health::Paused { .. } => badge(Tone::Warn, "paused"),
        Health::Deauthorized { .. } => badge(Tone::Bad, "deauthorized"),
        Health::Disabled { .. } => badge(Tone::Bad, "disabled"),
    }
}

/// Where a delivery stands.
pub fn status(status: DeliveryStatus) -> Markup {
    match status {
        DeliveryStatus::Delivered => badge(Tone::Good, "delivered"),
        DeliveryStatus::Retrying => badge(Tone::Warn, "retrying"),
        DeliveryStatus::DeadLetter => badge(Tone::Bad, "dead letter"),
    }
}

/// What an attempt gave, in words.
pub fn outcome(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Answered { status, .. } => format!("HTTP {status}"),
        AttemptOutcome::Failed { phase } => phase_in_words(*phase).to_owned(),
    }
}

fn phase_in_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Dns => "the name has no address",
        Phase::Blocked => "the address may not be called",
        Phase::Connect => "connection refused",
        Phase::ConnectTimeout => "no connection in time",
        Phase::Tls => "TLS handshake failed",
        Phase::TlsTimeout => "no TLS in time",
        Phase::BeforeWrite => "broke before sending",
        Phase::AfterWrite => "broke before an answer",
        Phase::ResponseTimeout => "no answer in time",
        Phase::Response => "the answer is not HTTP",
    }
}

/// A button that changes something.
pub fn post(session: &Session, action: &str, class: &str, label: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (token(session))
            button.(class) type="submit" { (label) }
        }
    }
}

/// Something that cannot be taken back: it opens, says what happens, and then has its button.
pub fn danger(session: &Session, action: &str, label: &str, what_happens: &str) -> Markup {
    html! {
        details.danger {
            summary { (label) "…" }
            form method="post" action=(action) {
                (token(session))
                p { (what_happens) }
                button.bad type="submit" { (label) }
            }
        }
    }
}

/// The hidden field that every form carries.
pub fn token(session: &Session) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(session.csrf); }
}

/// The link to the next page of a list.
pub fn more(path: &str, fields: &Fields, names: &[&str], cursor: Option<&str>) -> Markup {
    let Some(cursor) = cursor else { return html! {} };
    let mut query = fields.query(names);
    if !query.is_empty() {
        query.push('&');
    }
    html! { p.more { a.button href=(format!("{path}?{query}cursor={cursor}")) { "Next page" } } }
}

/// What is wrong with a form as a whole, and with fields that it does not show.
pub fn problem(problem: Option<&Problem>, shown: &[&str]) -> Markup {
    let Some(problem) = problem else { return html! {} };
    let hidden: Vec<_> = problem.fields().filter(|(path, _)| !is_shown(path, shown)).collect();
    let has_fields = problem.fields().next().is_some();
    html! {
        div.problem role="alert" tabindex="-1" autofocus {
            @if has_fields && hidden.is_empty() {
                p { strong { "Not saved." } " See the field that is marked below." }
            } @else if hidden.is_empty() {
                p { strong { "Not saved." } " " (sentence(problem.detail())) }
            } @else {
                p { strong { "Not saved." } }
                @for (path, what) in hidden {
                    p { @if !path.is_empty() { code { (path) } ": " } (what) }
                }
            }
        }
    }
}

fn is_shown(path: &str, shown: &[&str]) -> bool {
    shown.iter().any(|name| belongs(path, name))
}

/// Whether a path leads to a field or into it: `limits.rate`, `auth[0].secret`.
fn belongs(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A field of a form.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// Its name in the form, which is the path of the API's field.
    pub name: &'a str,
    /// What people call it.
    pub label: &'a str,
    /// What may stand there.
    pub hint: &'a str,
    /// Whether it has to be filled in.
    pub required: bool,
}

impl Field<'_> {
    /// The field around its `control`, which has to have the id `f-NAME`.
    fn around(
        &self,
        problem: Option<&Problem>,
        control: impl Fn(Option<String>) -> Markup,
    ) -> Markup {
        let wrong: Vec<String> = problem
            .into_iter()
            .flat_map(Problem::fields)
            .filter(|(path, _)| belongs(path, self.name))
            .map(
                |(path, what)| {
                    if path == self.name { what.to_owned() } else { format!("{path}: {what}") }
                },
            )
            .collect();
        let (hint_id, wrong_id) = (format!("h-{}", self.name), format!("e-{}", self.name));
        let mut described = Vec::new();
        if !self.hint.is_empty() {
            described.push(hint_id.as_str());
        }
        if !wrong.is_empty() {
            described.push(wrong_id.as_str());
        }
        let described = (!described.is_empty()).then(|| described.join(" "));
        html! {
            div.field.wrong[!wrong.is_empty()] {
                label for=(self.id()) {
                    (self.label) @if !self.required { span.optional { " optional" } }
                }
                (control(described))
                @if !self.hint.is_empty() { p.hint id=(hint_id) { (self.hint) } }
                @if !wrong.is_empty() {
                    p.error id=(wrong_id) { @for text in &wrong { span { (sentence(text)) } } }
                }
            }
        }
    }

    fn id(&self) -> String {
        format!("f-{}", self.name)
    }

    fn is_wrong(&self, problem: Option<&Problem>) -> Option<&'static str> {
        let mut wrong = problem.into_iter().flat_map(Problem::fields);
        wrong.any(|(path, _)| belongs(path, self.name)).then_some("true")
    }

    /// One line.
    pub fn line(&self, kind: &str, entered: &Fields, problem: Option<&Problem>) -> Markup {
        // What is secret is typed anew: it is written into no page.
        let is_secret = kind == "password";
        let value = if is_secret { "" } else { entered.get(self.name) };
        self.around(problem, |described| {
            html! {
                input id=(self.id()) name=(self.name) type=(kind) value=(value)
                    required[self.required] autocomplete=(if is_secret { "new-password" } else { "off" })
                    spellcheck="false" aria-describedby=[described]
                    aria-invalid=[self.is_wrong(problem)];
            }
        })
    }

    /// Several lines.
    pub fn lines(&self, rows: u8, entered: &Fields, problem: Option<&Problem>) -> Markup {
        self.around(problem, |described| {
            html! {
                textarea id=(self.id()) name=(self.name) rows=(rows) required[self.required]
                    spellcheck="false" aria-describedby=[described]
                    aria-invalid=[self.is_wrong(problem)] {
                    (PreEscaped("\n")) (entered.get(self.name))
                }
            }
        })
    }

    /// One of several, each with its value and what people call it.
    pub fn choice(
        &self,
        choices: &[(String, String)],
        entered: &Fields,
        problem: Option<&Problem>,
    ) -> Markup {
        let chosen = entered.get(self.name);
        self.around(problem, |described| {
            html! {
                select id=(self.id()) name=(self.name) aria-describedby=[described]
                    aria-invalid=[self.is_wrong(problem)] {
                    @for (value, label) in choices {
                        option value=(value) selected[value == chosen] { (label) }
                    }
                }
            }
        })
    }
}

/// Choices of words that stand for themselves, with one before them for all.
pub fn choices<T: Display>(
    all: &str,
    values: impl IntoIterator<Item = T>,
) -> Vec<(String, String)> {
    let values = values.into_iter().map(|value| value.to_string());
    let values = values.map(|value| (value.clone(), value.replace('_', " ")));
    std::iter::once((String::new(), all.to_owned())).chain(values).collect()
}

/// A value that can be copied with one press, where scripts run.
pub fn copyable(id: &str, value: &str) -> Markup {
    html! {
        div.copyable {
            code id=(id) { (value) }
            button.quiet type="button" data-copy=(id) hidden { "Copy" }
        }
    }
}

/// The sign of the house.
pub fn seal() -> Markup {
    html! {
        svg.seal viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            path d="M12 1.5l2.6 1.9 3.2-.1.9 3.1 2.6 1.9-1.1 3 1.1 3-2.6 1.9-.9 3.1-3.2-.1L12 21.1l-2.6-1.9-3.2.1-.9-3.1-2.6-1.9 1.1-3-1.1-3 2.6-1.9.9-3.1 3.2.1z" {}
            path.mark d="M7.6 8.4h8.8v6.2H7.6zM7.6 8.6l4.4 3.4 4.4-3.4" {}
        }
    }
}

/// What was done, after a form was sent: said by its name alone, so that a link can say nothing else.
pub fn note(name: &str) -> Markup {
    let text = match name {
        "registered" => "The endpoint is registered.",
        "saved" => "Saved.",
        "paused" => "Deliveries wait.",
        "enabled" => "Deliveries go on.",
        "disabled" => "The endpoint is disabled.",
        "removed" => "Removed.",
        "stored" => "The value is stored. It is never shown.",
        "rotated" => "The new value is in use.",
        "rolled-back" => "The older value is in use again.",
        "replayed" => "Sent again: it is a dead letter no more.",
        "sent-again" => "It is sent again, as its next round.",
        "key-made" => {
            "The tenant key is made. Workers that had found none notice it within cache.soft."
        }
        "key-shredded" => "The tenant key is shredded.",
        "revoked" => "Revoked.",
        _ => return html! {},
    };
    html! { div.note role="status" { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them_and_exactly() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let said = |text: &str| relative(now, text.parse().unwrap());
        assert_eq!(said("2026-11-23T10:00:00Z"), "just now");
        assert_eq!(said("2026-11-23T10:00:00.5Z"), "just now");
        assert_eq!(said("2026-11-23T09:59:15Z"), "45 s ago");
        assert_eq!(said("2026-11-23T08:30:00Z"), "1 h ago");
        assert_eq!(said("2026-11-20T08:30:00Z"), "3 d ago");
        assert_eq!(said("2026-11-23T10:05:30Z"), "in 5 min");
        assert_eq!(exact(now), "2026-11-23 10:00:00 UTC");
    }

    #[test]
    fn numbers_are_grouped() {
        let grouped = [0, 12, 999, 1_000, 123_456, 1_234_567].map(number);
        assert_eq!(grouped, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!((bytes(999), bytes(2_500)), ("999 B".to_owned(), "2.5 kB".to_owned()));
    }

    #[test]
    fn what_is_wrong_stands_at_its_field() {
        assert!(belongs("auth[0].secret", "auth") && belongs("limits.rate", "limits.rate"));
        assert!(!belongs("authority", "auth") && !belongs("limits", "limits.rate"));
    }

    #[test]
    fn whatever_is_written_is_escaped_in_text_and_in_attributes() {
        let mut fields = Fields::default();
        fields.set("url", "\"><script>alert(1)</script>'&");
        let field = Field { name: "url", label: "URL", hint: "<b>", required: true };
        let html = field.line("url", &fields, None).0 + &field.lines(3, &fields, None).0;
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        assert_eq!(html.matches("&quot;&gt;&lt;script&gt;").count(), 2, "{html}");
        assert!(
            !field.line("password", &fields, None).0.contains("alert"),
            "secrets are not repeated"
        );
    }
}
