//! Pages: a list comes in pieces, each with the cursor of the next.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Answer, Code, Problem};
use crate::domain::field::FieldError;

/// Most items of a page.
pub const MOST: usize = 250;
/// Items of a page where nobody says.
pub const USUAL: usize = 50;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// What to ask the next page with; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// How many items are asked for.
///
/// # Errors
/// If it is none, or more than a page has.
pub fn limit(limit: Option<usize>) -> Answer<usize> {
    match limit.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        _ => {
            let error = FieldError::new("limit", format!("expected 1 to {MOST}"));
            Err(Problem::field(Code::InvalidRequest, &error))
        }
    }
}

/// The id after which a page begins.
///
/// # Errors
/// If the cursor is none of ours.
pub fn after(cursor: Option<&str>) -> Answer<Option<String>> {
    let Some(cursor) = cursor else { return Ok(None) };
    let id = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    match id.and_then(|id| String::from_utf8(id).ok()) {
        Some(id) if !id.is_empty() => Ok(Some(id)),
        Some(_) | None => Err(no_cursor()),
    }
}

/// What was given as a cursor is none of ours.
pub fn no_cursor() -> Problem {
    let error = FieldError::new("cursor", "expected the nextCursor of the page before");
    Problem::field(Code::InvalidRequest, &error)
}

impl<T> Page<T> {
    /// A page of which the store says where the next begins.
    pub fn up_to(data: Vec<T>, next: Option<String>) -> Self {
        let next_cursor = next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next));
        Self { data, next_cursor }
    }

    /// A page of at most `limit` items, out of one more than that where there are more; `id` names
    /// an item.
    pub fn of(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| BASE64_URL_SAFE_NO_PAD.encode(id(last)));
        Self { data: items, next_cursor }
    }
}

/// Which page of a list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most items of the page: 1 to 250, by default 50.
    #[param(minimum = 1, maximum = 250)]
    pub limit: Option<usize>,
    /// The `nextCursor` of the page before.
    pub cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_item_once_and_the_last_has_no_cursor() {
        let all: Vec<String> = (0..7).map(|n| format!("item-{n}")).collect();
        for size in 1..=8 {
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let begin = after(cursor.as_deref()).unwrap();
                let rest = all.iter().filter(|id| begin.as_ref().is_none_or(|after| *id > after));
                let page = Page::of(rest.take(size + 1).cloned().collect(), size, String::clone);
                seen.extend(page.data);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "{size} a page");
        }
    }

    #[test]
    fn a_limit_out_of_range_and_a_cursor_of_others_are_refused() {
        assert!(limit(Some(0)).is_err() && limit(Some(251)).is_err());
        assert_eq!((limit(None).unwrap(), limit(Some(250)).unwrap()), (50, 250));
        for bad in ["", "é", "_w", "a b"] {
            assert!(after(Some(bad)).is_err(), "{bad}");
        }
    }
}
