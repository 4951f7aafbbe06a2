//! Names and tables as text, for terminals and as Markdown. Names come from files: nothing in them may
//! move a cursor, end a cell or turn into markup.

/// Names come from files: nothing in them may move the cursor.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// Pads or shortens to `width` characters, the last of them a space.
pub fn pad(text: &str, width: usize) -> String {
    let text = printable(text);
    let room = width.saturating_sub(1);
    if text.chars().count() <= room {
        return format!("{text:width$}");
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}… ")
}

fn bars(cells: &[String]) -> String {
    let cells = cells.iter().map(|cell| format!("| {cell} "));
    cells.collect::<String>() + "|"
}

/// Names come from files: nothing in them may end a cell or turn into markup.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '|' | '<' | '[' | ']' | '~' | '&'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A GitHub table below a heading of the third level: the first column holds names, the others
/// values. Text is taken as it is, see [`escape`].
pub fn table(title: &str, heads: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let values = heads.len().saturating_sub(1);
    let mut lines = vec![format!("\n### {title}\n"), bars(heads)];
    lines.push(format!("|---{}|", "|--:".repeat(values)));
    lines.extend(rows.map(|row| bars(&row)));
    lines
        .iter()
        .fold(String::new(), |out, line| out + line + "\n")
}
