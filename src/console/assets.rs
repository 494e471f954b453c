//! The files that pages load: one style, one script, one picture. They are part of the program.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Pages;

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// What they are served as.
pub fn router() -> Router<Pages> {
    Router::new()
        .route("/console/assets/console.css", get(|| file("text/css; charset=utf-8", STYLE)))
        .route("/console/assets/console.js", get(|| file("text/javascript; charset=utf-8", SCRIPT)))
        .route("/console/assets/icon.svg", get(|| file("image/svg+xml", ICON)))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    // They change with the program alone; a minute keeps a page from mixing two versions for long.
    let cache = (CACHE_CONTROL, "public, max-age=60");
    ([(CONTENT_TYPE, kind), cache, (X_CONTENT_TYPE_OPTIONS, "nosniff")], text)
}
