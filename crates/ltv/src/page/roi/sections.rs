//! The arms, bids and the size of a test, as sections of the page.

use super::{ends, mean_ends, percent, plain, relative, uplift_cell};
use crate::report::count;
use ltv_eval::{
    page::{Cell, Emphasis, Section, Table},
    roi::{
        Roi,
        document::{Arm, Bid, Figure, Mismatch, Offer, Planned, Verdict},
    },
};

/// The two arms and their checks.
pub(super) fn split(found: &Roi) -> Section {
    let split = &found.split;
    let heads = ["", "Users", "Delivered", "Spend"]
        .into_iter()
        .map(Cell::new);
    let days = found.outcomes.iter().map(|d| Cell::new(format!("ROI-{d}")));
    let arm = |(name, arm): (&str, &Arm)| {
        let counts = [
            name.to_owned(),
            count(arm.users),
            count(arm.delivered),
            plain(Some(arm.spend)),
        ];
        let figures = arm
            .roi
            .iter()
            .map(|f| Cell::new(plain(f.value)).detail(ends(f, plain)));
        counts
            .into_iter()
            .map(Cell::new)
            .chain(figures)
            .collect::<Vec<_>>()
    };
    let uplift = |name: &str, figures: &[Figure]| {
        let empty = [name, "", "", ""].into_iter().map(Cell::new);
        empty
            .chain(figures.iter().map(uplift_cell))
            .collect::<Vec<_>>()
    };
    let table = Table {
        caption: format!(
            "Two arms of {}, a budget of {} each",
            percent(split.arm_share),
            plain(Some(split.budget))
        ),
        note: "The last row has the control's model in both arms: what it shows is chance."
            .to_owned(),
        header: heads.chain(days).collect(),
        rows: vec![
            arm(("Control", &split.control)),
            arm(("Treatment", &split.treatment)),
            uplift("Uplift", &split.uplift),
            uplift("A/A: control's model in both", &split.same_model),
        ],
    };
    Section {
        id: "arms".to_owned(),
        link: "Experiment".to_owned(),
        title: "The experiment in two arms".to_owned(),
        lead: lead(found),
        lines: vec![],
        tables: vec![table, checks(&split.checks)],
    }
}

/// How the experiment is made, and what is wrong with this one.
fn lead(found: &Roi) -> String {
    let mut lead = "As the paper made it: users are assigned by a hash, each arm is ranked by its own model and \
        has the same budget. In each resample users of an arm are drawn again and delivered to again."
        .to_owned();
    for warning in found.warnings() {
        lead += &format!(" Warning: {warning}.");
    }
    lead
}

fn checks(all: &[Mismatch]) -> Table {
    let row = |c: &Mismatch| {
        let p = Cell::new(c.p.map_or("–".to_owned(), |p| format!("{p:.4}")));
        let cells = [
            format!("{}: {}", c.column, c.label),
            count(c.control),
            count(c.treatment),
            count(c.neither),
            plain(c.chi_squared),
        ];
        let p = match c.holds {
            Some(false) => p.emphasis(Emphasis::Warning),
            _ => p,
        };
        cells.into_iter().map(Cell::new).chain([p]).collect()
    };
    let heads = [
        "Users",
        "Control",
        "Treatment",
        "Neither",
        "Chi-squared",
        "p",
    ];
    Table {
        caption: "Do arms have the users they should have?".to_owned(),
        note: "Marked: p under 0.001, for the values of columns 0.001 over the number of those tested. Then no \
               uplift can be trusted. –: too few users to say, since a cell expects fewer than 5."
            .to_owned(),
        header: heads.into_iter().map(Cell::new).collect(),
        rows: all.iter().map(row).collect(),
    }
}

/// What models would bid for users of each kind.
pub(super) fn bids(found: &Roi) -> Section {
    let heads = [
        "Users",
        "Number",
        "Cost",
        "Realised",
        "Worth",
        "Control bids",
        "Ratio",
        "Treatment bids",
        "Ratio",
    ];
    let row = |bid: &Bid| {
        let mut cells = vec![
            Cell::new(format!("{}: {}", bid.column, bid.label)),
            Cell::new(count(bid.users)),
            Cell::new(plain(Some(bid.cost))),
            Cell::new(plain(Some(bid.realised.value))).detail(mean_ends(&bid.realised)),
            Cell::new(plain(Some(bid.worth))),
        ];
        cells.extend([bid.control, bid.treatment].iter().flat_map(offer));
        cells
    };
    let table = Table {
        caption: format!("Highest cost per acquisition at a return of {}", found.bids.target_roas),
        note: "A bid is the mean prediction over the target; worth is the realised mean over the target. Marked: \
               the ratio's own 95 % interval does not hold 1. Of twenty rows whose bids are right, one is expected to \
               be marked."
            .to_owned(),
        header: heads.into_iter().map(Cell::new).collect(),
        rows: found.bids.values.iter().map(row).collect(),
    };
    Section {
        id: "bids".to_owned(),
        link: "Bids".to_owned(),
        title: "What acquiring a user may cost".to_owned(),
        lead: format!(
            "From predicted and realised value over {} days.",
            found.horizon
        ),
        lines: vec![],
        tables: vec![table],
    }
}

fn offer(offer: &Offer) -> [Cell; 2] {
    let bid = Cell::new(plain(Some(offer.max_cpa.value))).detail(mean_ends(&offer.max_cpa));
    let ratio = match &offer.ratio {
        None => Cell::new("–"),
        Some(ratio) => Cell::new(plain(Some(ratio.value))).detail(mean_ends(ratio)),
    };
    let ratio = match offer.verdict {
        Verdict::Over => ratio.emphasis(Emphasis::Warning).title("bids too much"),
        Verdict::Under => ratio.emphasis(Emphasis::Warning).title("bids too little"),
        Verdict::Level => ratio.emphasis(Emphasis::NearBest),
        Verdict::Unknown => ratio,
    };
    [bid, ratio]
}

/// The size of a test.
pub(super) fn power(found: &Roi) -> Section {
    let wanted = found.power.wanted;
    let heads = [
        "Outcome",
        "Users in each arm",
        "These arms see",
        "Standard error",
        "From resamples",
    ];
    let row = |p: &Planned| {
        let cells = [
            format!("ROI-{}", p.days),
            p.users.map_or("–".to_owned(), count),
            relative(p.detectable),
            plain(p.standard_error),
            plain(p.resampled),
        ];
        cells.into_iter().map(Cell::new).collect()
    };
    let table = Table {
        caption: format!(
            "To see an uplift of {} at alpha {} with power {}",
            percent(wanted.uplift),
            wanted.alpha,
            wanted.power
        ),
        note: "Users of an arm include those not delivered to, and budgets grow with them. Standard errors are of \
               the log of the ratio of returns at the present size: by the delta method, which plans are made with, \
               and from resamples that deliver again."
            .to_owned(),
        header: heads.into_iter().map(Cell::new).collect(),
        rows: found.power.outcomes.iter().map(row).collect(),
    };
    Section {
        id: "power".to_owned(),
        link: "Power".to_owned(),
        title: "How many users a test needs".to_owned(),
        lead: String::new(),
        lines: vec![],
        tables: vec![table],
    }
}
