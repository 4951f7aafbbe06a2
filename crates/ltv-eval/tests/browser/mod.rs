//! A headless Chromium, driven over the DevTools protocol: JSON in a WebSocket.
//!
//! For tests that look at a page: [`check_page`] holds a report to what every report must keep.
#![allow(
    dead_code,
    missing_docs,
    reason = "each user of this file needs a part of it"
)]

use serde_json::{Value, json};
use std::{
    error::Error,
    ffi::OsStr,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tungstenite::{Message, WebSocket, client};

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// Longest time for one answer of the browser; a machine under load is slow to start one.
const PATIENCE: Duration = Duration::from_secs(90);
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// Only the page itself: no profile of the user, no look-ups, no updates.
const FLAGS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

/// The first Chromium on the path.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let files = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)).to_vec());
    files.into_iter().find(|file| file.is_file())
}

/// A browser with one tab; it ends with this value.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last: u64,
    events: Vec<Value>,
    // Removed last, after the browser has ended.
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts the browser and opens the file in it.
    pub(crate) fn open(program: &Path, page: &Path) -> Fallible<Self> {
        let url = format!("file://{}", fs::canonicalize(page)?.display());
        Self::visit(program, &url)
    }

    /// Starts the browser and opens an address in it, whose page says when it is drawn.
    pub(crate) fn visit(program: &Path, url: &str) -> Fallible<Self> {
        let profile = tempfile::tempdir()?;
        let mut data = OsStr::new("--user-data-dir=").to_owned();
        data.push(profile.path());
        let child = Command::new(program)
            .args(FLAGS)
            .arg(data)
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let socket = connect(profile.path());
        let mut browser = match socket {
            Ok(socket) => Self {
                child,
                socket,
                session: None,
                last: 0,
                events: vec![],
                _profile: profile,
            },
            Err(error) => {
                let mut child = child;
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        browser.attach()?;
        browser.navigate(url)?;
        Ok(browser)
    }

    fn attach(&mut self) -> Fallible<()> {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", target)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(())
    }

    fn navigate(&mut self, url: &str) -> Fallible<()> {
        self.call("Page.navigate", json!({"url": url}))?;
        self.wait_for("document.documentElement?.dataset.drawn === 'yes'")
    }

    /// Calls a method of the protocol and waits for its result; events on the way are kept.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Fallible<Value> {
        self.last += 1;
        let mut request = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(request.to_string()))?;
        loop {
            let Message::Text(text) = self.socket.read()? else {
                continue;
            };
            let mut answer: Value = serde_json::from_str(&text)?;
            if answer["id"] != json!(self.last) {
                self.events.push(answer);
            } else if answer["error"].is_null() {
                return Ok(answer["result"].take());
            } else {
                return Err(format!("{method}: {}", answer["error"]).into());
            }
        }
    }

    /// Value of a JavaScript expression, promises awaited.
    pub(crate) fn value(&mut self, expression: &str) -> Fallible<Value> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", params)?;
        if answer["exceptionDetails"].is_null() {
            return Ok(answer["result"]["value"].take());
        }
        Err(format!("{expression}: {}", answer["exceptionDetails"]).into())
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_for(&mut self, expression: &str) -> Fallible<()> {
        let begin = Instant::now();
        while self.value(expression)? != json!(true) {
            if begin.elapsed() > PATIENCE {
                return Err(format!("still not so: {expression}; {:?}", self.problems()).into());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Shows the page at this width under a theme of the system, and lets it settle.
    pub(crate) fn look(&mut self, width: u32, height: u32, theme: &str) -> Fallible<()> {
        let phone = width < 600;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let feature = json!({"name": "prefers-color-scheme", "value": theme});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}))?;
        let settle = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => r(true), 300))))";
        self.value(settle)?;
        Ok(())
    }

    /// Saves the page, from the top down to at most `height`.
    pub(crate) fn screenshot(&mut self, path: &Path, width: u32, height: u32) -> Fallible<()> {
        let page = self.value("document.documentElement.scrollHeight")?;
        let height = page.as_u64().unwrap_or(0).min(height.into());
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", params)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, base64(answer["data"].as_str().unwrap_or_default()))?;
        Ok(())
    }

    /// What went wrong so far: exceptions, errors and warnings of the console and of the browser.
    pub(crate) fn problems(&self) -> Vec<String> {
        let wrong =
            |event: &&Value| {
                let params = &event["params"];
                match event["method"].as_str() {
                    Some("Runtime.exceptionThrown") => true,
                    Some("Runtime.consoleAPICalled") => ["error", "warning", "assert"]
                        .contains(&params["type"].as_str().unwrap_or("")),
                    Some("Log.entryAdded") => ["error", "warning"]
                        .contains(&params["entry"]["level"].as_str().unwrap_or("")),
                    _ => false,
                }
            };
        let wrong = self.events.iter().filter(wrong);
        wrong.map(|event| event["params"].to_string()).collect()
    }

    /// Every address that was asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let urls = self.events.iter().filter(sent);
        urls.filter_map(|event| {
            event["params"]["request"]["url"]
                .as_str()
                .map(str::to_owned)
        })
        .collect()
    }
}

/// Waits for the browser to say where it listens, and connects.
fn connect(profile: &Path) -> Fallible<WebSocket<TcpStream>> {
    let file = profile.join("DevToolsActivePort");
    let begin = Instant::now();
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if let [port, path] = text.lines().collect::<Vec<_>>()[..] {
            let stream = TcpStream::connect(("127.0.0.1", port.parse()?))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let url = format!("ws://127.0.0.1:{port}{path}");
            return Ok(client(url, stream).map_err(|e| e.to_string())?.0);
        }
        if begin.elapsed() > PATIENCE {
            return Err("the browser does not start".into());
        }
        sleep(Duration::from_millis(50));
    }
}

/// Bytes of base64 text.
fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut out, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for value in text.bytes().filter_map(digit) {
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

/// Charts that have drawn nothing: no drawing in them, or one of fewer than five shapes.
const BLANK: &str = "[...document.querySelectorAll('[data-chart]')].filter(f => {
    const svg = f.querySelector('.plot svg');
    return !svg || svg.querySelectorAll('path, text, rect, polygon, polyline').length < 5;
}).map(f => f.dataset.chart).join(', ')";

/// What sticks out of the page sideways, outside boxes that scroll.
pub(crate) const OVERFLOW: &str = "(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return '';
    const out = [...document.querySelectorAll('body *')].filter(e =>
        e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.scroll, nav, pre'));
    return root.scrollWidth + ' > ' + root.clientWidth + ': ' +
        out.slice(0, 5).map(e => e.tagName + '.' + e.className).join(', ');
})()";

/// Holds a page to what every report keeps: it asks for nothing, says nothing on the console, draws
/// every chart in both themes on a screen and a phone without running over the side, and prints.
/// Saves what it looks like as `{shots}/{name}-{theme}-{width}.png`. Returns the number of charts.
pub(crate) fn check_page(program: &Path, page: &Path, shots: &Path, name: &str) -> Fallible<u64> {
    let mut browser = Browser::open(program, page)?;
    let charts = browser.value("document.querySelectorAll('[data-chart]').length")?;
    let mut backgrounds = Vec::new();
    for theme in ["light", "dark"] {
        for (width, height) in [(1280, 900), (390, 844)] {
            browser.look(width, height, theme)?;
            assert_eq!(
                browser.value(BLANK)?,
                json!(""),
                "charts left blank, {theme}, {width}"
            );
            assert_eq!(
                browser.value(OVERFLOW)?,
                json!(""),
                "too wide, {theme}, {width}"
            );
            let file = shots.join(format!("{name}-{theme}-{width}.png"));
            browser.screenshot(&file, width, 12_000)?;
        }
        backgrounds
            .push(browser.value("getComputedStyle(document.documentElement).backgroundColor")?);
        browser.value("document.getElementById('theme').click()")?;
        backgrounds
            .push(browser.value("getComputedStyle(document.documentElement).backgroundColor")?);
        browser.value("document.getElementById('theme').click(); delete document.documentElement.dataset.theme")?;
    }
    assert_eq!(
        backgrounds[0], backgrounds[3],
        "the switch does not lead to the light theme"
    );
    assert_eq!(
        backgrounds[1], backgrounds[2],
        "the switch does not lead to the dark theme"
    );
    assert_ne!(backgrounds[0], backgrounds[1], "both themes look the same");
    browser.look(1280, 900, "light")?;
    let pdf = browser.call("Page.printToPDF", json!({"printBackground": true}))?;
    let pdf = base64(pdf["data"].as_str().unwrap_or_default());
    assert!(pdf.starts_with(b"%PDF"), "it does not print");
    fs::write(shots.join(format!("{name}.pdf")), pdf)?;
    assert_eq!(
        browser.problems(),
        Vec::<String>::new(),
        "the browser complains"
    );
    let own = browser.requests();
    let strangers: Vec<&String> = own
        .iter()
        .filter(|url| !own[0].eq(*url) && *url != "data:,")
        .collect();
    assert!(
        own[0].starts_with("file://") && strangers.is_empty(),
        "asked for {own:?}"
    );
    Ok(charts.as_u64().unwrap_or(0))
}
