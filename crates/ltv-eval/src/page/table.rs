//! Tables: plain data in, HTML out.

use super::format::escape;
use std::fmt::Write;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Its title.
    pub caption: String,
    /// How to read it, below; may be empty.
    pub note: String,
    /// Heads of the columns; the first column names the rows.
    pub header: Vec<Cell>,
    /// Rows of as many cells as the header has.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Said smaller below it: an interval, a unit.
    pub detail: String,
    /// Shown when pointed at: a full name, a reason.
    pub title: String,
    /// How it is set apart.
    pub emphasis: Emphasis,
}

/// How a cell is set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emphasis {
    /// Not at all.
    #[default]
    None,
    /// The best of its kind.
    Best,
    /// Within noise of the best.
    NearBest,
    /// Of little weight.
    Muted,
    /// Something to look at.
    Warning,
}

impl Emphasis {
    fn class(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Best => "best",
            Self::NearBest => "near",
            Self::Muted => "muted",
            Self::Warning => "warn",
        }
    }

    /// What is said to those who cannot see it.
    fn words(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::NearBest => "within noise of the best",
            _ => "",
        }
    }
}

impl Cell {
    /// A cell that says this.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// With something smaller below.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// With something shown when pointed at.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Set apart.
    #[must_use]
    pub fn emphasis(mut self, emphasis: Emphasis) -> Self {
        self.emphasis = emphasis;
        self
    }

    fn html(&self, out: &mut String, tag: &str) {
        let _ = write!(out, "<{tag}");
        let class = self.emphasis.class();
        if !class.is_empty() {
            let _ = write!(out, " class=\"{class}\"");
        }
        if !self.title.is_empty() {
            let _ = write!(out, " title=\"{}\"", escape(&self.title));
        }
        out.push('>');
        out.push_str(&escape(&self.text));
        let words = self.emphasis.words();
        if !words.is_empty() {
            let _ = write!(out, "<span class=\"sr\"> ({words})</span>");
        }
        if !self.detail.is_empty() {
            let _ = write!(out, "<small>{}</small>", escape(&self.detail));
        }
    }
}

impl Table {
    /// A table of plain text.
    pub(crate) fn plain(
        caption: &str,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Self {
        Self {
            caption: caption.to_owned(),
            note: String::new(),
            header: header.iter().map(|text| Cell::new(*text)).collect(),
            rows: rows
                .into_iter()
                .map(|row| row.into_iter().map(Cell::new).collect())
                .collect(),
        }
    }

    /// The table in a box in which it scrolls sideways. Closing tags that HTML lets one leave out
    /// are left out: cells are most of a page with many cohorts.
    pub(crate) fn html(&self) -> String {
        let label = escape(&self.caption);
        let mut out = format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><table>"
        );
        let _ = write!(out, "<caption>{label}</caption><thead><tr>");
        for cell in &self.header {
            cell.html(&mut out, "th scope=\"col\"");
        }
        out.push_str("</thead><tbody>");
        for row in &self.rows {
            out.push_str("<tr>");
            for (i, cell) in row.iter().enumerate() {
                cell.html(&mut out, if i == 0 { "th scope=\"row\"" } else { "td" });
            }
        }
        out.push_str("</tbody></table></div>");
        if !self.note.is_empty() {
            let _ = write!(out, "<p class=\"note\">{}</p>", escape(&self.note));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_escaped_and_marked() {
        let cell = Cell::new("<b>")
            .detail("&")
            .title("\"")
            .emphasis(Emphasis::Best);
        let table = Table {
            header: vec![Cell::new("a"), Cell::new("b")],
            rows: vec![vec![Cell::new("x"), cell]],
            ..Table::default()
        };
        let html = table.html();
        let expected = "<td class=\"best\" title=\"&quot;\">&lt;b&gt;<span class=\"sr\"> (best)\
                        </span><small>&amp;</small>";
        assert!(html.contains(expected), "{html}");
        assert!(html.contains("<th scope=\"row\">x"));
    }
}
