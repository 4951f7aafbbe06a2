//! From the columns of a dataset to what the network reads: the encoding of `ltv_core::encoding`, in
//! operators. Comparisons are in double precision, as they are there.

use crate::{
    OnnxError,
    graph::{Graph, Value},
    proto::{AttributeProto, Element},
    search::count_below,
};
use ltv_core::encoding::{Cells, Cohort, Encoding, FeatureEncoding, Scale};
use std::collections::BTreeMap;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKind {
    /// Numbers in double precision, NaN where missing.
    Number,
    /// Categories as text.
    Text,
    /// The day of registration, whole days since 1970-01-01.
    Day,
}

impl ColumnKind {
    fn about(self) -> &'static str {
        match self {
            Self::Number => "number; NaN where missing",
            Self::Text => "category; the metadata's missing_text where missing",
            Self::Day => "day of registration, in days since 1970-01-01",
        }
    }

    fn element(self) -> Element {
        match self {
            Self::Number => Element::Double,
            Self::Text => Element::Text,
            Self::Day => Element::Int64,
        }
    }

    /// In the words of an error.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a category",
            Self::Day => "the day of registration",
        }
    }
}

/// A column that the graph reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name in the dataset, and in the graph.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What the network reads.
pub(crate) struct Inputs {
    /// Cells, integers `[rows, fields]`.
    pub(crate) cells: Value,
    /// Numbers in single precision, `[rows, numbers]`, where there are any.
    pub(crate) numbers: Option<Value>,
}

/// The columns of a graph, each an input once.
#[derive(Default)]
struct Columns {
    list: Vec<Column>,
    known: BTreeMap<String, (ColumnKind, Value)>,
}

impl Columns {
    fn get(&mut self, g: &mut Graph, name: &str, kind: ColumnKind) -> Result<Value, OnnxError> {
        if let Some(&(first, value)) = self.known.get(name) {
            return match first == kind {
                true => Ok(value),
                false => Err(OnnxError::Column {
                    column: name.to_owned(),
                    first: first.name(),
                    second: kind.name(),
                }),
            };
        }
        if name.starts_with('/') {
            return Err(OnnxError::Slash {
                column: name.to_owned(),
            });
        }
        let value = g.input(name, kind.element(), kind.about());
        self.known.insert(name.to_owned(), (kind, value));
        self.list.push(Column {
            name: name.to_owned(),
            kind,
        });
        Ok(value)
    }

    /// Several side by side.
    fn side_by_side(
        &mut self,
        g: &mut Graph,
        names: &[&String],
        kind: ColumnKind,
    ) -> Result<Value, OnnxError> {
        let columns: Result<Vec<_>, _> = names.iter().map(|n| self.get(g, n, kind)).collect();
        Ok(g.concat(&columns?))
    }
}

/// The text that stands for a missing category: none, unless some vocabulary has that as a value.
pub(crate) fn missing_text(encoding: &Encoding) -> String {
    let taken = |text: &str| {
        encoding.features.iter().any(|f| match &f.cells {
            Cells::Vocabulary { values } => values.iter().any(|v| v == text),
            Cells::Bins { .. } => false,
        })
    };
    let mut text = String::new();
    while taken(&text) {
        text = match text.as_str() {
            "" => "<missing>".into(),
            longer => format!("<{longer}>"),
        };
    }
    text
}

/// The inputs of the graph, and what the network reads of them.
pub(crate) fn build(
    g: &mut Graph,
    encoding: &Encoding,
) -> Result<(Vec<Column>, Inputs), OnnxError> {
    let mut columns = Columns::default();
    let mut parts = vec![];
    // The field of every column of the parts side by side.
    let mut fields = vec![];
    let bins = Bins::of(encoding);
    let mut numbers = vec![];
    if !bins.columns.is_empty() {
        let x = columns.side_by_side(g, &bins.columns, ColumnKind::Number)?;
        parts.push(bins.cells(g, x));
        numbers.extend(bins.numbers(g, x));
        fields.extend(&bins.fields);
    }
    let missing = missing_text(encoding);
    for (feature, first) in with_fields(encoding) {
        if let Cells::Vocabulary { values } = &feature.cells {
            if feature.scale.is_some() {
                let problem = format!("category '{}' has a scale", feature.name);
                return Err(OnnxError::internal(problem));
            }
            let names: Vec<&String> = feature.columns.iter().collect();
            let text = columns.side_by_side(g, &names, ColumnKind::Text)?;
            parts.push(vocabulary(g, text, values, &missing));
            fields.extend(first..first + names.len());
        }
    }
    let cells = g.concat(&parts);
    let cells = in_order(g, cells, &fields);
    if let Some(cohort) = &encoding.cohort {
        let day = columns.get(g, Cohort::COLUMN, ColumnKind::Day)?;
        numbers.push(ages(g, cohort, day));
    }
    let numbers = (!numbers.is_empty()).then(|| g.concat(&numbers));
    Ok((columns.list, Inputs { cells, numbers }))
}

/// Every feature with the number of its first field.
fn with_fields(encoding: &Encoding) -> impl Iterator<Item = (&FeatureEncoding, usize)> {
    let mut next = 0;
    encoding.features.iter().map(move |feature| {
        next += feature.columns.len();
        (feature, next - feature.columns.len())
    })
}

/// Columns of parts put in the order of the network's fields.
fn in_order(g: &mut Graph, cells: Value, fields: &[usize]) -> Value {
    if fields.iter().enumerate().all(|(i, field)| i == *field) {
        return cells;
    }
    let mut order = vec![0; fields.len()];
    for (at, &field) in fields.iter().enumerate() {
        order[field] = at as i64;
    }
    let order = g.ints(&[order.len()], &order);
    g.gather(cells, order, 1)
}

/// All numeric columns, worked on together.
struct Bins<'a> {
    columns: Vec<&'a String>,
    fields: Vec<usize>,
    edges: Vec<&'a [f64]>,
    scales: Vec<Option<Scale>>,
}

impl<'a> Bins<'a> {
    fn of(encoding: &'a Encoding) -> Self {
        let mut all = Self {
            columns: vec![],
            fields: vec![],
            edges: vec![],
            scales: vec![],
        };
        for (feature, first) in with_fields(encoding) {
            if let Cells::Bins { edges } = &feature.cells {
                for (i, column) in feature.columns.iter().enumerate() {
                    all.columns.push(column);
                    all.fields.push(first + i);
                    all.edges.push(edges);
                    all.scales.push(feature.scale);
                }
            }
        }
        all
    }

    /// [`Cells::of_number`].
    fn cells(&self, g: &mut Graph, x: Value) -> Value {
        let bin = count_below(g, x, &self.edges);
        let two = g.int(2);
        let bin = g.op("Add", &[bin, two]);
        let (zero, nothing) = (g.double(0.0), g.op("IsNaN", &[x]));
        let is_zero = g.op("Equal", &[x, zero]);
        let [at_zero, missing] = [Cells::ZERO, Cells::MISSING].map(|cell| g.int(cell.into()));
        let cell = g.op("Where", &[is_zero, at_zero, bin]);
        g.op("Where", &[nothing, missing, cell])
    }

    /// [`Scale::apply`] of the columns that have a scale; none where none has.
    fn numbers(&self, g: &mut Graph, x: Value) -> Option<Value> {
        let scaled = self.scales.iter().enumerate();
        let scaled: Vec<(i64, Scale)> = scaled
            .filter_map(|(i, scale)| Some((i as i64, (*scale)?)))
            .collect();
        if scaled.is_empty() {
            return None;
        }
        let which: Vec<i64> = scaled.iter().map(|s| s.0).collect();
        let scales: Vec<Scale> = scaled.iter().map(|s| s.1).collect();
        let which = g.ints(&[which.len()], &which);
        let x = g.gather(x, which, 1);
        let (nan, infinite) = (g.op("IsNaN", &[x]), g.op("IsInf", &[x]));
        let unusable = g.op("Or", &[nan, infinite]);
        let (size, sign) = (g.op("Abs", &[x]), g.op("Sign", &[x]));
        let logarithm = logarithm_plus_one(g, size);
        let y = g.op("Mul", &[sign, logarithm]);
        let y = standardise(g, y, &scales);
        let zero = g.double(0.0);
        let y = g.op("Where", &[unusable, zero, y]);
        Some(g.cast(y, Element::Float))
    }
}

/// `ln(1 + x)`: to 1e-16 of its size at least 1, which is below what single precision keeps of it once it
/// is standardised.
fn logarithm_plus_one(g: &mut Graph, x: Value) -> Value {
    let one = g.double(1.0);
    let more = g.op("Add", &[x, one]);
    g.op("Log", &[more])
}

fn standardise(g: &mut Graph, y: Value, scales: &[Scale]) -> Value {
    let means: Vec<f64> = scales.iter().map(|s| s.mean).collect();
    let sds: Vec<f64> = scales.iter().map(|s| s.sd).collect();
    let [means, sds] = [means, sds].map(|v| g.doubles(&[1, v.len()], &v));
    let y = g.op("Sub", &[y, means]);
    g.op("Div", &[y, sds])
}

/// [`Cells::of_text`].
fn vocabulary(g: &mut Graph, text: Value, values: &[String], missing: &str) -> Value {
    let keys = std::iter::once(missing).chain(values.iter().map(String::as_str));
    let cells = std::iter::once(Cells::MISSING.into()).chain(2..values.len() as i64 + 2);
    let attributes = vec![
        AttributeProto::texts("keys_strings", keys),
        AttributeProto::ints("values_int64s", cells.collect()),
        AttributeProto::int("default_int64", Cells::UNSEEN.into()),
    ];
    g.op_with("LabelEncoder", &[text], attributes)
}

/// [`Cohort::numbers`], `[rows, horizons]`.
fn ages(g: &mut Graph, cohort: &Cohort, day: Value) -> Value {
    let day = g.cast(day, Element::Double);
    let (as_of, zero) = (g.double(cohort.as_of.0.into()), g.double(0.0));
    let days = g.op("Sub", &[as_of, day]);
    let days = g.op("Max", &[days, zero]);
    let year = g.double(365.25);
    let years = g.op("Div", &[days, year]);
    let least = g.doubles(&[1, cohort.least.len()], &cohort.least);
    let years = g.op("Max", &[years, least]);
    let y = logarithm_plus_one(g, years);
    let y = standardise(g, y, &[cohort.scale]);
    g.cast(y, Element::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::Day;

    fn words(name: &str, values: &[&str]) -> FeatureEncoding {
        FeatureEncoding {
            name: name.into(),
            columns: vec![name.into()],
            cells: Cells::Vocabulary {
                values: values.iter().map(ToString::to_string).collect(),
            },
            scale: None,
        }
    }

    fn number(name: &str) -> FeatureEncoding {
        FeatureEncoding {
            cells: Cells::Bins { edges: vec![1.0] },
            ..words(name, &[])
        }
    }

    fn encoding(features: Vec<FeatureEncoding>) -> Encoding {
        Encoding {
            features,
            ..Encoding::default()
        }
    }

    #[test]
    fn what_is_missing_is_told_from_what_is_known() {
        let text = |values: &[&str]| missing_text(&encoding(vec![number("x"), words("y", values)]));
        assert_eq!(text(&["a", "b"]), "");
        assert_eq!(text(&["", "b"]), "<missing>");
        assert_eq!(text(&["", "<missing>"]), "<<missing>>");
    }

    /// Numbers come first among the inputs, whatever the order of features; a column that is read twice
    /// is one input.
    #[test]
    fn a_column_is_an_input_once() {
        let features = vec![words("channel", &["ads"]), number("x"), number("x")];
        let mut g = Graph::default();
        let (columns, _) = build(&mut g, &encoding(features)).unwrap();
        let names: Vec<_> = columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["x", "channel"]);
    }

    #[test]
    fn a_column_of_two_kinds_is_refused() {
        let twice = encoding(vec![number("x"), words("x", &["1"])]);
        let Err(error) = build(&mut Graph::default(), &twice) else {
            panic!("it was taken")
        };
        let expected = "column 'x': the model reads it as a number and as a category";
        assert!(error.to_string().starts_with(expected), "{error}");
        let inner = encoding(vec![number("/Concat_0:0")]);
        let Err(error) = build(&mut Graph::default(), &inner) else {
            panic!("it was taken")
        };
        assert!(error.to_string().contains("'/Concat_0:0'"), "{error}");
        let scale = Scale { mean: 0.0, sd: 1.0 };
        let cohort = Some(Cohort {
            as_of: Day(0),
            scale,
            least: vec![0.0],
        });
        let day = Encoding {
            cohort,
            ..encoding(vec![number(Cohort::COLUMN)])
        };
        assert!(build(&mut Graph::default(), &day).is_err());
    }
}
