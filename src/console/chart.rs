//! Charts, drawn on the server. What they show is said in words beside them, for those who do not see
//! them.

use maud::{Markup, html};

use super::parts::number;

/// The size of the picture's own coordinates; it is stretched to the room that there is.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// Numbers of one kind over time, oldest first.
pub struct Series {
    /// What they are: its colour in the style, too.
    pub name: &'static str,
    /// The numbers.
    pub values: Vec<u64>,
}

/// Bars over time; the series stand on top of each other.
pub fn bars(title: &str, summary: &str, series: &[Series]) -> Markup {
    let count = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let at = |series: &Series, index: usize| series.values.get(index).copied().unwrap_or(0);
    let heights = (0..count).map(|index| series.iter().map(|series| at(series, index)).sum());
    let highest: u64 = heights.max().unwrap_or(0);
    let (room, unit) = (WIDTH / count.max(1) as f64, HEIGHT / highest.max(1) as f64);
    let mut drawn = Vec::new();
    for index in 0..count {
        let mut floor = HEIGHT;
        for series in series.iter().filter(|series| at(series, index) > 0) {
            let height = at(series, index) as f64 * unit;
            floor -= height;
            drawn.push((series.name, index as f64 * room, floor, height));
        }
    }
    let picture = html! {
        @for (name, x, y, height) in drawn {
            rect.(name) x=(round(x)) y=(round(y)) width=(round(room * 0.8)) height=(round(height)) {}
        }
    };
    let legend = html! {
        @if series.len() > 1 {
            ul.legend { @for series in series { li.(series.name) { (series.name) } } }
        }
    };
    figure(title, summary, &number(highest), &picture, &legend)
}

/// A line over time, with the room below it filled. Where nothing is known there is no line.
pub fn line(
    title: &str,
    summary: &str,
    values: &[Option<u64>],
    say: impl Fn(u64) -> String,
) -> Markup {
    let highest = values.iter().flatten().max().copied().unwrap_or(0);
    let (room, unit) =
        (WIDTH / values.len().saturating_sub(1).max(1) as f64, HEIGHT / highest.max(1) as f64);
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .filter_map(|(index, value)| {
            let (x, y) = (index as f64 * room, HEIGHT - (*value)? as f64 * unit);
            Some(format!("{},{}", round(x), round(y)))
        })
        .collect();
    let first = values.iter().position(Option::is_some).unwrap_or(0) as f64 * room;
    let last = values.iter().rposition(Option::is_some).unwrap_or(0) as f64 * room;
    let line = points.join(" ");
    let area = format!("{},{HEIGHT} {line} {},{HEIGHT}", round(first), round(last));
    let picture = html! {
        @if !points.is_empty() {
            polygon.area points=(area) {}
            polyline.line points=(line) {}
        }
    };
    figure(title, summary, &say(highest), &picture, &html! {})
}

fn figure(title: &str, summary: &str, highest: &str, picture: &Markup, legend: &Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { strong { (title) } (legend) }
            div.plot {
                span.highest { (highest) }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                    aria-label=(format!("{title}. {summary}")) { (picture) }
                div.axis aria-hidden="true" { span { "30 min ago" } span { "now" } }
            }
        }
    }
}

/// With one digit after the point: more is not seen.
fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_the_height_and_stand_on_each_other() {
        let series = [
            Series { name: "delivered", values: vec![3, 0] },
            Series { name: "failed", values: vec![1, 0] },
        ];
        let drawn = bars("Deliveries", "words", &series).0;
        assert!(drawn.contains(r#"y="30" width="240" height="90""#), "{drawn}");
        assert!(drawn.contains(r#"y="0" width="240" height="30""#), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 2, "nothing is drawn of nothing: {drawn}");
        assert!(drawn.contains("aria-label=\"Deliveries. words\""));
    }

    #[test]
    fn a_line_begins_where_something_is_known() {
        let drawn = line("Depth", "", &[None, Some(2), Some(4)], |n| n.to_string()).0;
        assert!(drawn.contains(r#"<polyline class="line" points="300,60 600,0">"#), "{drawn}");
        assert!(!line("Depth", "", &[None], |n| n.to_string()).0.contains("polyline"));
    }
}
