//! Writing SQL text.

/// A column's name with what it is in front.
pub(super) fn name(prefix: &str, column: &str) -> String {
    identifier(&format!("{prefix}_{column}"))
}

/// Words that are not names in one engine or another, in lower case.
const RESERVED: &str = "all and as asc between by case cast column cross current date day default desc distinct \
    else end exists from full group having hour in inner interval is join left like limit \
    minute month not null offset on or order outer over partition primary range right rows \
    second select set table then time timestamp to true false union unique user using values \
    when where window with year";

/// A name as SQL wants it: quoted when it is not plain lower case, or a common reserved word.
pub(super) fn identifier(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = |c: char| c.is_ascii_lowercase() || c == '_';
    if name.starts_with(starts)
        && name.chars().all(plain)
        && !RESERVED.split(' ').any(|w| w == name)
    {
        name.to_string()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// The head of a query, one item on each line.
pub(super) fn select(items: &[String]) -> String {
    format!("SELECT\n  {}", items.join(",\n  "))
}

/// Two spaces before each line.
pub(super) fn indent(text: &str) -> String {
    text.lines()
        .map(|l| format!("  {l}"))
        .collect::<Vec<_>>()
        .join("\n")
}
