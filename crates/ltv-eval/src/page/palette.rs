//! Colours: one for each set wherever it is drawn, in a light and a dark theme.
//!
//! The eight hues are those of Okabe and Ito ("Color Universal Design", 2008), which stay apart for
//! the common kinds of colour blindness, made darker or lighter until each stands at least 3 : 1
//! against its background (WCAG 2.2, 1.4.11); text stands 4.5 : 1. From the ninth set on the line
//! pattern changes.

use std::fmt::Write;

/// A named colour of both themes.
pub(crate) struct Role {
    pub(crate) name: &'static str,
    pub(crate) light: &'static str,
    pub(crate) dark: &'static str,
}

const fn role(name: &'static str, light: &'static str, dark: &'static str) -> Role {
    Role { name, light, dark }
}

/// Every colour of the page. In options of charts `@name` stands for the colour.
pub(crate) const ROLES: [Role; 20] = [
    role("page", "#f7f7f5", "#14161a"),
    role("card", "#ffffff", "#1c1f25"),
    role("ink", "#1b1e24", "#e9eaee"),
    role("muted", "#5a606b", "#a3a9b5"),
    role("line", "#dcdddf", "#353a44"),
    role("axis", "#82878f", "#79808d"),
    role("accent", "#0a5c99", "#6bb8f0"),
    role("tint", "#e9f1f8", "#1d2c3a"),
    role("good", "#0b6b4f", "#4fd1a5"),
    role("goodtint", "#e3f3ec", "#17322a"),
    role("warn", "#a03b00", "#ffa566"),
    role("bar", "#a3a9b3", "#6c7380"),
    role("c1", "#0a68ad", "#5db5f2"),
    role("c2", "#c24a00", "#f58c4a"),
    role("c3", "#007a5a", "#2fc79b"),
    role("c4", "#a63f86", "#e48fc8"),
    role("c5", "#8a6500", "#e3c04a"),
    role("c6", "#5a55b0", "#a7a3f5"),
    role("c7", "#2b7f93", "#7fd3e3"),
    role("c8", "#8c4034", "#dd9a8c"),
];

/// Hues for sets.
const HUES: usize = 8;
const PATTERNS: [&str; 3] = ["solid", "dashed", "dotted"];
const SYMBOLS: [&str; 4] = ["circle", "diamond", "triangle", "rect"];

/// Custom properties of both themes.
pub(crate) fn css() -> String {
    let block = |pick: fn(&Role) -> &'static str| {
        ROLES.iter().fold(String::new(), |mut out, role| {
            let _ = write!(out, "--{}:{};", role.name, pick(role));
            out
        })
    };
    let (light, dark) = (block(|r| r.light), block(|r| r.dark));
    format!(
        ":root{{color-scheme:light;{light}}}\n\
         @media (prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}\n\
         :root[data-theme=light]{{color-scheme:light;{light}}}\n\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\n\
         @media print{{:root:root{{color-scheme:light;{light}}}}}\n"
    )
}

/// How a set is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) color: String,
    pub(crate) pattern: &'static str,
    pub(crate) symbol: &'static str,
}

/// Which set has which colour.
#[derive(Debug, Clone, Default)]
pub(crate) struct Palette {
    sets: Vec<String>,
}

impl Palette {
    /// Sets in this order, each name once.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut sets: Vec<String> = Vec::new();
        for name in names {
            if !sets.iter().any(|known| known == name) {
                sets.push(name.to_owned());
            }
        }
        Self { sets }
    }

    /// How a set is drawn; the first one's way for a set that is not known.
    pub(crate) fn style(&self, set: &str) -> Style {
        let place = self.sets.iter().position(|name| name == set).unwrap_or(0);
        Style {
            color: format!("@c{}", place % HUES + 1),
            pattern: PATTERNS[place / HUES % PATTERNS.len()],
            symbol: SYMBOLS[place / HUES % SYMBOLS.len()],
        }
    }

    /// The names, in order.
    pub(crate) fn sets(&self) -> &[String] {
        &self.sets
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Relative luminance of `#rrggbb` (WCAG 2.2).
    fn luminance(color: &str) -> f64 {
        let part = |i: usize| {
            let v = f64::from(u8::from_str_radix(&color[i..i + 2], 16).unwrap()) / 255.0;
            if v <= 0.04045 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn find(name: &str) -> &'static Role {
        ROLES.iter().find(|role| role.name == name).unwrap()
    }

    #[test]
    fn contrast_of_white_and_black_is_21() {
        assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 1e-9);
    }

    #[test]
    fn both_themes_reach_aa() {
        let check = |front: &str, back: &str, least: f64| {
            let (f, b) = (find(front), find(back));
            let light = contrast(f.light, b.light);
            let dark = contrast(f.dark, b.dark);
            assert!(light >= least, "{front} on {back}, light: {light:.2}");
            assert!(dark >= least, "{front} on {back}, dark: {dark:.2}");
        };
        for text in ["ink", "muted", "accent", "good", "warn"] {
            for back in ["page", "card", "tint", "goodtint"] {
                check(text, back, 4.5);
            }
        }
        for i in 1..=HUES {
            check(&format!("c{i}"), "card", 3.0);
        }
        check("axis", "card", 3.0);
    }

    #[test]
    fn a_set_keeps_its_colour_and_the_ninth_differs_in_pattern() {
        let names: Vec<String> = (0..20).map(|i| format!("m{i}")).collect();
        let palette = Palette::new(names.iter().chain(&names).map(String::as_str));
        assert_eq!(palette.sets().len(), 20);
        let styles: Vec<Style> = names.iter().map(|n| palette.style(n)).collect();
        for (i, style) in styles.iter().enumerate() {
            assert_eq!(styles.iter().position(|s| s == style), Some(i));
        }
        assert_eq!(styles[0].color, styles[8].color);
    }
}
