//! A table of marked cells, drawn for a terminal or as Markdown.

use crate::{
    layout::{escape, pad, printable, table},
    text::line,
};

/// Widths on a terminal: at least 24 for names, and 24 + 6 x 16 = 120.
const NAME: usize = 24;
const WIDTH: usize = 120;
const CELL: usize = 16;
const COLUMNS: usize = 6;

/// What a cell's mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mark {
    /// Nothing.
    #[default]
    None,
    /// The best of its column in its block.
    Best,
    /// Not the best, but within noise of it.
    Noise,
    /// Not what the contestant is meant for.
    Aside,
}

/// A value of at most 15 characters and its mark.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) mark: Mark,
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its name, cut on a terminal where it is too long.
    pub(crate) name: String,
    /// What follows the name and is never cut.
    pub(crate) suffix: String,
    pub(crate) cells: Vec<Cell>,
    /// Whether it opens a block of rows that are compared with one another.
    pub(crate) opens: bool,
}

/// A titled table.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    /// Of the column of names, then of the others.
    pub(crate) corner: String,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            mark: Mark::None,
        }
    }
}

impl Mark {
    fn plain(self) -> char {
        match self {
            Self::None => ' ',
            Self::Best => '*',
            Self::Noise => '≈',
            Self::Aside => '°',
        }
    }
}

impl Sheet {
    /// Aligned columns of at most 120 characters; more than six columns go on below.
    pub(crate) fn plain(&self, out: &mut String) {
        line(out, &format!("\n{}", printable(&self.title)));
        let (chunks, width) = (self.heads.len().div_ceil(COLUMNS), self.name_width());
        for first in (0..chunks).map(|chunk| chunk * COLUMNS) {
            let heads = self.heads.iter().skip(first).take(COLUMNS);
            // Heads end where values do, one before the mark.
            let heads: String = heads.map(|head| format!("{:>15} ", head)).collect();
            line(out, &format!("{}{heads}", pad(&self.corner, width)));
            for (i, row) in self.rows.iter().enumerate() {
                if row.opens && i > 0 {
                    out.push('\n');
                }
                let cells = row.cells.iter().skip(first).take(COLUMNS);
                let cells: String = cells.map(Cell::plain).collect();
                line(out, &format!("{}{cells}", row.label(width)));
            }
        }
    }

    /// Wide enough for every name, as far as the columns leave room.
    fn name_width(&self) -> usize {
        let long = |row: &Row| row.name.chars().count() + row.suffix.chars().count() + 1;
        let longest = self.rows.iter().map(long).max().unwrap_or(0);
        longest.clamp(NAME, WIDTH - CELL * self.heads.len().min(COLUMNS))
    }

    /// A GitHub table below a heading.
    pub(crate) fn markdown(&self, out: &mut String) {
        let heads = std::iter::once(&self.corner).chain(&self.heads);
        let heads: Vec<String> = heads.map(|head| escape(head)).collect();
        let row = |row: &Row| {
            let name = escape(&row.name) + &row.suffix;
            let cells = row.cells.iter().map(Cell::markdown);
            std::iter::once(name).chain(cells).collect()
        };
        out.push_str(&table(
            &escape(&self.title),
            &heads,
            self.rows.iter().map(row),
        ));
    }
}

impl Row {
    fn label(&self, width: usize) -> String {
        let room = width.saturating_sub(self.suffix.chars().count());
        let name = pad(&self.name, room);
        pad(&format!("{}{}", name.trim_end(), self.suffix), width)
    }
}

impl Cell {
    fn plain(&self) -> String {
        format!(
            "{:>width$}{}",
            self.text,
            self.mark.plain(),
            width = CELL - 1
        )
    }

    fn markdown(&self) -> String {
        // Room around the sign that joins mean and spread: nothing is aligned here.
        let text = escape(&self.text).replace('±', " ± ");
        match self.mark {
            Mark::None => text,
            Mark::Best => format!("**{text}**"),
            mark => format!("{text} {}", mark.plain()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let cell = |text: &str, mark| Cell {
            text: text.to_owned(),
            mark,
        };
        let row = |name: &str, cells| Row {
            name: name.to_owned(),
            suffix: "_365".to_owned(),
            cells,
            opens: true,
        };
        Sheet {
            title: "Table 1".to_owned(),
            corner: "model".to_owned(),
            heads: vec!["NRMSE ↓".to_owned(), "NMAE ↓".to_owned()],
            rows: vec![
                row(
                    "A name much longer than the column, whatever may be the room that two columns could leave",
                    vec![cell("0.5±0.1", Mark::Best), cell("1", Mark::Noise)],
                ),
                row("a|b", vec![cell("–", Mark::None), cell("2", Mark::Aside)]),
            ],
        }
    }

    #[test]
    fn plain_keeps_the_suffix_and_aligns_values() {
        let mut out = String::new();
        sheet().plain(&mut out);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[1], "Table 1");
        assert!(lines[3].starts_with("A name much longer than the column, whatever"));
        assert!(lines[3].ends_with("…_365         0.5±0.1*              1≈"));
        assert_eq!(
            lines[5],
            format!("{:88}{:>15} {:>15}°", "a|b_365", "–", "2")
        );
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn markdown_escapes_names_and_sets_the_best_in_bold() {
        let mut out = String::new();
        sheet().markdown(&mut out);
        let expected = "\n### Table 1\n\n\
            | model | NRMSE ↓ | NMAE ↓ |\n\
            |---|--:|--:|\n\
            | A name much longer than the column, whatever may be the room that two columns could leave_365 | **0.5 ± 0.1** | 1 ≈ |\n\
            | a\\|b_365 | – | 2 ° |\n";
        assert_eq!(out, expected);
    }
}
