//! The report page in a real browser, where one is installed.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod browser;
mod made_up;

use browser::{Browser, Fallible, check_page, find};
use ltv_eval::page::page;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The browser, or a line that says why nothing is tested.
fn browser_or_skip() -> Option<PathBuf> {
    let found = find();
    if found.is_none() {
        eprintln!("skipped: no chromium, chromium-browser or google-chrome on the path");
    }
    found
}

fn shots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("report")
}

/// Writes a page beside its pictures.
fn written(name: &str, html: &str) -> PathBuf {
    let file = shots().join(format!("{name}.html"));
    fs::create_dir_all(shots()).unwrap();
    fs::write(&file, html).unwrap();
    file
}

#[test]
fn a_report_draws_everywhere_and_asks_for_nothing() -> Fallible<()> {
    let Some(program) = browser_or_skip() else {
        return Ok(());
    };
    let file = written("demo", &page(&made_up::demo()));
    assert_eq!(check_page(&program, &file, &shots(), "demo")?, 4 * 12 + 3);
    Ok(())
}

/// Points at the middle of each drawing, so that tooltips are made, and gives all their text.
const POINT: &str = "(() => [...document.querySelectorAll('.plot')].map(plot => {
    const box = plot.getBoundingClientRect();
    const target = plot.querySelector('svg').parentElement;
    const at = { clientX: box.left + box.width * 0.55, clientY: box.top + box.height * 0.45, bubbles: true };
    target.dispatchEvent(new MouseEvent('mousemove', at));
    return plot.innerText;
}).join('\\n'))()";

#[test]
fn hostile_names_stay_text() -> Fallible<()> {
    let Some(program) = browser_or_skip() else {
        return Ok(());
    };
    let file = written("hostile", &page(&made_up::hostile()));
    check_page(&program, &file, &shots(), "hostile")?;
    let mut browser = Browser::open(&program, &file)?;
    browser.look(1280, 900, "light")?;
    let tips = browser.value(POINT)?;
    assert!(
        tips.as_str().unwrap().contains("<img src=x"),
        "no tooltip names a set: {tips}"
    );
    assert_eq!(browser.value("typeof window.broken")?, json!("undefined"));
    assert_eq!(
        browser.value("document.querySelectorAll('img, i').length")?,
        json!(0)
    );
    assert_eq!(browser.problems(), Vec::<String>::new());
    Ok(())
}
