//! A report as one page of HTML that opens offline.
//!
//! [`page`] makes the page of a [`ReportInput`], which is plain data:
//! [`ReportInput::from_evaluation`] fills what an evaluation holds, the caller adds the rest. The page
//! asks for nothing from anywhere and says so to the browser (`Content-Security-Policy`). The same
//! input gives the same bytes.
//!
//! | file | holds |
//! |---|---|
//! | `input`, `input_horizon` | what a report is made from |
//! | `from_evaluation` | filling it from an evaluation |
//! | `build` | sections in order |
//! | `chart`, `charts/` | options of Apache ECharts, one file for each chart (decision 0015) |
//! | `table`, `metrics`, `glossary` | tables and words |
//! | `palette`, `format` | colours; numbers for people, escaping |
//! | `page.css`, `page.js` | looks; drawing, themes, printing |
//!
//! Every chart has a title, a sentence with its numbers, and a table of what it draws, so that the
//! page can be read without seeing it, and without scripts.

mod build;
mod chart;
mod charts;
mod format;
mod from_evaluation;
mod glossary;
mod input;
mod input_horizon;
mod metrics;
mod palette;
mod table;

pub use input::*;
pub use table::{Cell, Emphasis, Table};

use build::Body;
use format::{escape, script_json};
use palette::Palette;
use std::fmt::Write;

const ECHARTS: &str = include_str!("../../assets/echarts/echarts.min.js");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Nothing is fetched: styles and scripts are those in the page, images only in `data:` form.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// The page of a report.
pub fn page(input: &ReportInput) -> String {
    let palette = Palette::new(set_names(input).into_iter());
    let body = build::body(input, &palette);
    let mut out = String::with_capacity(ECHARTS.len() + 200_000);
    head(&mut out, input);
    top(&mut out, input, &body);
    let _ = write!(out, "<main>\n{}</main>\n", body.html);
    scripts(&mut out, body);
    out
}

fn head(out: &mut String, input: &ReportInput) {
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"generator\" content=\"ltv\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>{}</title>\n<style>\n{}{STYLE}</style>\n</head>\n",
        escape(&input.title),
        palette::css()
    );
}

fn top(out: &mut String, input: &ReportInput, body: &Body) {
    let links: String = body
        .links
        .iter()
        .map(|(id, name)| format!("<a href=\"#{id}\">{}</a>", escape(name)))
        .collect();
    let subtitle = match input.subtitle.as_str() {
        "" => String::new(),
        text => format!("<p class=\"subtitle\">{}</p>", escape(text)),
    };
    let _ = write!(
        out,
        "<body>\n<a class=\"skip\" href=\"#content\">Skip to the content</a>\n<header><div \
         class=\"title\"><h1>{}</h1>\n<button type=\"button\" id=\"theme\" hidden>Dark</button></div>\n\
         {subtitle}{}</header>\n<nav aria-label=\"Sections\"><div>{links}</div></nav>\n\
         <noscript><p class=\"note\">Charts need scripts. Their numbers stand in the tables below \
         them.</p></noscript>\n<span id=\"content\"></span>",
        escape(&input.title),
        build::facts(&input.facts)
    );
}

fn scripts(out: &mut String, body: Body) {
    let options: serde_json::Map<String, serde_json::Value> = body.options.into_iter().collect();
    let options = script_json(&serde_json::Value::Object(options));
    let _ = write!(
        out,
        "<script type=\"application/json\" id=\"options\">{options}</script>\n\
         <script>{ECHARTS}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
}

/// Names of sets in the order that decides their colours.
fn set_names(input: &ReportInput) -> Vec<&str> {
    let mut names: Vec<&str> = input.sets.iter().map(String::as_str).collect();
    for part in &input.horizons {
        names.extend(
            part.dots
                .iter()
                .flat_map(|d| &d.rows)
                .map(|row| row.set.as_str()),
        );
        names.extend(
            part.scores
                .given()
                .into_iter()
                .flatten()
                .map(|s| s.set.as_str()),
        );
        names.extend(
            part.curves
                .given()
                .into_iter()
                .flatten()
                .map(|s| s.set.as_str()),
        );
        names.extend(
            part.deciles
                .given()
                .into_iter()
                .flatten()
                .map(|s| s.set.as_str()),
        );
        names.extend(
            part.quantiles
                .given()
                .into_iter()
                .flatten()
                .map(|s| s.set.as_str()),
        );
        let groups = part
            .totals
            .given()
            .into_iter()
            .flatten()
            .flat_map(|t| &t.groups);
        names.extend(groups.flat_map(|g| &g.predicted).map(|p| p.set.as_str()));
    }
    let lines = input.sections.iter().flat_map(|s| &s.lines);
    let curves = lines.flat_map(|l| &l.curves);
    names.extend(curves.map(|curve| curve.set.as_str()));
    if let Some(comparison) = input.comparison.given() {
        let rows = comparison.dots.iter().flat_map(|d| &d.rows);
        names.extend(rows.map(|row| row.set.as_str()));
        let curves = comparison.curves.iter().flat_map(|c| &c.curves);
        names.extend(curves.map(|curve| curve.set.as_str()));
    }
    names.extend(
        input
            .order
            .given()
            .into_iter()
            .flatten()
            .map(|s| s.set.as_str()),
    );
    names.extend(
        input
            .training
            .given()
            .into_iter()
            .flatten()
            .map(|r| r.set.as_str()),
    );
    names
}
