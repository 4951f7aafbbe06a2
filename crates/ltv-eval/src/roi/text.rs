//! The experiment on one screen, at most 100 columns wide.

use super::document::{Bid, Figure, Planned, Policy, Roi, Verdict};
use crate::{
    layout::{pad, printable},
    text::{line, number},
};

/// Widths: 12 + 7 + 10 + 8 + 3 x 21 = 100.
const NAME: usize = 12;
const USERS: usize = 7;
const DELIVERED: usize = 10;
const SPEND: usize = 8;
const CELL: usize = 21;
/// Outcomes side by side, the last ones.
const OUTCOMES: usize = 3;
/// Widths of the name of a bid and of its numbers: 17 + 3 x 9 + 2 x 28 = 100.
const BID: usize = 17;
const NUMBER: usize = 9;
/// Values of a column that are shown.
const BIDS: usize = 8;

impl Roi {
    /// The essence in aligned columns, without colours. Of more than three outcomes the longest
    /// three are shown.
    pub fn summary(&self) -> String {
        let mut out = String::new();
        experiment(&mut out, self);
        replay(&mut out, self);
        checks(&mut out, self);
        power(&mut out, self);
        bids(&mut out, self);
        for warning in self.warnings() {
            line(&mut out, &format!("WARNING: {warning}"));
        }
        line(
            &mut out,
            "A replay of what happened: nobody's value depends on delivery, no auction answers.",
        );
        out
    }

    fn shown<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        &all[all.len().saturating_sub(OUTCOMES)..]
    }

    /// Names of the outcomes shown.
    fn heads(&self) -> String {
        let days = self.shown(&self.outcomes).iter();
        days.map(|d| format!("{:>CELL$}", format!("ROI-{d}")))
            .collect()
    }
}

fn experiment(out: &mut String, roi: &Roi) {
    let split = &roi.split;
    let title = format!(
        "Experiment: {} of users an arm; budget {} each, {} of what the cheaper arm costs",
        percent(split.arm_share),
        number(split.budget),
        percent(split.budget_share)
    );
    line(out, &title);
    let head = format!(
        "{:NAME$}{:>USERS$}{:>DELIVERED$}{:>SPEND$}",
        "", "users", "delivered", "spend"
    );
    line(out, &format!("{head}{}", roi.heads()));
    let arms = [("control", &split.control), ("treatment", &split.treatment)];
    for (role, arm) in arms {
        let name = pad(&format!("  {role}"), NAME);
        let counts = format!(
            "{name}{:>USERS$}{:>DELIVERED$}{:>SPEND$}",
            arm.users,
            arm.delivered,
            spend(arm.spend)
        );
        let cells = figures(roi.shown(&arm.roi), plain);
        line(out, &format!("{counts}{cells}"));
    }
    let lead = NAME + USERS + DELIVERED + SPEND;
    let uplift = figures(roi.shown(&split.uplift), relative);
    line(out, &format!("{}{uplift}", pad("  uplift", lead)));
    let same = figures(roi.shown(&split.same_model), relative);
    line(
        out,
        &format!("{}{same}", pad("  A/A: control's model in both", lead)),
    );
}

fn replay(out: &mut String, roi: &Roi) {
    let title = format!(
        "Replay: each policy on all {} users, {} of their cost; uplift over control, paired",
        roi.users,
        percent(roi.replay.budget_share)
    );
    line(out, &title);
    let head = format!(
        "{:lead$}{:>DELIVERED$}{:>SPEND$}",
        "",
        "delivered",
        "spend",
        lead = NAME + USERS
    );
    line(out, &format!("{head}{}", roi.heads()));
    for policy in &roi.replay.policies {
        line(out, &row(roi, policy));
    }
}

/// Returns of the control, uplifts over it of the others.
fn row(roi: &Roi, policy: &Policy) -> String {
    let name = pad(&format!("  {}", policy.name), NAME + USERS);
    let cells = match policy.name == super::CONTROL {
        true => figures(roi.shown(&policy.roi), plain),
        false => figures(roi.shown(&policy.uplift), relative),
    };
    format!(
        "{name}{:>DELIVERED$}{:>SPEND$}{cells}",
        policy.delivered,
        spend(policy.spend)
    )
}

fn checks(out: &mut String, roi: &Roi) {
    let checks = &roi.split.checks;
    let p = |p: Option<f64>| p.map_or("–".to_owned(), |p| format!("{p:.3}"));
    let off: Vec<String> = checks
        .iter()
        .filter(|c| c.holds == Some(false))
        .take(3)
        .map(|c| {
            format!(
                "{} = {} (p {})",
                printable(&c.column),
                printable(&c.label),
                p(c.p)
            )
        })
        .collect();
    let first = checks.first().and_then(|c| c.p);
    let text = match (off.is_empty(), first) {
        (true, None) => "Too few users to say whether arms have those they should have".to_owned(),
        (true, first) => format!("Arms have the users they should have: p = {}", p(first)),
        (false, _) => format!(
            "ARMS DO NOT HAVE THE USERS THEY SHOULD HAVE: {}",
            off.join(", ")
        ),
    };
    line(out, &text);
    let few = checks.iter().skip(1).filter(|c| c.p.is_none()).count();
    if few > 0 {
        let of = checks.len() - 1;
        line(
            out,
            &format!("  not checked: {few} of {of} values of columns, which have too few users"),
        );
    }
}

fn power(out: &mut String, roi: &Roi) {
    let wanted = roi.power.wanted;
    let title = format!(
        "To see an uplift of {} (alpha {}, power {}) takes users in each arm:",
        percent(wanted.uplift),
        wanted.alpha,
        wanted.power
    );
    line(out, &title);
    for planned in roi.shown(&roi.power.outcomes) {
        let Planned {
            days,
            users,
            detectable,
            standard_error,
            resampled,
        } = planned;
        let users = users.map_or("–".to_owned(), |n| n.to_string());
        let least = detectable.map_or("–".to_owned(), percent);
        let wider = match (standard_error, resampled) {
            (Some(delta), Some(found)) if found > delta => {
                format!(" (error {delta:.3}, by resamples {found:.3})")
            }
            _ => String::new(),
        };
        line(
            out,
            &format!("  ROI-{days}: {users}; arms of this size see {least} or more{wider}"),
        );
    }
}

fn bids(out: &mut String, roi: &Roi) {
    let title = format!(
        "Max CPA: mean predicted ltv_{} / target ROAS {}, and its ratio to what users were worth",
        roi.horizon, roi.bids.target_roas
    );
    line(out, &title);
    let head = ["users", "cost", "worth"].map(|h| format!("{h:>NUMBER$}"));
    let models = ["control", "treatment"].map(|h| format!("{h:>9}{:19}", ""));
    line(
        out,
        &format!("{:BID$}{}{}", "", head.concat(), models.concat()),
    );
    for bid in roi.bids.values.iter().take(BIDS + 1) {
        line(out, &bid_row(bid));
    }
    if let Some(more) = roi
        .bids
        .values
        .len()
        .checked_sub(BIDS + 1)
        .filter(|&n| n > 0)
    {
        line(out, &format!("  and {more} more in --json"));
    }
}

fn bid_row(bid: &Bid) -> String {
    let numbers = [bid.users.to_string(), plain(bid.cost), plain(bid.worth)];
    let numbers = numbers.map(|n| format!("{n:>NUMBER$}")).concat();
    let offers = [bid.control, bid.treatment].map(|offer| {
        let cpa = offer.max_cpa;
        let half = cpa.high.map(|high| format!("±{}", plain(high - cpa.value)));
        let ratio = offer.ratio.map(|r| format!("x{:.2}", r.value));
        let verdict = match offer.verdict {
            Verdict::Over => "over",
            Verdict::Under => "under",
            Verdict::Level => "",
            Verdict::Unknown => "?",
        };
        let [half, ratio] = [half, ratio].map(Option::unwrap_or_default);
        format!("{:>9} {half:<6} {ratio:<5} {verdict:<5}", plain(cpa.value))
    });
    format!(
        "{}{numbers}{}",
        pad(&format!("  {}", bid.label), BID),
        offers.concat()
    )
}

fn figures(all: &[Figure], show: impl Fn(f64) -> String) -> String {
    let cell = |figure: &Figure| match (figure.value, figure.interval) {
        (None, _) => "–".to_owned(),
        (Some(value), None) => show(value),
        (Some(value), Some(i)) => {
            let ends = [show(i.low), show(i.high)].map(|end| end.replace('%', ""));
            format!("{} [{}]", show(value), ends.join(","))
        }
    };
    all.iter().map(|f| format!("{:>CELL$}", cell(f))).collect()
}

/// A return in four digits.
fn plain(value: f64) -> String {
    match value.abs() {
        v if v < 10.0 => format!("{value:.3}"),
        v if v < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// What was spent, in at most seven characters.
fn spend(value: f64) -> String {
    match value {
        v if v < 1e7 => plain(v),
        _ => format!("{value:.1e}"),
    }
}

/// `+3.2%`.
fn relative(value: f64) -> String {
    match value.abs() {
        v if v < 0.01 => format!("{:+.2}%", 100.0 * value),
        v if v < 1.0 => format!("{:+.1}%", 100.0 * value),
        _ => format!("{:+.0}%", 100.0 * value),
    }
}

/// `2.5 %`.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}
