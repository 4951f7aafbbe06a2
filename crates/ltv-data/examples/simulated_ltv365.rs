//! Draws the distribution of the simulator's 365-day value (compare Figure 1 of the paper).
//!
//! `cargo run -p ltv-data --example simulated_ltv365 -- [FILE.svg] [USERS]`

use ltv_data::simulate::{SimulateConfig, SimulateError, Simulator};
use std::fmt::Write;

/// Width of a bar in days, but for the first, which is the value 0 alone.
const BIN: usize = 5;
const LAST: usize = 365;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .unwrap_or_else(|| "docs/results/simulated-ltv365.svg".into());
    let users: u64 = arguments.next().map_or(Ok(100_000), |n| n.parse())?;
    let counts = histogram(users)?;
    ltv_core::artefact::write(&file, draw(&counts, users).as_bytes())?;
    Ok(())
}

/// Users by active days in days 7 to 372 after registration: index = value.
fn histogram(users: u64) -> Result<Vec<u64>, SimulateError> {
    let simulator = Simulator::new(&SimulateConfig {
        users,
        ..SimulateConfig::default()
    })?;
    let mut counts = vec![0; LAST + 1];
    for user in (0..users).map(|i| simulator.user(i)) {
        let days = user.events.iter().map(|e| e.day - user.reg_day);
        counts[days.filter(|d| (7..7 + LAST as i32).contains(d)).count()] += 1;
    }
    Ok(counts)
}

/// Bars on a logarithmic axis, from 0.01 % to 100 % of the users.
fn draw(counts: &[u64], users: u64) -> String {
    let share = |n: u64| 100.0 * n as f64 / users as f64;
    let height = |percent: f64| 60.0 * (percent.max(0.01) / 0.01).log10();
    let mut svg = String::from(concat!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 840 330' ",
        "font-family='sans-serif' font-size='12'>\n<rect width='840' height='330' fill='white'/>\n"
    ));
    let total: u64 = counts.iter().zip(0u64..).map(|(n, value)| n * value).sum();
    let mean = total as f64 / users as f64;
    let title = format!(
        "Active days in days 7 to 372 of {users} simulated users: mean {mean:.1}, zero {:.0} %",
        share(counts[0])
    );
    let mut line = |text: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "{text}");
    };
    line(format_args!(
        "<text x='60' y='20' font-size='14'>{title}</text>"
    ));
    for percent in [0.01, 0.1, 1.0, 10.0, 100.0] {
        let y = 280.0 - height(percent);
        line(format_args!("<path d='M60 {y}H820' stroke='#ddd'/>"));
        line(format_args!(
            "<text x='52' y='{}' text-anchor='end'>{percent} %</text>",
            y + 4.0
        ));
    }
    let bars = std::iter::once(&counts[..1]).chain(counts[1..].chunks(BIN));
    for (i, bar) in bars.enumerate() {
        let (h, x) = (height(share(bar.iter().sum())), 62 + i * 10);
        let y = 280.0 - h;
        line(format_args!(
            "<rect x='{x}' y='{y:.1}' width='8' height='{h:.1}' fill='#3b6ea5'/>"
        ));
    }
    for value in [0, 50, 100, 150, 200, 250, 300, 350] {
        let x = 66 + value / BIN * 10;
        line(format_args!(
            "<text x='{x}' y='298' text-anchor='middle'>{value}</text>"
        ));
    }
    line(format_args!(
        "<text x='440' y='320' text-anchor='middle'>active days (first bar: 0; others: {BIN} days each)</text>"
    ));
    svg.push_str("</svg>\n");
    svg
}
