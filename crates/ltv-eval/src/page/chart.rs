//! What all charts share: the figure around them, axes, lines, legends.
//!
//! A chart is a document of options for Apache ECharts. Three kinds of strings in it are looked up
//! by the page's script, because JSON has no functions and options no themes: `@name` as a colour is
//! that colour of the theme in use; a `formatter` that is an object and a `renderItem` name one of
//! the script's functions. Text from outside never stands in such a place.

use super::{
    format::{escape, rounded},
    palette::Style,
    table::Table,
};
use serde_json::{Value, json};

/// Sets shown before somebody asks for more.
pub(crate) const SHOWN: usize = 6;

/// A chart with all that stands around it.
#[derive(Debug)]
pub(crate) struct Chart {
    /// Identifier in the page, of letters, digits and dashes.
    pub(crate) id: String,
    pub(crate) title: String,
    /// One sentence with the numbers that matter.
    pub(crate) summary: String,
    /// Height in CSS pixels.
    pub(crate) height: usize,
    /// Whether it takes the whole width.
    pub(crate) wide: bool,
    pub(crate) option: Value,
    /// The numbers drawn.
    pub(crate) data: Table,
}

impl Chart {
    /// The figure, under this identifier.
    pub(crate) fn html(&self, id: &str) -> String {
        let (title, summary) = (escape(&self.title), escape(&self.summary));
        let wide = if self.wide { " wide" } else { "" };
        format!(
            "<figure class=\"chart{wide}\" id=\"{id}\" data-chart=\"{id}\">\
             <figcaption><h4>{title}</h4><p>{summary}</p></figcaption>\
             <div class=\"plot\" role=\"img\" aria-label=\"{title}. {summary}\" \
             style=\"height:{}px\"></div>\
             <details><summary>Show the numbers</summary>{}</details></figure>\n",
            self.height,
            self.data.html()
        )
    }
}

/// An axis of shares, 0 to 100 %.
pub(crate) fn share_axis(name: &str) -> Value {
    json!({"type": "value", "name": name, "min": 0, "max": 1, "interval": 0.25, "axisLabel": {"formatter": {"use": "percent"}}})
}

/// An axis of numbers.
pub(crate) fn number_axis(name: &str) -> Value {
    json!({"type": "value", "name": name, "axisLabel": {"formatter": {"use": "number"}}})
}

/// A logarithmic axis between powers of ten.
pub(crate) fn log_axis(name: &str, ends: (f64, f64)) -> Value {
    json!({"type": "log", "name": name, "min": ends.0, "max": ends.1,
        "axisLabel": {"formatter": {"use": "number"}}})
}

/// Powers of ten around positive values that spread over a factor of more than `spread`.
pub(crate) fn decades(values: impl Iterator<Item = f64>, spread: f64) -> Option<(f64, f64)> {
    let positive = values.filter(|v| v.is_finite() && *v > 0.0);
    let ends = positive.fold((f64::INFINITY, 0.0f64), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    (ends.1 > spread * ends.0).then(|| {
        (
            10f64.powi(ends.0.log10().floor() as i32),
            10f64.powi(ends.1.log10().ceil() as i32),
        )
    })
}

/// Tooltip for the place on the x axis, with formats for x and for each y axis.
pub(crate) fn axis_tip(x: &str, y: &[&str]) -> Value {
    json!({"trigger": "axis", "formatter": {"use": "axis", "x": x, "y": y}})
}

/// Tooltip that says what the point carries as its `tip`.
pub(crate) fn item_tip() -> Value {
    json!({"trigger": "item", "formatter": {"use": "tip"}})
}

/// A legend in which sets beyond the first few start out hidden.
pub(crate) fn legend(fixed: &[&str], sets: &[&str]) -> Value {
    let names: Vec<&str> = fixed.iter().chain(sets).copied().collect();
    let hidden = sets.iter().skip(SHOWN);
    let selected: serde_json::Map<String, Value> = hidden
        .map(|set| ((*set).to_owned(), Value::Bool(false)))
        .collect();
    json!({"data": names, "selected": selected})
}

/// A line through points.
pub(crate) fn line(name: &str, style: &Style, points: Vec<Value>) -> Value {
    json!({"type": "line", "name": name, "data": points, "symbol": "none", "color": style.color,
        "lineStyle": {"width": 2, "type": style.pattern, "color": style.color}})
}

/// Style of what was really seen.
pub(crate) fn actual() -> Style {
    Style {
        color: "@ink".to_owned(),
        pattern: "solid",
        symbol: "circle",
    }
}

/// How far in front the points of the set in this place are drawn: the subject before all others.
pub(crate) fn front(place: usize) -> usize {
    4 + 16usize.saturating_sub(place)
}

/// A dashed line that others are read against.
pub(crate) fn guide(name: &str, points: Vec<Value>) -> Value {
    json!({"type": "line", "name": name, "data": points, "symbol": "none", "silent": true, "z": 1,
        "color": "@axis", "lineStyle": {"width": 1, "type": [4, 4], "color": "@axis"}})
}

/// A point.
pub(crate) fn at(x: f64, y: f64) -> Value {
    json!([rounded(x), rounded(y)])
}

/// Intervals: a line with caps from low to high, across the axis that holds the places.
pub(crate) fn whiskers(name: &str, color: &str, data: Vec<Value>, horizontal: bool) -> Value {
    let encode = if horizontal {
        json!({"x": [1, 2], "y": 0})
    } else {
        json!({"x": 0, "y": [1, 2]})
    };
    json!({"type": "custom", "name": name, "data": data, "encode": encode, "color": color, "z": 3,
        "renderItem": {"use": "whisker", "horizontal": horizontal}, "silent": true, "clip": true})
}

/// `in USD`, or nothing where nobody said what is counted.
pub(crate) fn with_unit(name: &str, unit: &str) -> String {
    if unit.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({unit})")
    }
}

/// A number and its unit.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    format!("{} {unit}", super::format::number(value))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_enclose_spread_values() {
        assert_eq!(
            decades([0.0, 0.5, 70.0, f64::NAN].into_iter(), 50.0),
            Some((0.1, 100.0))
        );
        assert_eq!(decades([2.0, 3.0].into_iter(), 50.0), None);
        assert_eq!(decades([0.0].into_iter(), 50.0), None);
    }
}
