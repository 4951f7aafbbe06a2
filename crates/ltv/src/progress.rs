//! Progress on standard error: a bar on a terminal, plain lines elsewhere, or a log for programs.

use crate::{
    log::{self, Entry, Event, Format},
    report::count,
    signals::stop_if_asked,
    timing::{self, Parts, Timing},
};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use ltv_core::progress::{Progress, Silent};
use std::{
    fmt,
    io::{IsTerminal, stderr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// When plain lines and those of a log come.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// At least this often, as long as something is done,
    most: Duration,
    /// or when another twentieth of the stage is done, but no sooner than this.
    least: Duration,
}

const PACE: Pace = Pace {
    most: Duration::from_secs(10),
    least: Duration::from_secs(2),
};
/// How often a bar is drawn while nothing is done, so that its clock goes on.
const TICK: Duration = Duration::from_millis(250);

/// Shows the stages of a task, with their rate and the time left, and adds up their times.
pub(crate) struct Display {
    style: Style,
    pace: Pace,
    stage: Mutex<Option<Stage>>,
    timing: Mutex<Timing>,
    write: Box<dyn Fn(&str) + Send + Sync>,
    /// Who is told as well.
    listener: Arc<dyn Progress>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Quiet,
    Lines,
    Bars,
    Log,
}

struct Stage {
    name: String,
    total: Option<u64>,
    done: u64,
    began: Instant,
    /// When something was said last, and how much was done then.
    said: (Instant, u64),
    bar: Option<ProgressBar>,
    note: String,
    parts: Parts,
}

impl Display {
    /// A display for standard error as it is. Warnings are told even when quiet.
    pub(crate) fn new(quiet: bool) -> Self {
        let style = match (quiet, Format::chosen(), stderr().is_terminal()) {
            (true, ..) => Style::Quiet,
            (_, Format::Json, _) => Style::Log,
            (.., true) => Style::Bars,
            _ => Style::Lines,
        };
        Self {
            style,
            pace: PACE,
            stage: Mutex::new(None),
            timing: Mutex::new(Timing::new()),
            write: Box::new(log::write),
            listener: Arc::new(Silent),
        }
    }

    /// Shows nothing itself, and tells `listener`.
    pub(crate) fn told(listener: Arc<dyn Progress>) -> Self {
        Self {
            style: Style::Quiet,
            listener,
            ..Self::new(true)
        }
    }

    /// Says one line to the person.
    pub(crate) fn say(&self, line: &str) {
        match self.style {
            Style::Quiet => {}
            Style::Log => self.log(&Entry::saying(Event::Note, line)),
            Style::Lines | Style::Bars => (self.write)(line),
        }
    }

    /// Says what the person should know although the work goes on.
    pub(crate) fn warn(&self, message: &str) {
        let line = match Format::chosen() {
            Format::Json => Entry::saying(Event::Warning, message).json(),
            Format::Text => format!("warning: {message}"),
        };
        match self.stage().as_ref().and_then(|stage| stage.bar.as_ref()) {
            Some(bar) => bar.suspend(|| (self.write)(&line)),
            None => (self.write)(&line),
        }
    }

    /// Where time went until now. The current stage is over.
    pub(crate) fn timing(&self) -> MutexGuard<'_, Timing> {
        self.finish();
        self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, entry: &Entry<'_>) {
        (self.write)(&entry.json());
    }

    fn bar(&self, stage: &str, total: Option<u64>) -> Option<ProgressBar> {
        if self.style != Style::Bars {
            return None;
        }
        let template = match total {
            Some(_) => "{msg:<18} {wide_bar} {human_pos}/{human_len}  {rate}  {eta} left",
            None => "{msg:<18} {spinner} {human_pos}  {rate}  {elapsed}",
        };
        let style = ProgressStyle::with_template(template).ok()?;
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Nobody to tell that a terminal takes no text.
            let _ = out.write_str(&rate_words(state.per_sec()));
        });
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        bar.set_style(style);
        bar.set_message(stage.to_owned());
        bar.enable_steady_tick(TICK);
        Some(bar)
    }
}

impl Progress for Display {
    fn start(&self, stage: &str, total: Option<u64>) {
        stop_if_asked();
        self.finish();
        self.listener.start(stage, total);
        let stage = Stage::new(stage, total, self.bar(stage, total));
        if self.style == Style::Log {
            self.log(&Entry {
                stage: Some(&stage.name),
                total,
                ..Entry::new(Event::StageStarted)
            });
        }
        *self.stage() = Some(stage);
    }

    fn advance(&self, n: u64) {
        stop_if_asked();
        self.listener.advance(n);
        let mut stage = self.stage();
        let Some(stage) = stage.as_mut() else { return };
        stage.done += n;
        match &stage.bar {
            Some(bar) => bar.inc(n),
            None if self.style == Style::Quiet => {}
            None if stage.is_due(self.pace) => {
                stage.said = (Instant::now(), stage.done);
                match self.style {
                    Style::Log => self.log(&stage.entry(Event::StageProgress)),
                    _ => (self.write)(&stage.line()),
                }
            }
            None => {}
        }
    }

    fn note(&self, text: &str) {
        self.listener.note(text);
        let mut stage = self.stage();
        let Some(stage) = stage.as_mut() else { return };
        stage.note = text.to_owned();
        if self.style == Style::Log {
            self.log(&Entry {
                stage: Some(&stage.name),
                ..Entry::saying(Event::Note, text)
            });
        }
    }

    fn spend(&self, part: &'static str, time: Duration) {
        if let Some(stage) = self.stage().as_mut() {
            timing::spend(&mut stage.parts, part, time);
        }
    }

    fn finish(&self) {
        let Some(mut stage) = self.stage().take() else {
            return;
        };
        self.listener.finish();
        if let Some(bar) = stage.bar.take() {
            bar.finish_and_clear();
        }
        match self.style {
            Style::Quiet => {}
            Style::Log => self.log(&stage.entry(Event::StageFinished)),
            Style::Lines | Style::Bars => (self.write)(&stage.closing()),
        }
        let mut timing = self.timing.lock().unwrap_or_else(PoisonError::into_inner);
        timing.add(&stage.name, stage.began.elapsed(), stage.parts);
    }
}

impl Stage {
    fn new(name: &str, total: Option<u64>, bar: Option<ProgressBar>) -> Self {
        let now = Instant::now();
        Self {
            name: name.to_owned(),
            total,
            done: 0,
            began: now,
            said: (now, 0),
            bar,
            note: String::new(),
            parts: vec![],
        }
    }

    /// Whether it is time to say how far it is. That it is over is said anyway.
    fn is_due(&self, pace: Pace) -> bool {
        if Some(self.done) == self.total {
            return false;
        }
        let (when, done) = self.said;
        let passed = when.elapsed();
        let step = self
            .total
            .map_or(u64::MAX, |total| total.div_ceil(20).max(1));
        passed >= pace.most || (passed >= pace.least && self.done - done >= step)
    }

    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Units in a second; none where it is too soon to tell.
    fn rate(&self) -> Option<f64> {
        let seconds = self.seconds();
        (self.done > 0 && seconds >= 0.01).then(|| self.done as f64 / seconds)
    }

    /// Seconds until it is over, if it goes on as it did.
    fn seconds_left(&self) -> Option<f64> {
        let left = self.total?.saturating_sub(self.done);
        Some(left as f64 / self.rate()?)
    }

    /// How far it is, for programs.
    fn entry(&self, event: Event) -> Entry<'_> {
        let over = event == Event::StageFinished;
        Entry {
            stage: Some(&self.name),
            done: Some(self.done),
            total: self.total,
            rate: self.rate().map(round),
            seconds: Some(round(self.seconds())),
            seconds_left: self.seconds_left().filter(|_| !over).map(round),
            message: Some(self.note.as_str()).filter(|note| over && !note.is_empty()),
            ..Entry::new(event)
        }
    }

    /// The line that stays when it is over.
    fn closing(&self) -> String {
        let done = match self.done {
            0 => String::new(),
            n => format!("{} in ", count(n)),
        };
        let note = match &self.note[..] {
            "" => String::new(),
            note => format!("; {note}"),
        };
        let rate = self.rate().map(|rate| format!(", {}", rate_words(rate)));
        let (name, took) = (&self.name, duration(self.seconds()));
        format!("{name}: {done}{took}{}{note}", rate.unwrap_or_default())
    }

    /// How far it is, for people.
    fn line(&self) -> String {
        let (name, done) = (&self.name, count(self.done));
        let rate = self.rate().map(|rate| format!(", {}", rate_words(rate)));
        let of = self.total.map(|total| format!(" of {}", count(total)));
        let left = self.seconds_left();
        let left = left.map(|seconds| format!(", {} left", duration(seconds)));
        let [of, rate, left] = [of, rate, left].map(Option::unwrap_or_default);
        format!("{name}: {done}{of}{rate}{left}")
    }
}

/// To the thousandth, for programs.
fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Units in a second, in words.
fn rate_words(rate: f64) -> String {
    if rate < 10.0 {
        format!("{rate:.1}/s")
    } else {
        format!("{}/s", count(rate as u64))
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

#[cfg(test)]
mod tests;
