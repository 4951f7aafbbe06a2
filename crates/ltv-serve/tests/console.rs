//! What the console asks for, and the console itself in a real browser, where one is installed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../ltv-eval/tests/browser/mod.rs"]
mod browser;
mod support;

use browser::{Browser, Fallible, OVERFLOW};
use ltv_serve::{Fallback, tokens};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc};
use support::{Gated, MODEL, Running, Shop, config, until};

/// Numbers that follow from `number` by hand: users 0, 10, ... 90 in the first version.
const FIRST: [i64; 10] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90];

async fn overview(server: &Running) -> Value {
    server.get("/v1/overview").await.ok()
}

fn close(value: &Value, expected: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() < 1e-9 * expected.abs().max(1.0)
}

#[tokio::test]
async fn the_overview_says_what_is_live_and_was_before() {
    let shop = Shop::new();
    let server = Running::of(shop.store.clone());
    let empty = overview(&server).await;
    assert!(empty.get("live").is_none() && empty.get("before").is_none());
    assert_eq!(
        empty["server"]["store"],
        shop.folder.path().join("store").to_str().unwrap()
    );
    let first = shop.put("2024-04-01", &FIRST, 1.0);
    let one = overview(&server).await;
    assert!(one.get("before").is_none() && one["shift"] == json!([]));
    let live = &one["live"];
    assert_eq!(
        (&live["version"], &live["model_id"]),
        (&json!(first), &json!(MODEL))
    );
    assert_eq!(
        (&live["rows"], &live["as_of"]),
        (&json!(10), &json!("2024-04-01"))
    );
    assert!(live["age_seconds"].as_u64() < one["old_seconds"].as_u64());
    let spread = &live["horizons"][0];
    assert!(close(&spread["mean"], 45.0) && spread["days"] == 30);
    assert_eq!(
        (&spread["zeros"], &spread["largest"]),
        (&json!(1), &json!(90.0))
    );
    let users: u64 = spread["counts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(users, 9);
    let statuses = json!([{"status": "active", "rows": 10, "means": [45.0, 50.0]}]);
    assert_eq!(live["statuses"], statuses);
    // Everybody is worth three times as much, and one is new.
    let ids = [&FIRST[..], &[5]].concat();
    let second = shop.put("2024-04-02", &ids, 3.0);
    let two = overview(&server).await;
    assert_eq!(
        (&two["live"]["version"], &two["before"]["version"]),
        (&json!(second), &json!(first))
    );
    assert!(close(
        &two["live"]["horizons"][0]["mean"],
        455.0 * 3.0 / 11.0
    ));
    assert_eq!(two["before"]["horizons"], live["horizons"]);
    assert_eq!(
        (&two["shift"][0]["days"], &two["shift"][0]["reading"]),
        (&json!(30), &json!("changed"))
    );
}

#[tokio::test]
async fn the_overview_counts_what_is_asked() {
    let shop = Shop::with(&[2]);
    let server = Running::of(shop.store.clone());
    for path in ["/v1/ltv/2", "/v1/ltv/2", "/v1/ltv/3", "/nowhere"] {
        server.get(path).await;
    }
    let seen = overview(&server).await;
    let state = &seen["server"];
    assert_eq!(
        (&state["found"], &state["unknown"], &state["running"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let routes = seen["traffic"]["routes"].as_array().unwrap();
    let asked: Vec<(&str, u64)> = routes
        .iter()
        .map(|of| {
            let (recent, total) = (&of["recent"], &of["total"]);
            assert_eq!(recent["requests"], total["requests"]);
            assert!(total["p50"].as_f64() <= total["p99"].as_f64());
            (
                of["route"].as_str().unwrap(),
                total["requests"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(asked, [("/v1/ltv/{user_id}", 3), ("other", 1)]);
}

/// A store that fails hides nothing of what is known.
#[tokio::test]
async fn the_overview_of_a_store_that_fails() {
    let shop = Shop::with(&[2]);
    let version = shop.put("2024-04-02", &[2], 2.0);
    let gated = Gated::new(shop.store.clone());
    let server = Running::of(gated.clone());
    assert!(
        overview(&server).await["server"]
            .get("failing_seconds")
            .is_none()
    );
    *gated.failing.lock().unwrap() = Some("the disk is gone".into());
    until(|| server.log.has("the disk is gone")).await;
    let reply = server.get("/v1/overview").await;
    let seen = reply.ok();
    assert!(seen["server"]["failing_seconds"].is_u64() && seen["before_unreadable"] == true);
    assert_eq!(seen["live"]["version"], version);
    assert!(!reply.text().contains("disk"));
    *gated.failing.lock().unwrap() = None;
    until(|| server.log.has("can be read again")).await;
    assert_eq!(overview(&server).await["before_unreadable"], false);
}

#[tokio::test]
async fn a_user_beside_the_version_before() {
    let shop = Shop::with(&[1, 2, 3]);
    let server = Running::of(shop.store.clone());
    let only = server.get("/v1/ltv/1/movement").await.ok();
    assert!(only.get("before").is_none());
    assert_eq!(only["live"], server.get("/v1/ltv/1").await.ok());
    shop.put("2024-04-02", &[2, 3, 4], 5.0);
    let both = server.get("/v1/ltv/2/movement").await.ok();
    assert_eq!(
        (&both["live"]["as_of"], &both["before"]["as_of"]),
        (&json!("2024-04-02"), &json!("2024-04-01"))
    );
    let value = |side: &str| both[side]["horizons"][1]["ltv"].clone();
    assert_eq!((value("live"), value("before")), (json!(15.0), json!(7.0)));
    for (id, now, before) in [(1, false, true), (4, true, false)] {
        let moved = server.get(&format!("/v1/ltv/{id}/movement")).await.ok();
        assert_eq!(
            (&moved["live"]["found"], &moved["before"]["found"]),
            (&json!(now), &json!(before))
        );
    }
    assert_eq!(
        server.get("/v1/ltv/9/movement").await.problem(404).0,
        "unknown-user"
    );
    assert_eq!(
        server.get("/v1/ltv/x/movement").await.problem(400).0,
        "bad-request"
    );
    let mut config = config();
    config.fallback = Fallback::Mean;
    let kind = Running::with(config, shop.store.clone(), None);
    let mean = kind.get("/v1/ltv/9/movement").await.ok();
    assert_eq!(
        (&mean["live"]["found"], &mean["live"]["fallback"]),
        (&json!(false), &json!("mean"))
    );
    // Ids of another kind have no before.
    shop.put_texts("2024-04-03", &[1, 2]);
    let texts = server.get("/v1/ltv/u1/movement").await.ok();
    assert!(texts["live"]["found"] == true && texts.get("before").is_none());
}

#[tokio::test]
async fn files_are_sent_to_those_who_lack_them() {
    let shop = Shop::new();
    let server = Running::of(shop.store.clone());
    for path in ["/", "/console/console.css", "/docs"] {
        let whole = server.get(path).await;
        let tag = whole.header("etag").to_owned();
        assert!(
            tag.len() == 18 && whole.header("cache-control") == "no-cache",
            "{tag}"
        );
        for (tags, status) in [
            (&*tag, 304),
            ("*", 304),
            ("\"a\", \"b\"", 200),
            (&format!("\"a\", W/{tag}"), 304),
        ] {
            let reply = server
                .ask("GET", path, &[("if-none-match", tags)], "")
                .await;
            assert_eq!(
                (reply.status.as_u16(), reply.body.is_empty()),
                (status, status == 304),
                "{tags}"
            );
            assert_eq!(reply.header("etag"), tag);
        }
        let head = server.ask("HEAD", path, &[], "").await;
        assert!(head.status == 200 && head.body.is_empty());
        assert_eq!(head.header("content-length"), whole.body.len().to_string());
        assert_eq!(
            server.ask("POST", path, &[], "").await.problem(405).0,
            "method"
        );
    }
    assert_eq!(
        server.get("/console/other.js").await.problem(404).0,
        "no-route"
    );
}

/// A browser at the console; none where there is no browser, which is said.
fn at(server: &Running) -> Fallible<Option<Browser>> {
    let Some(program) = browser::find() else {
        eprintln!("skipped: no chromium, chromium-browser or google-chrome on the path");
        return Ok(None);
    };
    Browser::visit(&program, &format!("http://{}/", server.address)).map(Some)
}

fn text(browser: &mut Browser, id: &str) -> Fallible<String> {
    let text = browser.value(&format!("document.getElementById('{id}').innerText"))?;
    Ok(text.as_str().unwrap_or_default().replace('\u{a0}', " "))
}

fn has(browser: &mut Browser, id: &str, parts: &[&str]) -> Fallible<()> {
    let text = text(browser, id)?;
    parts
        .iter()
        .for_each(|part| assert!(text.contains(part), "no '{part}' in {id}: {text}"));
    Ok(())
}

/// Fills a field, sends its form, and waits until something is true.
fn send(browser: &mut Browser, field: &str, value: &str, then: &str) -> Fallible<()> {
    let fill = format!(
        "{{ const field = document.getElementById('{field}'); field.value = '{value}'; field.form.requestSubmit(); true }}"
    );
    browser.value(&fill)?;
    browser.wait_for(then)
}

/// It asked for nothing elsewhere and nothing went wrong but what the server refused.
fn sound(browser: &Browser, server: &Running) {
    let home = format!("http://{}/", server.address);
    let asked = browser.requests();
    let strangers: Vec<_> = asked.iter().filter(|url| !url.starts_with(&home)).collect();
    assert!(asked.len() > 5 && strangers.is_empty(), "{strangers:?}");
    let mut problems = browser.problems();
    problems.retain(|problem| !problem.contains("the server responded with a status of 40"));
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn the_console_shows_a_store_and_follows_it() -> Fallible<()> {
    let shop = Shop::new();
    let server = Running::of(shop.store.clone());
    let Some(mut browser) = at(&server)? else {
        return Ok(());
    };
    has(&mut browser, "state", &["Nothing is published"])?;
    let first = shop.put("2024-04-01", &FIRST, 1.0);
    browser.wait_for("document.getElementById('state').dataset.kind === 'good'")?;
    has(
        &mut browser,
        "live",
        &[
            "2024-04-01",
            &first,
            MODEL,
            "30, 90",
            "expectation",
            "everything",
        ],
    )?;
    has(
        &mut browser,
        "values",
        &[
            "30 days",
            "Mean 45 (dashed)",
            "10.0 % are worth exactly 0",
            "Mean 50 (dashed)",
        ],
    )?;
    has(&mut browser, "statuses", &["active", "100.0 %"])?;
    has(&mut browser, "movement", &["There is no version before"])?;
    assert_eq!(
        browser.value("document.querySelectorAll('#values svg rect.bar').length > 4")?,
        json!(true)
    );
    let second = shop.put("2024-04-02", &FIRST, 3.0);
    browser.wait_for(&format!(
        "document.getElementById('live').innerText.includes('{second}')"
    ))?;
    has(
        &mut browser,
        "movement",
        &[&first, "135", "was 45", "+200.0 %", "changed"],
    )?;
    assert_eq!(
        browser.value("document.querySelectorAll('#values svg path.old').length")?,
        json!(4)
    );
    looks_users_up(&mut browser)?;
    shots(&mut browser, "console-test")?;
    sound(&browser, &server);
    // Its policy forbids what it does not do.
    let sent = browser.value("fetch('https://example.com/').then(() => 'sent', () => 'kept')")?;
    assert_eq!(sent, json!("kept"));
    Ok(())
}

fn looks_users_up(browser: &mut Browser) -> Fallible<()> {
    send(
        browser,
        "user",
        "20",
        "document.querySelector('#user-answer table') !== null",
    )?;
    has(
        browser,
        "user-answer",
        &["User 20 is active", "60", "61 to 63", "20", "+200.0 %"],
    )?;
    // What is looked up is never taken for markup.
    send(
        browser,
        "user",
        "<b id=x>",
        "document.querySelector('#user-answer .failure') !== null",
    )?;
    has(browser, "user-answer", &["<b id=x>"])?;
    send(
        browser,
        "user",
        "77",
        "document.getElementById('user-answer').innerText.includes('not known')",
    )?;
    browser.wait_for(
        "document.getElementById('routes').innerText.includes('/v1/ltv/{user_id}/movement')",
    )?;
    has(browser, "routes", &["Refused", "/v1/overview", "ms"])?;
    Ok(())
}

/// Looks at it in both themes, on a screen and a phone.
fn shots(browser: &mut Browser, name: &str) -> Fallible<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for theme in ["light", "dark"] {
        for (width, height) in [(1280, 900), (390, 844)] {
            browser.look(width, height, theme)?;
            assert_eq!(
                browser.value(OVERFLOW)?,
                json!(""),
                "too wide, {theme}, {width}"
            );
            browser.screenshot(
                &folder.join(format!("{name}-{theme}-{width}.png")),
                width,
                6000,
            )?;
        }
    }
    Ok(())
}

#[test]
fn the_console_asks_for_a_token_and_keeps_it_for_its_tab() -> Fallible<()> {
    let shop = Shop::with(&FIRST);
    let path = shop.folder.path().join("tokens");
    let (token, line) = tokens::create("on-call")?;
    fs::write(&path, line)?;
    let mut config = config();
    config.tokens = Some(path);
    let server = Running::with(config, shop.store.clone(), None);
    let Some(mut browser) = at(&server)? else {
        return Ok(());
    };
    has(&mut browser, "state", &["A token is needed"])?;
    assert_eq!(text(&mut browser, "live")?, "");
    send(
        &mut browser,
        "token",
        "ltv_wrong",
        "document.getElementById('token-failure').innerText.includes('not valid')",
    )?;
    send(
        &mut browser,
        "token",
        &token,
        "document.getElementById('state').dataset.kind === 'good'",
    )?;
    send(
        &mut browser,
        "user",
        "30",
        "document.querySelector('#user-answer table') !== null",
    )?;
    has(
        &mut browser,
        "user-answer",
        &["User 30 is active", "There is no version before"],
    )?;
    let kept = "localStorage.length === 0 && document.cookie === '' && sessionStorage.length === 1";
    assert_eq!(browser.value(kept)?, json!(true));
    assert!(!browser.requests().iter().any(|url| url.contains(&token)));
    browser.value("document.getElementById('forget').click()")?;
    browser.wait_for("sessionStorage.length === 0 && document.getElementById('figures').hidden")?;
    assert_eq!(text(&mut browser, "user-answer")?, "");
    sound(&browser, &server);
    Ok(())
}

#[test]
fn the_console_says_when_the_server_is_gone() -> Fallible<()> {
    let shop = Shop::with(&FIRST);
    let mut server = Running::of(Arc::clone(&shop.store) as Arc<dyn ltv_online::Store>);
    let Some(mut browser) = at(&server)? else {
        return Ok(());
    };
    has(&mut browser, "state", &["Fresh"])?;
    sound(&browser, &server);
    server.stop();
    browser.wait_for("document.getElementById('state').innerText.includes('cannot be reached')")?;
    // What was known stays to be read.
    has(&mut browser, "values", &["Mean 45 (dashed)"])
}

/// The description of the interface, under the same policy.
#[test]
fn the_interface_is_drawn() -> Fallible<()> {
    let shop = Shop::with(&FIRST);
    let server = Running::of(shop.store.clone());
    let Some(mut browser) = at(&server)? else {
        return Ok(());
    };
    browser.call(
        "Page.navigate",
        json!({"url": format!("http://{}/docs", server.address)}),
    )?;
    browser
        .wait_for("document.getElementById('operations')?.innerText.includes('/v1/overview')")?;
    sound(&browser, &server);
    Ok(())
}
