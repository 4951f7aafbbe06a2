//! Numbers and text for people.

/// Text that may hold anything, for an element's content or an attribute in double quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// JSON for a script element: no `<` is left that could end it or open a comment.
pub(crate) fn script_json(value: &serde_json::Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Three significant digits, thousands apart: `0.0123`, `12.3`, `1,230`, `45,600`, `1.23 M`.
///
/// Whole numbers under a million are shown in full.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    let text = match size {
        v if v >= 1e15 => format!("{v:.2e}"),
        v if v >= 999.5e9 => format!("{} T", significant(v / 1e12)),
        v if v >= 999.5e6 => format!("{} B", significant(v / 1e9)),
        v if v >= 999.5e3 => format!("{} M", significant(v / 1e6)),
        v if v.fract() == 0.0 => grouped(v as u64),
        v if v < 1e-4 => format!("{v:.2e}"),
        v => significant(v),
    };
    if value < 0.0 {
        format!("−{text}")
    } else {
        text
    }
}

/// Three significant digits of a positive number, at least all digits before the point.
fn significant(value: f64) -> String {
    let digits = 2 - value.log10().floor() as i32;
    if digits <= 0 {
        let unit = 10f64.powi(-digits);
        return grouped(((value / unit).round() * unit) as u64);
    }
    let text = format!("{value:.*}", digits as usize);
    // 9.996 has become 10.00: one digit too many.
    let first = text.find(|c: char| c.is_ascii_digit() && c != '0');
    let shown = first.map_or(0, |at| {
        text[at..].chars().filter(char::is_ascii_digit).count()
    });
    if shown > 3 {
        format!("{value:.*}", digits as usize - 1)
    } else {
        text
    }
}

/// A count: `1,234,567`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A share as a percentage of three significant digits, never more than two decimals: `4.05 %`. The space before
/// the sign does not break.
pub(crate) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "–".to_owned();
    }
    let value = 100.0 * share;
    let text = match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 0.005 => "under 0.01".to_owned(),
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => number(v.round()),
    };
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{text}\u{a0}%")
}

/// How far a ratio is from 1, in words: `4.2 % above`, `12.0 % below`, `equal to`.
pub(crate) fn against(ratio: f64) -> String {
    match ratio - 1.0 {
        d if d.abs() < 0.0005 => "equal to".to_owned(),
        d if d > 0.0 => format!("{} above", percent(d)),
        d => format!("{} below", percent(-d)),
    }
}

/// A number for JSON, to five significant digits; null where it is not finite.
pub(crate) fn rounded(value: f64) -> serde_json::Value {
    if !value.is_finite() {
        return serde_json::Value::Null;
    }
    let short: f64 = format!("{value:.4e}").parse().unwrap_or(value);
    if short.fract() == 0.0 && short.abs() < 1e15 {
        return serde_json::Value::from(short as i64);
    }
    serde_json::Value::from(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.012345, "0.0123"),
            (9.996, "10.0"),
            (0.9996, "1.00"),
            (12.345, "12.3"),
            (123.45, "123"),
            (1234.5, "1,230"),
            (1234.0, "1,234"),
            (45_678.9, "45,700"),
            (1_234_567.0, "1.23 M"),
            (999_900_000.0, "1.00 B"),
            (-0.5, "−0.500"),
            (0.00001234, "1.23e-5"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn shares_and_ratios_in_words() {
        assert_eq!(percent(0.0405), "4.05\u{a0}%");
        assert_eq!(percent(0.48), "48.0\u{a0}%");
        assert_eq!(percent(1.0), "100\u{a0}%");
        assert_eq!(percent(-0.00001), "−under 0.01\u{a0}%");
        assert_eq!(percent(0.0), "0\u{a0}%");
        assert_eq!(against(1.0421), "4.21\u{a0}% above");
        assert_eq!(against(0.88), "12.0\u{a0}% below");
        assert_eq!(against(1.0), "equal to");
    }

    #[test]
    fn nothing_ends_a_script_or_an_attribute() {
        let hostile = "</script><!--\"'&\u{2028}\u{1b}";
        let json = script_json(&serde_json::json!([hostile]));
        assert!(!json.contains(['<', '>', '&', '\u{2028}']));
        let back: Vec<String> = serde_json::from_str(&json).unwrap_or_default();
        assert_eq!(back, [hostile]);
        let html = escape(hostile);
        assert!(!html.contains(['<', '>', '"', '\'', '\u{1b}']));
    }

    #[test]
    fn json_numbers_are_short() {
        assert_eq!(rounded(1.0 / 3.0).to_string(), "0.33333");
        assert_eq!(rounded(2.0).to_string(), "2");
        assert_eq!(rounded(1.0e20), serde_json::json!(1.0e20));
        assert_eq!(rounded(f64::NAN).to_string(), "null");
    }
}
