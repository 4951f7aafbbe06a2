//! The page of an ROI experiment.

mod sections;

use super::{fingerprint, reproduce};
use crate::{exit::Failure, report::count};
use ltv_data::Dataset;
use ltv_eval::page::{
    Cell, Comparison, Curve, Dot, Emphasis, Fact, Headline, Lines, MetricDots, ReportInput,
    Section, Table, page,
};
use ltv_eval::roi::{
    CONTROL, Roi,
    document::{CurvePolicy, Figure, Mean, Policy},
};
use sections::{bids, power, split};
use serde::Serialize;
use std::path::Path;

/// What the page is about.
pub(crate) struct Experiment<'a> {
    pub(crate) found: &'a Roi,
    /// Files of control's and treatment's model.
    pub(crate) models: [&'a Path; 2],
    pub(crate) dataset: &'a Dataset,
    pub(crate) seed: u64,
}

/// Makes the page.
pub(crate) fn experiment(of: &Experiment<'_>, options: &impl Serialize) -> Result<String, Failure> {
    let found = of.found;
    let input = ReportInput {
        title: "Return on ad spend: two models as policies".to_owned(),
        subtitle: format!(
            "Users are delivered to in order of predicted value over {} days / cost, until a budget is \
             spent. What they brought is from the log: a replay, not a causal effect.",
            found.horizon
        ),
        unit: found.about.label.replace('_', " "),
        sets: found
            .replay
            .policies
            .iter()
            .map(|p| p.name.clone())
            .collect(),
        facts: facts(of),
        headlines: headlines(found).into(),
        comparison: Comparison {
            tables: vec![replay(found)],
            dots: found
                .outcomes
                .iter()
                .enumerate()
                .map(|(t, &d)| dots(found, t, d))
                .collect(),
            curves: vec![],
        }
        .into(),
        sections: vec![
            limits(found),
            split(found),
            curves(found),
            bids(found),
            power(found),
        ],
        reproduce: reproduce(
            vec![
                Fact::new("control", of.models[0].display().to_string()),
                Fact::new("its id", found.about.control.model_id.clone()),
                Fact::new("treatment", of.models[1].display().to_string()),
                Fact::new("its id", found.about.treatment.model_id.clone()),
                Fact::new("dataset", of.dataset.folder().display().to_string()),
                Fact::new("dataset fingerprint", fingerprint(of.dataset)),
                Fact::new("seed", of.seed.to_string()),
            ],
            options,
        )?
        .into(),
        ..ReportInput::default()
    };
    Ok(page(&input))
}

fn facts(of: &Experiment<'_>) -> Vec<Fact> {
    let found = of.found;
    let about = &found.about;
    let [control, treatment] = crate::commands::roi::names(found, of.models);
    let invented = if about.cost.invented {
        ", invented"
    } else {
        ""
    };
    let intervals = match found.bootstrap {
        Some(b) => format!("95 %, from {} resamples of users", b.replicates),
        None => "none".to_owned(),
    };
    vec![
        Fact::new(
            "Control",
            format!("{control}, as of {}", about.control.as_of),
        ),
        Fact::new(
            "Treatment",
            format!("{treatment}, as of {}", about.treatment.as_of),
        ),
        Fact::new(
            "Users",
            format!(
                "{}, registered since {}",
                count(found.users),
                about.registered_from
            ),
        ),
        Fact::new("Cost", format!("{}{invented}", about.cost.source)),
        Fact::new("Intervals", intervals),
    ]
}

/// The uplift of every outcome: the paper's Table 4.
fn headlines(found: &Roi) -> Vec<Headline> {
    let treatment = &found.replay.policies[1];
    let one = |((split, all), days): ((&Figure, &Figure), &u32)| Headline {
        title: format!("ROI-{days}"),
        figure: relative(all.value),
        text: "uplift of the treatment's model over the control's, both on all users".to_owned(),
        facts: vec![
            Fact::new("95 % interval", ends(all, relative)),
            Fact::new("In two separate arms", relative(split.value)),
            Fact::new("95 % interval", ends(split, relative)),
        ],
    };
    let pairs = found.split.uplift.iter().zip(&treatment.uplift);
    pairs.zip(&found.outcomes).map(one).collect()
}

/// What the numbers cannot show.
fn limits(found: &Roi) -> Section {
    let mut lead = "This is a replay of what happened, not a causal effect. A user's value is taken not to \
        depend on whether the ad was delivered: everybody here was acquired, by whatever rule was in force. \
        There is no auction: what a user costs does not answer to how much is bid, and nobody else bids for \
        the users that a model finds. Arms do not disturb each other. A live test can differ in all of it. \
        What the replay does show is which model finds users of higher return when costs are given."
        .to_owned();
    if found.about.cost.invented {
        lead += " Costs are stated and not seen, so that returns are of no real money; uplifts hold for \
            this cost model only.";
    }
    Section {
        id: "limits".to_owned(),
        link: "What this shows".to_owned(),
        title: "What this shows, and what not".to_owned(),
        lead,
        ..Section::default()
    }
}

/// A row for each policy on everybody.
fn replay(found: &Roi) -> Table {
    let mut header = vec![
        Cell::new("Policy"),
        Cell::new("Delivered"),
        Cell::new("Spend"),
    ];
    for days in &found.outcomes {
        header.push(Cell::new(format!("ROI-{days}")));
        header.push(Cell::new(format!("Uplift, {days} days")));
    }
    let row = |policy: &Policy| {
        let mut cells = vec![
            Cell::new(policy.name.clone()),
            Cell::new(count(policy.delivered)),
            Cell::new(plain(Some(policy.spend))),
        ];
        for (roi, uplift) in policy.roi.iter().zip(&policy.uplift) {
            cells.push(Cell::new(plain(roi.value)).detail(ends(roi, plain)));
            cells.push(match policy.name == CONTROL {
                true => Cell::new("–"),
                false => uplift_cell(uplift),
            });
        }
        cells
    };
    Table {
        caption: format!(
            "Replay: every policy on all {} users, {} of what they cost",
            count(found.users),
            percent(found.replay.budget_share)
        ),
        note: "Uplift over the control, from the same resamples for both. The trivial sort ranks by what \
               users did in the observation window, the oracle by what they really brought, both over cost; \
               cheapest by cost alone; random looks at nothing. Green: better beyond its interval; marked: worse."
            .to_owned(),
        header,
        rows: found.replay.policies.iter().map(row).collect(),
    }
}

fn dots(found: &Roi, t: usize, days: u32) -> MetricDots {
    let dot = |policy: &Policy| {
        let figure = policy.roi[t];
        Some(Dot {
            set: policy.name.clone(),
            value: figure.value?,
            interval: figure.interval.map(|i| (i.low, i.high)),
        })
    };
    MetricDots {
        title: format!("ROI-{days}, everybody"),
        axis: "value / cost of those delivered to".to_owned(),
        note: "higher is better".to_owned(),
        target: None,
        rows: found.replay.policies.iter().filter_map(dot).collect(),
    }
}

/// Value and return against spend.
fn curves(found: &Roi) -> Section {
    let names: Vec<String> = found
        .curve
        .budget_shares
        .iter()
        .map(|s| percent(*s))
        .collect();
    let lines = |t: usize, days: u32| {
        let of =
            |title: String, axis: &str, values: &dyn Fn(&CurvePolicy) -> Vec<Option<f64>>| Lines {
                title,
                note: "higher is better".to_owned(),
                places: "budget, as a share of what everybody costs".to_owned(),
                names: names.clone(),
                axis: axis.to_owned(),
                target: None,
                curves: found
                    .curve
                    .policies
                    .iter()
                    .map(|p| curve(p, values(p)))
                    .collect(),
            };
        [
            of(
                format!("Value captured, {days} days"),
                "share of all value",
                &|p| p.outcomes[t].share.clone(),
            ),
            of(format!("Return, {days} days"), "value / cost", &|p| {
                p.outcomes[t].roi.clone()
            }),
        ]
    };
    Section {
        id: "curve".to_owned(),
        link: "Budget".to_owned(),
        title: "What each budget captures".to_owned(),
        lead: "Every policy on everybody, from no budget to one that delivers to all.".to_owned(),
        lines: found
            .outcomes
            .iter()
            .enumerate()
            .flat_map(|(t, &d)| lines(t, d))
            .collect(),
        tables: vec![],
    }
}

fn curve(policy: &CurvePolicy, values: Vec<Option<f64>>) -> Curve {
    Curve {
        set: policy.name.clone(),
        values: values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
    }
}

fn uplift_cell(figure: &Figure) -> Cell {
    let cell = Cell::new(relative(figure.value)).detail(ends(figure, relative));
    match figure.interval {
        Some(i) if i.low > 0.0 => cell.emphasis(Emphasis::NearBest),
        Some(i) if i.high < 0.0 => cell.emphasis(Emphasis::Warning),
        _ => cell,
    }
}

fn ends(figure: &Figure, show: impl Fn(Option<f64>) -> String) -> String {
    let interval = figure.interval;
    interval.map_or(String::new(), |i| {
        format!("{} to {}", show(Some(i.low)), show(Some(i.high)))
    })
}

fn mean_ends(mean: &Mean) -> String {
    match (mean.low, mean.high) {
        (Some(low), Some(high)) => format!("{} to {}", plain(Some(low)), plain(Some(high))),
        _ => String::new(),
    }
}

fn plain(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(v) if v.abs() < 10.0 => format!("{v:.3}"),
        Some(v) if v.abs() < 1000.0 => format!("{v:.1}"),
        Some(v) => count(v.round().max(0.0) as u64),
    }
}

fn relative(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(v) if v.abs() < 0.01 => format!("{:+.2} %", 100.0 * v),
        Some(v) => format!("{:+.1} %", 100.0 * v),
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}
