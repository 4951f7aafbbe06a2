//! The backtest as tables: a screenful for a terminal, all horizons as Markdown.

use super::{
    AGED,
    document::{Ageing, Backtest, Cohort, DateResult, OverTime, Stability},
    grid::{CELL, Grid, dash, gap, index, number, percent},
};
use ltv_eval::{
    Metric, Psi, Reading,
    layout::{escape, pad},
};
use std::{collections::BTreeMap, fmt::Write as _};

/// Metrics of the summary.
const FIRST: [Metric; 3] = [Metric::NRMSE, Metric::NormGini, Metric::CalibrationRatio];
/// Metrics of the Markdown tables; the others are in the document.
const MORE: [Metric; 4] = [
    Metric::NRMSE,
    Metric::NMAE,
    Metric::NormGini,
    Metric::CalibrationRatio,
];
/// Dates and models of the summary: with them its lines are at most 120 characters long, and fit a
/// screen.
const DATES: usize = 4;
const MODELS: usize = 6;

/// What must be read with the numbers.
const NOTES: [&str; 4] = [
    "each model knows what was known on its date; judged are those who registered since, with the \
     labels known by now",
    "worse by: than the best other model over the dates, negative when better; its interval takes \
     dates for independent, which they are not where they judge the same users",
    "PSI: judged users against training rows; under 0.1 is usually called stable, above 0.25 another \
     population, but chance alone reaches it with few rows (≈: no more than chance), and a feature that moved may not matter",
    "age: models of earlier dates on the users of later ones, against the fresh model on the same \
     users; predictions of one date and of the next for the same users",
];

impl Backtest {
    /// What a person reads first: the longest horizon with known labels, at most 120 columns wide.
    pub fn summary(&self) -> String {
        let mut out = format!("{}\n", self.title());
        let Some(horizon) = self.longest() else {
            return out;
        };
        let last = self.dates.len().saturating_sub(DATES);
        for metric in FIRST {
            out += &self.over_time(horizon, metric, (last, MODELS)).plain();
        }
        out += &self.drift_in_short(horizon, last).plain();
        if self.dates.len() > 1 {
            out += &self.age_in_short(horizon).plain();
        }
        if last > 0 || self.models.len() > MODELS {
            out += "\nthe last dates and first models are shown; all are in the tables\n";
        }
        out
    }

    /// Everything but what only programs want, as GitHub Markdown from the third level of headings down.
    pub fn markdown(&self) -> String {
        let mut out = format!("{}.\n\n", self.title());
        for note in NOTES {
            let _ = writeln!(out, "- {note}");
        }
        out += &self.users().markdown();
        let all = usize::MAX;
        for &horizon in &self.horizons {
            for metric in MORE {
                out += &self.over_time(horizon, metric, (0, all)).markdown();
            }
            out += &self.cohorts_of(horizon).markdown();
            out += &self.stability_of(horizon).markdown();
            out += &self.ageing_of(horizon).markdown();
        }
        out += &self.drift().markdown();
        out
    }

    fn title(&self) -> String {
        format!(
            "Backtest of {} models at {} dates, judged on who registered in the {} days from each on, \
             labels as known on {}",
            self.models.len(),
            self.dates.len(),
            self.judge_days,
            self.known_on
        )
    }

    /// The longest horizon with a value at any date.
    pub fn longest(&self) -> Option<u32> {
        let known = |h: &u32| {
            self.metrics
                .iter()
                .any(|m| m.horizon == *h && m.mean.is_some())
        };
        self.horizons.iter().copied().rev().find(known)
    }

    /// The months of judged users, each as the last model trained before it predicts it, in order.
    pub fn months(&self, model: &str, horizon: u32) -> Vec<&Cohort> {
        let mut months: BTreeMap<&str, &Cohort> = BTreeMap::new();
        for cohort in &self.cohorts {
            if cohort.horizon == horizon && cohort.model == model {
                let known = months.entry(&cohort.cohort).or_insert(cohort);
                // A date in the middle of a month parts it: the model of the larger part stands for it.
                if cohort.as_of > known.as_of && 2 * cohort.users > known.users {
                    *known = cohort;
                }
            }
        }
        months.into_values().collect()
    }

    fn days(&self, from: usize) -> Vec<String> {
        self.dates[from..]
            .iter()
            .map(|d| d.as_of.to_string())
            .collect()
    }

    fn of_horizon(&self, horizon: u32, metric: Metric) -> impl Iterator<Item = &OverTime> {
        let wanted = move |m: &&OverTime| m.horizon == horizon && m.metric == metric;
        self.metrics.iter().filter(wanted)
    }

    fn over_time(&self, horizon: u32, metric: Metric, (from, most): (usize, usize)) -> Grid {
        let row = |m: &OverTime| {
            let values = m.values[from..].iter().chain([&m.mean]);
            let mut cells: Vec<String> = values.map(|v| number(*v)).collect();
            cells.push(m.excess.map_or_else(dash, gap));
            (m.model.clone(), cells)
        };
        let mut heads = self.days(from);
        heads.extend(["mean", "worse by (95 %)"].map(str::to_owned));
        Grid {
            title: format!(
                "ltv_{horizon}: {} {}",
                metric.name(),
                metric.direction().mark()
            ),
            heads,
            rows: self
                .of_horizon(horizon, metric)
                .take(most)
                .map(row)
                .collect(),
        }
    }

    /// Labels and the features that moved most.
    fn drift_in_short(&self, horizon: u32, from: usize) -> Grid {
        let dates = &self.dates[from..];
        let row = |name: String, cell: &dyn Fn(&DateResult) -> String| {
            (name, dates.iter().map(cell).collect())
        };
        let of = |d: &DateResult| d.labels.iter().find(|l| l.horizon == horizon).cloned();
        let label = |d: &DateResult| of(d).and_then(|l| l.psi).map_or_else(dash, index);
        let trained = |d: &DateResult| number(of(d).and_then(|l| l.train_mean));
        let judged = |d: &DateResult| number(of(d).and_then(|l| l.judged_mean));
        let largest = |d: &DateResult| worst(d).and_then(|f| f.1).map_or_else(dash, index);
        let name = |d: &DateResult| {
            worst(d).map_or_else(dash, |f| pad(f.0, CELL - 1).trim_end().to_owned())
        };
        let changed = |d: &DateResult| {
            let far = |p: &&Psi| p.reading() == Reading::Changed;
            d.features
                .iter()
                .filter_map(|f| f.psi.as_ref())
                .filter(far)
                .count()
                .to_string()
        };
        Grid {
            title: format!("ltv_{horizon}: drift of judged users from training rows, PSI"),
            heads: self.days(from),
            rows: vec![
                row("mean label, training rows".to_owned(), &trained),
                row("mean label, judged users".to_owned(), &judged),
                row("labels".to_owned(), &label),
                row("the feature farthest off".to_owned(), &largest),
                row("which one".to_owned(), &name),
                row("features above 0.25".to_owned(), &changed),
            ],
        }
    }

    /// Stability and the cost of one date of age.
    fn age_in_short(&self, horizon: u32) -> Grid {
        let heads = [
            "Spearman",
            "mean",
            "new decile",
            "NRMSE old",
            "fresh",
            "ratio old",
            "fresh",
        ];
        let predicts = |model: &&String| {
            let own = |s: &Stability| s.horizon == horizon && s.model == **model;
            self.stability.iter().any(own)
        };
        let row = |model: &String| {
            let all = || {
                self.stability
                    .iter()
                    .filter(|s| s.horizon == horizon && s.model == *model)
            };
            let mean = |get: fn(&Stability) -> Option<f64>| super::mean(all().map(get));
            let old = |metric: Metric, stale: bool| {
                let of = |a: &&Ageing| a.horizon == horizon && a.steps == 1 && a.model == *model;
                let found = self.ageing.iter().find(of)?;
                let found = found.metrics.iter().find(|m| m.metric == metric)?;
                if stale { found.stale } else { found.fresh }
            };
            let cells = vec![
                number(mean(|s| s.spearman)),
                percent(mean(|s| s.mean_change), true),
                percent(mean(|s| Some(s.decile_changed)), false),
                number(old(Metric::NRMSE, true)),
                number(old(Metric::NRMSE, false)),
                number(old(Metric::CalibrationRatio, true)),
                number(old(Metric::CalibrationRatio, false)),
            ];
            (model.clone(), cells)
        };
        Grid {
            title: format!("ltv_{horizon}: one date of age: predictions move, and cost"),
            heads: heads.map(str::to_owned).to_vec(),
            rows: self
                .models
                .iter()
                .filter(predicts)
                .take(MODELS)
                .map(row)
                .collect(),
        }
    }

    fn users(&self) -> Grid {
        let row = |d: &DateResult| {
            let mut cells = vec![
                d.until.to_string(),
                d.train_rows.to_string(),
                d.judged_rows.to_string(),
            ];
            for label in &d.labels {
                cells.push(format!(
                    "{} → {}",
                    number(label.train_mean),
                    number(label.judged_mean)
                ));
                cells.push(label.psi.map_or_else(dash, index));
            }
            (d.as_of.to_string(), cells)
        };
        let mut heads = ["judged until", "trained on", "judged"]
            .map(str::to_owned)
            .to_vec();
        for horizon in &self.horizons {
            heads.push(format!("mean ltv_{horizon}: training → judged"));
            heads.push(format!("PSI of ltv_{horizon}"));
        }
        Grid {
            title: "Dates, users, drift of labels".to_owned(),
            heads,
            rows: self.dates.iter().map(row).collect(),
        }
    }

    fn cohorts_of(&self, horizon: u32) -> Grid {
        let of: Vec<(&String, Vec<&Cohort>)> = self
            .models
            .iter()
            .map(|m| (m, self.months(m, horizon)))
            .collect();
        let first = of.iter().find(|(_, months)| !months.is_empty());
        let row = |cohort: &&Cohort| {
            let mut cells = vec![
                cohort.as_of.to_string(),
                cohort.users.to_string(),
                number(Some(cohort.label_mean)),
            ];
            for (_, months) in &of {
                let own = months.iter().find(|c| c.cohort == cohort.cohort);
                cells.push(own.map_or_else(dash, |c| {
                    format!("{} / {}", number(c.ratio), number(c.norm_gini))
                }));
            }
            (cohort.cohort.clone(), cells)
        };
        let mut heads = ["model of", "users", "mean label"]
            .map(str::to_owned)
            .to_vec();
        heads.extend(self.models.iter().map(|name| escape(name)));
        Grid {
            title: format!(
                "ltv_{horizon} by registration month: ratio of totals / normalised Gini"
            ),
            heads,
            rows: first.map_or(vec![], |(_, months)| months.iter().map(row).collect()),
        }
    }

    fn stability_of(&self, horizon: u32) -> Grid {
        let row = |s: &Stability| {
            let cells = vec![
                s.from.to_string(),
                s.to.to_string(),
                number(s.spearman),
                percent(s.mean_change, true),
                percent(Some(s.decile_changed), false),
            ];
            (s.model.clone(), cells)
        };
        let of = |model: &String| {
            let own = |s: &&Stability| s.horizon == horizon && s.model == *model;
            self.stability.iter().filter(own).collect::<Vec<_>>()
        };
        let own = self.models.iter().flat_map(of);
        let heads = [
            "model of",
            "and of",
            "Spearman",
            "change of mean",
            "in another decile",
        ];
        Grid {
            title: format!("ltv_{horizon}: two models on the users of the later date"),
            heads: heads.map(str::to_owned).to_vec(),
            rows: own.map(row).collect(),
        }
    }

    fn ageing_of(&self, horizon: u32) -> Grid {
        let row = |a: &Ageing| {
            let mut cells = vec![format!("{:.0} days", a.age_days), a.dates.to_string()];
            for metric in &a.metrics {
                cells.extend([number(metric.stale), number(metric.fresh)]);
            }
            (a.model.clone(), cells)
        };
        let mut heads = ["age", "dates"].map(str::to_owned).to_vec();
        for metric in AGED {
            heads.extend([metric.name().to_owned(), "fresh".to_owned()]);
        }
        let old = |a: &&Ageing| a.horizon == horizon && a.steps > 0;
        Grid {
            title: format!("ltv_{horizon}: what age costs"),
            heads,
            rows: self.ageing.iter().filter(old).map(row).collect(),
        }
    }

    fn drift(&self) -> Grid {
        let names = self.dates.first().map_or(&[][..], |d| &d.features);
        let row = |(i, feature): (usize, &super::FeatureDrift)| {
            let psi = |d: &DateResult| d.features.get(i).and_then(|f| f.psi);
            let cells = self.dates.iter().map(|d| psi(d).map_or_else(dash, index));
            (feature.name.clone(), cells.collect())
        };
        Grid {
            title: "Drift of features, PSI".to_owned(),
            heads: self.days(0),
            rows: names.iter().enumerate().map(row).collect(),
        }
    }
}

/// The feature farthest off.
fn worst(date: &DateResult) -> Option<(&str, Option<Psi>)> {
    let value = |psi: Option<Psi>| psi.map_or(-1.0, |p| p.value);
    let all = date.features.iter().map(|f| (f.name.as_str(), f.psi));
    all.reduce(|a, b| if value(b.1) > value(a.1) { b } else { a })
}
