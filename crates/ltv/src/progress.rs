//! Progress on standard error: a bar on a terminal, plain lines elsewhere.

use crate::{report::count, signals::stop_if_asked};
use indicatif::{ProgressBar, ProgressStyle};
use ltv_core::progress::Progress;
use std::{
    io::{IsTerminal, stderr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Plain lines come at most this often.
const EVERY: Duration = Duration::from_secs(10);

/// Draws the stages of a task, with their rate and the time left.
pub(crate) struct Display {
    style: Style,
    stage: Mutex<Option<Stage>>,
}

enum Style {
    Quiet,
    Lines,
    Bars,
}

struct Stage {
    name: String,
    total: Option<u64>,
    done: u64,
    began: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
    note: String,
}

impl Display {
    /// A display for standard error as it is.
    pub(crate) fn new(quiet: bool) -> Self {
        let style = match (quiet, stderr().is_terminal()) {
            (true, _) => Style::Quiet,
            (_, true) => Style::Bars,
            _ => Style::Lines,
        };
        Self {
            style,
            stage: Mutex::new(None),
        }
    }

    /// Says one line to the person.
    pub(crate) fn say(&self, line: &str) {
        if !matches!(self.style, Style::Quiet) {
            eprintln!("{line}");
        }
    }

    fn bar(&self, total: Option<u64>) -> Option<ProgressBar> {
        if !matches!(self.style, Style::Bars) {
            return None;
        }
        let template = match total {
            Some(_) => "{msg:<18} {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left",
            None => "{msg:<18} {spinner} {human_pos}  {per_sec}",
        };
        let style = ProgressStyle::with_template(template).ok()?;
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(style);
        Some(bar)
    }
}

impl Progress for Display {
    fn start(&self, stage: &str, total: Option<u64>) {
        stop_if_asked();
        self.finish();
        if matches!(self.style, Style::Quiet) {
            return;
        }
        let bar = self.bar(total);
        if let Some(bar) = &bar {
            bar.set_message(stage.to_string());
        }
        let now = Instant::now();
        let stage = Stage {
            name: stage.into(),
            total,
            done: 0,
            began: now,
            said: now,
            bar,
            note: String::new(),
        };
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(stage);
    }

    fn advance(&self, n: u64) {
        stop_if_asked();
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stage) = stage.as_mut() else { return };
        stage.done += n;
        match &stage.bar {
            Some(bar) => bar.inc(n),
            None if stage.said.elapsed() >= EVERY => {
                stage.said = Instant::now();
                eprintln!("{}", stage.line());
            }
            None => {}
        }
    }

    fn note(&self, text: &str) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = stage.as_mut() {
            stage.note = format!("; {text}");
        }
    }

    fn finish(&self) {
        let stage = self
            .stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(stage) = stage else { return };
        if let Some(bar) = &stage.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}", stage.closing());
    }
}

impl Stage {
    /// The line that stays when it is over.
    fn closing(&self) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = rate(self.done, seconds);
        let done = match self.done {
            0 => String::new(),
            n => format!("{} in ", count(n)),
        };
        let (name, note) = (&self.name, &self.note);
        format!("{name}: {done}{}{rate}{note}", duration(seconds))
    }

    fn line(&self) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = rate(self.done, seconds);
        let Some(total) = self.total.filter(|&t| t > 0) else {
            return format!("{}: {}{rate}", self.name, count(self.done));
        };
        let left = match self.done {
            0 => String::new(),
            n => {
                let seconds = seconds * (total.saturating_sub(n)) as f64 / n as f64;
                format!(", {} left", duration(seconds))
            }
        };
        format!(
            "{}: {} of {}{rate}{left}",
            self.name,
            count(self.done),
            count(total)
        )
    }
}

fn rate(done: u64, seconds: f64) -> String {
    if done == 0 || seconds < 0.01 {
        return String::new();
    }
    let rate = done as f64 / seconds;
    if rate < 10.0 {
        format!(", {rate:.1}/s")
    } else {
        format!(", {}/s", count(rate as u64))
    }
}

/// Seconds in words.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    format!("{} min {:02} s", whole / 60, whole % 60)
}
