//! The body of the page: sections in order, each chart once, what is left out with its reason.

use super::{
    chart::Chart,
    charts,
    format::{escape, grouped, percent},
    glossary::ENTRIES,
    input::{
        Comparison, Fact, Headline, HorizonPart, MetricDots, Part, ReportInput, Reproduce, Section,
    },
    metrics,
    palette::Palette,
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write};

/// What stands between head and foot of the page.
#[derive(Default)]
pub(crate) struct Body {
    /// The sections.
    pub(crate) html: String,
    /// Links to the sections: identifier and name.
    pub(crate) links: Vec<(String, String)>,
    /// Options of the charts by identifier.
    pub(crate) options: BTreeMap<String, Value>,
    /// What is left out and why.
    left_out: Vec<(String, String)>,
}

/// Builds the body.
pub(crate) fn body(input: &ReportInput, palette: &Palette) -> Body {
    let mut body = Body::default();
    if let Some(headlines) = body
        .take("Headlines", &input.headlines)
        .filter(|h| !h.is_empty())
    {
        body.headlines(headlines);
    }
    if let Some(comparison) = body.take("Comparison", &input.comparison) {
        body.comparison(comparison, palette);
    }
    for section in &input.sections {
        body.own(section, palette);
    }
    for part in &input.horizons {
        body.horizon(part, &input.unit, palette);
    }
    body.across(input, palette);
    if let Some(reproduce) = body.take("How to reproduce", &input.reproduce) {
        body.reproduce(reproduce);
    }
    body.closing();
    body
}

impl Body {
    /// The part, or None after noting why it is not there.
    fn take<'a, T>(&mut self, name: &str, part: &'a Part<T>) -> Option<&'a T> {
        match part {
            Part::Given(part) => Some(part),
            Part::Absent(reason) => {
                if !reason.is_empty() {
                    self.left_out.push((name.to_owned(), reason.clone()));
                }
                None
            }
        }
    }

    /// The figure of a chart, or nothing after noting that there was nothing to draw.
    fn figure(&mut self, name: &str, chart: Option<Chart>) -> String {
        let Some(chart) = chart else {
            self.left_out
                .push((name.to_owned(), "there is nothing to draw".to_owned()));
            return String::new();
        };
        let id = self.unused(&chart.id);
        let html = chart.html(&id);
        self.options.insert(id, chart.option);
        html
    }

    /// The identifier, or the first of `id-2`, `id-3`, ... that no chart has.
    fn unused(&self, id: &str) -> String {
        let mut found = id.to_owned();
        let mut next = 2;
        while self.options.contains_key(&found) {
            found = format!("{id}-{next}");
            next += 1;
        }
        found
    }

    /// A section with a link to it; nothing when it would be empty.
    fn section(&mut self, id: &str, link: &str, title: &str, content: &str) {
        if content.is_empty() {
            return;
        }
        let taken = self.links.iter().filter(|l| l.0 == id).count();
        let id = if taken == 0 {
            id.to_owned()
        } else {
            format!("{id}-again-{}", self.links.len())
        };
        let _ = write!(
            self.html,
            "<section id=\"{id}\"><h2>{}</h2>\n{content}</section>\n",
            escape(title)
        );
        self.links.push((id, link.to_owned()));
    }

    fn headlines(&mut self, headlines: &[Headline]) {
        let cards: String = headlines.iter().map(card).collect();
        let content = format!("<div class=\"cards\">{cards}</div>");
        self.section("glance", "Summary", "At a glance", &content);
    }

    fn comparison(&mut self, comparison: &Comparison, palette: &Palette) {
        let mut content = String::new();
        for table in &comparison.tables {
            content.push_str(&table.html());
        }
        content += &self.dots(&comparison.dots, palette);
        let mut curves = String::new();
        for of in &comparison.curves {
            let chart = charts::lorenz::several(&of.curves, of.days, palette);
            curves += &self.figure(&format!("Curves of all sets, {} days", of.days), chart);
        }
        if !curves.is_empty() {
            let _ = write!(content, "<div class=\"grid\">{curves}</div>");
        }
        self.section("compare", "Compare", "Models side by side", &content);
    }

    /// A section of the caller's own.
    fn own(&mut self, section: &Section, palette: &Palette) {
        let mut content = match section.lead.as_str() {
            "" => String::new(),
            text => format!("<p class=\"lead\">{}</p>\n", escape(text)),
        };
        let mut charts = String::new();
        for lines in &section.lines {
            charts += &self.figure(&lines.title, charts::lines::lines(lines, palette));
        }
        if !charts.is_empty() {
            let _ = write!(content, "<div class=\"grid\">{charts}</div>");
        }
        section.tables.iter().for_each(|t| content += &t.html());
        self.section(&section.id, &section.link, &section.title, &content);
    }

    /// Small charts side by side.
    fn dots(&mut self, metrics: &[MetricDots], palette: &Palette) -> String {
        let mut small = String::new();
        for metric in metrics {
            small += &self.figure(&metric.title, charts::dots::dots(metric, palette));
        }
        if small.is_empty() {
            return small;
        }
        format!("<div class=\"grid small\">{small}</div>")
    }

    fn horizon(&mut self, part: &HorizonPart, unit: &str, palette: &Palette) {
        let days = part.days;
        let named = |name: &str| format!("{name}, {days} days");
        let mut content = lead(part);
        if let Some(sets) = self.take(&named("Metrics"), &part.scores) {
            content += &metrics::table(sets, days).map_or(String::new(), |t| t.html());
        }
        content += &self.dots(&part.dots, palette);
        part.tables.iter().for_each(|t| content += &t.html());
        let grid = self.horizon_charts(part, unit, palette);
        if !grid.is_empty() {
            let _ = write!(content, "<div class=\"grid\">{grid}</div>");
        }
        let link = format!("{days} days");
        self.section(
            &format!("days-{days}"),
            &link,
            &format!("Next {days} days"),
            &content,
        );
    }

    fn horizon_charts(&mut self, part: &HorizonPart, unit: &str, palette: &Palette) -> String {
        let days = part.days;
        let named = |name: &str| format!("{name}, {days} days");
        let mut grid = String::new();
        if let Some(sets) = self.take(&named("Lorenz and gain curves"), &part.curves) {
            let first = sets.first();
            let lorenz = first.and_then(|s| charts::lorenz::lorenz(s, days, palette));
            grid += &self.figure(&named("Lorenz curves"), lorenz);
            if sets.len() > 1 {
                let chart = charts::lorenz::several(sets, days, palette);
                grid += &self.figure(&named("Curves of all sets"), chart);
            }
            let gain = charts::lorenz::gain(sets, days, palette);
            grid += &self.figure(&named("Gain curves"), gain);
        }
        if let Some(sets) = self.take(&named("Deciles"), &part.deciles) {
            let chart = charts::calibration::calibration(sets, days, unit, palette);
            grid += &self.figure(&named("Deciles"), chart);
        }
        if let Some(sets) = self.take(&named("Reliability of quantiles"), &part.quantiles) {
            let chart = charts::quantiles::quantiles(sets, days, palette);
            grid += &self.figure(&named("Reliability of quantiles"), chart);
        }
        if let Some(labels) = self.take(&named("Distribution of actual values"), &part.labels) {
            let chart = charts::histogram::histogram(labels, days, unit);
            grid += &self.figure(&named("Distribution of actual values"), chart);
        }
        for totals in self
            .take(&named("Totals"), &part.totals)
            .into_iter()
            .flatten()
        {
            let chart = charts::totals::totals(totals, days, unit, palette);
            grid += &self.figure(&named(&format!("Totals by {}", totals.name)), chart);
        }
        grid
    }

    /// What is not about one horizon.
    fn across(&mut self, input: &ReportInput, palette: &Palette) {
        if let Some(sets) = self.take("Order of horizons", &input.order) {
            let html = self.figure("Order of horizons", charts::order::order(sets, palette));
            self.section("order-section", "Order", "Order of horizons", &html);
        }
        if let Some(runs) = self.take("Training curves", &input.training) {
            let html = self.figure("Training curves", charts::training::training(runs, palette));
            self.section("training-section", "Training", "Training", &html);
        }
        if let Some(features) = self.take("Importance of features", &input.importance) {
            let chart = charts::importance::importance(features, palette);
            let html = self.figure("Importance of features", chart);
            self.section("features-section", "Features", "Features", &html);
        }
    }

    fn reproduce(&mut self, reproduce: &Reproduce) {
        let mut content = facts(&reproduce.facts);
        for (name, text) in [
            ("Command line", &reproduce.command),
            ("Configuration", &reproduce.config),
        ] {
            if !text.is_empty() {
                let _ = write!(
                    content,
                    "<details class=\"copy\"><summary>{name}</summary><button type=\"button\" \
                     data-copy>Copy</button><pre tabindex=\"0\">{}</pre></details>",
                    escape(text)
                );
            }
        }
        self.section(
            "reproduce",
            "Reproduce",
            "How to reproduce these numbers",
            &content,
        );
    }

    /// The glossary, and what is left out.
    fn closing(&mut self) {
        let mut terms = String::new();
        for entry in &ENTRIES {
            let mark = entry.metric.direction().mark();
            let _ = write!(
                terms,
                "<dt>{} <span class=\"mark\">{mark}</span></dt><dd>{} <em>{}</em></dd>",
                escape(entry.name),
                escape(entry.means),
                escape(entry.beware)
            );
        }
        let content = format!(
            "<details class=\"glossary\"><summary>What each metric means, and when it misleads\
             </summary><dl>{terms}</dl></details>"
        );
        self.section("glossary", "Glossary", "Glossary", &content);
        if !self.left_out.is_empty() {
            let items: String = std::mem::take(&mut self.left_out)
                .iter()
                .map(|(name, why)| format!("<li>{}: {}.</li>", escape(name), escape(why)))
                .collect();
            let content = format!("<ul class=\"muted\">{items}</ul>");
            self.section("left-out", "Left out", "Not in this report", &content);
        }
    }
}

/// Names and values.
pub(crate) fn facts(facts: &[Fact]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let items: String = facts
        .iter()
        .map(|f| {
            format!(
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escape(&f.name),
                escape(&f.value)
            )
        })
        .collect();
    format!("<dl class=\"facts\">{items}</dl>")
}

fn card(headline: &Headline) -> String {
    format!(
        "<article class=\"card\"><h3>{}</h3><p class=\"figure\">{}</p><p>{}</p>{}</article>",
        escape(&headline.title),
        escape(&headline.figure),
        escape(&headline.text),
        facts(&headline.facts)
    )
}

/// The sentence that opens a horizon.
fn lead(part: &HorizonPart) -> String {
    let share = percent(part.positives as f64 / part.users.max(1) as f64);
    let immature = match part.immature {
        0 => String::new(),
        n => format!(
            " For {} more it is not known yet; they are left out.",
            grouped(n)
        ),
    };
    format!(
        "<p class=\"lead\">The actual value of {} users is known; {share} of them are worth more than \
         0.{immature}</p>\n",
        grouped(part.users)
    )
}
