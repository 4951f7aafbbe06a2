//! Files of the pages: the console and the description of the interface. They are in the program, and need nothing
//! but this server.

use crate::problem::{Kind, Problem};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A page gets nothing from elsewhere and sends nothing there, runs only scripts of this server, makes no markup of
/// text, and nobody may put it into a page of their own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The path of a file, what it is, and its text.
macro_rules! asset {
    ($path:literal, $kind:expr, $file:literal) => {
        ($path, $kind, include_str!(concat!("../assets/", $file)))
    };
}

const FILES: [(&str, &str, &str); 10] = [
    asset!("/", HTML, "console/index.html"),
    asset!("/console/console.css", CSS, "console/console.css"),
    asset!("/console/console.js", SCRIPT, "console/console.js"),
    asset!("/console/figures.js", SCRIPT, "console/figures.js"),
    asset!("/console/charts.js", SCRIPT, "console/charts.js"),
    asset!("/console/words.js", SCRIPT, "console/words.js"),
    asset!("/console/icon.svg", SVG, "console/icon.svg"),
    asset!("/docs", HTML, "index.html"),
    asset!("/docs/page.js", SCRIPT, "page.js"),
    asset!("/docs/page.css", CSS, "page.css"),
];

/// A file, by its path; nothing but that it is the same to whoever has it.
pub(crate) async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let Some((_, kind, text)) = FILES.iter().find(|(path, ..)| *path == uri.path()) else {
        let detail = "GET / is the console, GET /docs says what there is";
        return Problem::new(Kind::NoRoute, detail).into_response();
    };
    let tag = format!("\"{}\"", &blake3::hash(text.as_bytes()).to_hex()[..16]);
    let mut response = match known(&headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::new(Body::from(*text)),
    };
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, kind);
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    // A new program may have other files: browsers ask whether theirs are still those.
    set(header::CACHE_CONTROL, "no-cache");
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Whether whoever asks has the file with this tag.
fn known(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    let tags = lists.filter_map(|list| list.to_str().ok());
    let mut tags = tags.flat_map(|list| list.split(','));
    tags.any(|known| matches!(known.trim(), known if known == "*" || known.trim_start_matches("W/") == tag))
}
