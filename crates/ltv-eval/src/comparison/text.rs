//! The comparison in the layout of the paper's tables 1 to 3, and in the metrics it lacks.

use super::{
    document::{Comparison, EntryResult, HorizonComparison, MetricResult, TableRow},
    ranking::{Agreement, RankingResult},
    sheet::{Cell, Mark, Row, Sheet},
    standing::{Standing, Verdict},
};
use crate::{
    layout::escape,
    metric::Metric,
    text::{line, number},
};

/// Columns of the paper's tables. Its Gini* is the Gini coefficient of the predictions: the number
/// depends on the model alone, and "larger is better" is its claim, not ours.
const PAPER: [(Metric, &str); 5] = [
    (Metric::NRMSE, "NRMSE ↓"),
    (Metric::NMAE, "NMAE ↓"),
    (Metric::AMBE, "AMBE ↓"),
    (Metric::MutualGini, "Mutual Gini ↓"),
    (Metric::PredGini, "Gini* →label"),
];

/// Columns of our own.
const OURS: [(Metric, &str); 6] = [
    (Metric::NormGini, "NormGini ↑"),
    (Metric::Spearman, "Spearman ↑"),
    (Metric::Auc, "AUC ↑"),
    (Metric::CalibrationRatio, "Ratio →1"),
    (Metric::DecileMape, "Decile MAPE ↓"),
    (Metric::Capture5, "Top 5 % ↑"),
];

impl Comparison {
    /// Tables for a terminal, at most 120 columns wide, without colours.
    pub fn tables(&self) -> String {
        let mut out = String::new();
        line(&mut out, &self.title());
        self.legend().iter().for_each(|text| line(&mut out, text));
        self.sheets().iter().for_each(|sheet| sheet.plain(&mut out));
        out
    }

    /// The same as GitHub Markdown, from the third level of headings down. The best is bold.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        line(&mut out, &format!("{}.", self.title()));
        out.push('\n');
        for text in self.legend() {
            let text = escape(&text).replace("\\* best", "**Bold**: best");
            line(&mut out, &format!("- {text}"));
        }
        self.sheets()
            .iter()
            .for_each(|sheet| sheet.markdown(&mut out));
        out
    }

    fn title(&self) -> String {
        let runs = self.contestants.iter().map(|c| c.runs.len());
        let (least, most) = (runs.clone().min().unwrap_or(0), runs.max().unwrap_or(0));
        let runs = match least == most {
            true => format!("{most}"),
            false => format!("{least} to {most}"),
        };
        let (who, users) = (self.contestants.len(), self.rows);
        format!("Comparison of {who} contestants with {runs} runs (seeds) each on {users} users")
    }

    fn legend(&self) -> Vec<String> {
        let (resamples, seed) = (self.bootstrap.replicates, self.bootstrap.seed);
        [
            "mean±sd: over the runs of a contestant; a single run shows its value alone",
            "* best of its block; ≈ not the best, but within noise of it; unmarked: worse beyond noise, \
             or nobody to compare with",
            &format!(
                "noise: the 95 % interval of the difference holds 0; it joins users ({resamples} paired \
                 resamples, seed {seed}) and seeds"
            ),
            "° not what the contestant is meant for, so not judged; – no value",
            "↓ lower is better, ↑ higher, →x closer to x",
            "Mutual Gini is blind to who is who: read it with NormGini (1: users in the true order)",
            "Gini*: of the predictions, as in the paper, here best when closest to that of the labels",
            "Ratio: sum of predictions over sum of labels; Top 5 %: share of value held by those \
             predicted highest",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn sheets(&self) -> Vec<Sheet> {
        let mut sheets = vec![self.users()];
        for table in self.shown_tables() {
            let title = table.unwrap_or("All contestants");
            sheets.push(self.metrics(table, &format!("{title}: errors and distribution"), &PAPER));
            sheets.push(self.metrics(table, &format!("{title}: order and calibration"), &OURS));
        }
        sheets.extend(self.crossings());
        sheets.extend(self.rankings());
        sheets
    }

    /// The named tables; that of all where nobody or not everybody is in one.
    fn shown_tables(&self) -> Vec<Option<&str>> {
        let tables = self.results.iter().flat_map(|r| &r.tables);
        let names: std::collections::BTreeSet<&str> =
            tables.filter_map(|t| t.table.as_deref()).collect();
        let left_over = self.contestants.iter().any(|c| c.tables.is_empty());
        let all = left_over.then_some(None);
        all.into_iter().chain(names.into_iter().map(Some)).collect()
    }

    fn users(&self) -> Sheet {
        let heads = [
            "users",
            "value > 0",
            "not known yet",
            "label Gini",
            "ideal top 5 %",
        ];
        let row = |result: &HorizonComparison| {
            let share = 100.0 * result.positives as f64 / result.rows.max(1) as f64;
            let label = |metric| {
                let mean = result.entries.first().and_then(|e| e.metric(metric)?.mean);
                Cell::new(mean.map_or("–".to_owned(), number))
            };
            Row {
                name: format!("ltv_{}", result.horizon),
                suffix: String::new(),
                cells: vec![
                    Cell::new(result.rows.to_string()),
                    Cell::new(format!("{share:.1} %")),
                    Cell::new(result.immature.to_string()),
                    label(Metric::LabelGini),
                    label(Metric::IdealCapture5),
                ],
                opens: false,
            }
        };
        Sheet {
            title: "Labels".to_owned(),
            corner: "horizon".to_owned(),
            heads: heads.map(str::to_owned).to_vec(),
            rows: self.results.iter().map(row).collect(),
        }
    }

    fn metrics(&self, table: Option<&str>, title: &str, columns: &[(Metric, &str)]) -> Sheet {
        let mut rows = Vec::new();
        for result in &self.results {
            let members = result.table(table).map_or(&[][..], |table| &table.rows);
            for (i, member) in members.iter().enumerate() {
                let cells = columns
                    .iter()
                    .map(|(metric, _)| self.cell(result, member, *metric));
                rows.push(Row {
                    name: member.contestant.clone(),
                    suffix: format!("_{}", result.horizon),
                    cells: cells.collect(),
                    opens: i == 0,
                });
            }
        }
        Sheet {
            title: title.to_owned(),
            corner: "model".to_owned(),
            heads: columns.iter().map(|(_, head)| (*head).to_owned()).collect(),
            rows,
        }
    }

    fn cell(&self, result: &HorizonComparison, member: &TableRow, metric: Metric) -> Cell {
        let meant = self
            .contestants
            .iter()
            .find(|c| c.name == member.contestant);
        let meant = meant.and_then(|c| c.metrics.as_ref());
        let mark = match meant.is_none_or(|own| own.contains(&metric)) {
            true => mark(member.standing(metric)),
            false => Mark::Aside,
        };
        let entry = result
            .entry(&member.contestant)
            .and_then(|e: &EntryResult| e.metric(metric));
        let text = entry
            .and_then(mean_and_sd)
            .unwrap_or_else(|| "–".to_owned());
        Cell { text, mark }
    }

    fn crossings(&self) -> Option<Sheet> {
        let mut pairs: Vec<(u32, u32)> = self.crossing_pairs().collect();
        pairs.sort_unstable();
        pairs.dedup();
        let rows = self.contestants.iter().filter_map(|contestant| {
            let order = contestant.order.as_ref()?;
            let share = |(shorter, longer)| {
                let own = order
                    .pairs
                    .iter()
                    .find(|p| (p.shorter, p.longer) == (shorter, longer));
                own.map(|pair| pair.share)
            };
            let shares = std::iter::once(Some(order.any)).chain(pairs.iter().copied().map(share));
            Some(Row {
                name: contestant.name.clone(),
                suffix: String::new(),
                cells: shares.map(percent).collect(),
                opens: false,
            })
        });
        let rows: Vec<Row> = rows.collect();
        let heads = pairs
            .iter()
            .map(|(shorter, longer)| format!("{shorter} > {longer}"));
        (!rows.is_empty()).then(|| Sheet {
            title: "Users whose longer horizon is predicted lower, %, mean over runs ↓".to_owned(),
            corner: "model".to_owned(),
            heads: std::iter::once("any".to_owned()).chain(heads).collect(),
            rows,
        })
    }

    fn crossing_pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        let orders = self.contestants.iter().filter_map(|c| c.order.as_ref());
        orders.flat_map(|o| o.pairs.iter().map(|p| (p.shorter, p.longer)))
    }

    /// A sheet for each expected order: a row for each metric, and one for each of its pairs.
    fn rankings(&self) -> Vec<Sheet> {
        let all = || self.results.iter().flat_map(|r| &r.rankings);
        let mut names: Vec<&str> = Vec::new();
        for ranking in all() {
            if !names.contains(&ranking.name.as_str()) {
                names.push(&ranking.name);
            }
        }
        names.into_iter().map(|name| self.ranking(name)).collect()
    }

    fn ranking(&self, name: &str) -> Sheet {
        let own = |r: &&RankingResult| r.name == name;
        let all = || self.results.iter().flat_map(|r| &r.rankings).filter(own);
        let mut rows: Vec<Row> = Vec::new();
        let metrics = self.results.first().map_or(&[][..], |r| &r.rankings);
        for metric in metrics.iter().filter(own).map(|r| r.metric) {
            rows.push(self.agreements(metric.name(), true, name, metric, |r| r.agreement));
            let mut pairs: Vec<(&str, &str)> = Vec::new();
            for pair in all().filter(|r| r.metric == metric).flat_map(|r| &r.pairs) {
                if !pairs.contains(&(&pair.worse, &pair.better)) {
                    pairs.push((&pair.worse, &pair.better));
                }
            }
            for (worse, better) in pairs
                .into_iter()
                .filter(|_| all().any(|r| r.pairs.len() > 1))
            {
                let title = format!("  {worse} < {better}");
                rows.push(self.agreements(&title, false, name, metric, |r| {
                    let pair = r
                        .pairs
                        .iter()
                        .find(|p| p.worse == worse && p.better == better);
                    pair.map(|pair| pair.agreement)
                }));
            }
        }
        let longest = all().max_by_key(|r| r.order.len());
        let order = longest.map_or(String::new(), |r| r.order.join(" < "));
        Sheet {
            title: format!("Is the order of {name} found here? {order} (the best last)"),
            corner: "metric".to_owned(),
            heads: self.horizons.iter().map(|n| format!("ltv_{n}")).collect(),
            rows,
        }
    }

    fn agreements(
        &self,
        title: &str,
        opens: bool,
        name: &str,
        metric: Metric,
        find: impl Fn(&RankingResult) -> Option<Agreement>,
    ) -> Row {
        let cell = |result: &HorizonComparison| {
            let mut rankings = result.rankings.iter();
            let ranking = rankings.find(|r| r.name == name && r.metric == metric);
            Cell::new(ranking.and_then(&find).map_or("–", word))
        };
        Row {
            name: title.to_owned(),
            suffix: String::new(),
            cells: self.results.iter().map(cell).collect(),
            opens,
        }
    }
}

fn word(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::Reproduced => "reproduced",
        Agreement::Contradicted => "contradicted",
        Agreement::Undecided => "undecided",
    }
}

fn mark(standing: Option<&Standing>) -> Mark {
    match standing.map(|s| s.verdict) {
        Some(verdict) if verdict.leads() => Mark::Best,
        Some(Verdict::WithinNoise) => Mark::Noise,
        _ => Mark::None,
    }
}

fn percent(share: Option<f64>) -> Cell {
    Cell::new(share.map_or("–".to_owned(), |share| format!("{:.3}", 100.0 * share)))
}

/// `0.4765±0.0012` in at most 14 characters.
fn mean_and_sd(result: &MetricResult) -> Option<String> {
    let (mean, sd) = (result.mean?, result.sd);
    let largest = mean.abs().max(sd.unwrap_or(0.0));
    let show = |value: f64| match largest {
        // 0 is exact; what is merely small must not look like it.
        0.0 => "0".to_owned(),
        v if v < 1e-3 => format!("{value:.1e}"),
        v if v < 10.0 => format!("{value:.4}"),
        v if v < 100.0 => format!("{value:.3}"),
        v if v < 1000.0 => format!("{value:.2}"),
        v if v < 1e4 => format!("{value:.1}"),
        v if v < 1e6 => format!("{value:.0}"),
        _ => format!("{value:.1e}"),
    };
    Some(sd.map_or_else(|| show(mean), |sd| format!("{}±{}", show(mean), show(sd))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_cells() {
        for mean in [
            0.0, 1e-12, 5e-4, 0.4765, 9.99999, 99.9999, 1234.5, 99999.9, 1e6, 1e300,
        ] {
            for sd in [None, Some(0.0), Some(mean / 9.0), Some(mean * 3.0)] {
                let text = mean_and_sd(&MetricResult {
                    metric: Metric::AMBE,
                    mean: Some(mean),
                    sd,
                    runs: vec![],
                    reason: None,
                    interval: None,
                });
                let text = text.unwrap_or_default();
                assert!(text.chars().count() <= 15, "{text}");
            }
        }
    }
}
