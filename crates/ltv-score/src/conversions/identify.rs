//! By what platforms know users: normalised and hashed, or as it is where it says nothing of a person. What goes in
//! here as an e-mail address or a phone number never comes out as one.

use ring::digest::{SHA256, digest};
use std::fmt::Write as _;

/// SHA-256, in hexadecimal.
pub(super) fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Whether a text is a SHA-256 in hexadecimal.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A hash that somebody made before.
fn hashed(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    is_hash(&lower).then_some(lower)
}

/// The hash of an e-mail address without the space around it, in small letters; of a hash, itself.
pub(super) fn email(text: &str) -> Option<String> {
    if let Some(hash) = hashed(text) {
        return Some(hash);
    }
    let address = text.trim().to_lowercase();
    let (name, domain) = address.split_once('@')?;
    let dotted = domain
        .split_once('.')
        .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';');
    if name.is_empty() || !dotted || domain.contains('@') || address.contains(odd) {
        return None;
    }
    Some(sha256(&address))
}

/// The hash of a phone number's digits, which start with the code of the country; of a hash, itself. A number that
/// starts with one 0 has no code, and letters and other symbols than those between digits are no part of a number.
pub(super) fn phone(text: &str) -> Option<String> {
    if let Some(hash) = hashed(text) {
        return Some(hash);
    }
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (plus, number) = match text.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    if !number
        .chars()
        .all(|c| c.is_ascii_digit() || is_between_digits(c))
    {
        return None;
    }
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let abroad = |all: &str| match plus {
        true => all.to_owned(),
        false => all.strip_prefix("00").unwrap_or(all).to_owned(),
    };
    // A zero in brackets behind the code is for calls from within the country, but where all numbers have one.
    let digits = match number.split_once("(0)") {
        Some((code, rest))
            if !matches!(abroad(&digits(code)).as_str(), "" | "39" | "378" | "379") =>
        {
            abroad(&digits(code)) + &digits(rest)
        }
        _ => abroad(&digits(number)),
    };
    // At most 15 by E.164; shorter than 7 are none that somebody could be called by from abroad.
    let fits = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    fits.then(|| sha256(&digits))
}

/// The hash of an id of the advertiser's own.
pub(super) fn external_id(text: &str) -> Option<String> {
    let id = text.trim();
    hashed(id).or_else(|| (!id.is_empty()).then(|| sha256(id)))
}

/// Whether a text can be a Google click id: Google does not say how one is made, but they are long and of these letters.
pub(super) fn is_click_id(text: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (20..=512).contains(&text.len()) && text.bytes().all(letter)
}

/// Whether a text can be an order id: it must not say who somebody is.
pub(super) fn is_order_id(text: &str) -> bool {
    let fits = !text.trim().is_empty() && text.chars().count() <= 64;
    fits && !text.contains(char::is_control) && !has_address(text) && !has_phone(text)
}

/// Whether a text may hold an e-mail address, also as links write it: nothing else that is sent needs an `@`.
pub(super) fn has_address(text: &str) -> bool {
    text.contains('@') || text.contains("%40")
}

/// Whether a text holds a phone number with its `+`: seven digits or more behind it, with what stands between digits.
fn has_phone(text: &str) -> bool {
    text.split('+').skip(1).any(|rest| {
        let number = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || is_between_digits(*c));
        number.filter(char::is_ascii_digit).count() >= 7
    })
}

/// What people write between the digits of a phone number.
fn is_between_digits(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '.' | '/' | '(' | ')')
}

/// Whether a text is what Meta's cookies `_fbc` and `_fbp` hold: `fb`, a number, milliseconds, and something more.
pub(super) fn is_cookie(text: &str) -> bool {
    let number = |part: Option<&str>, digits: std::ops::RangeInclusive<usize>| {
        part.is_some_and(|p| digits.contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut parts = text.splitn(4, '.');
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    parts.next() == Some("fb")
        && number(parts.next(), 1..=2)
        && number(parts.next(), 13..=13)
        && parts
            .next()
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's own examples, and those that Meta publishes for its parameters.
    #[test]
    fn hashes_are_those_that_others_publish() {
        let known = [
            (
                "",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ];
        for (text, hash) in known {
            assert_eq!(sha256(text), hash);
        }
        let smith = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";
        for text in [
            "John_Smith@gmail.com",
            "  john_smith@gmail.com\n",
            smith,
            &smith.to_uppercase(),
        ] {
            assert_eq!(email(text).as_deref(), Some(smith), "{text}");
        }
        let number = "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176";
        for text in [
            "16505551212",
            "+1 (650) 555-1212",
            "001 650 555 1212",
            "1/650.555.1212",
            number,
        ] {
            assert_eq!(phone(text).as_deref(), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_or_number_is_none() {
        let wrong = [
            "",
            "john",
            "@x.com",
            "a@",
            "a@b",
            "a@.b",
            "a@b.",
            "a@b@c.de",
            "a b@c.de",
            "A <a@b.de>",
            "a@b.de,c@d.de",
        ];
        for text in wrong {
            assert_eq!(email(text), None, "{text}");
        }
        let wrong = [
            "",
            "0650 555 1212",
            "+0650",
            "123456",
            "1234567890123456",
            "call me",
            "+49 30 1234 ext 5",
        ];
        for text in wrong {
            assert_eq!(phone(text), None, "{text}");
        }
        for text in [
            "+49*30*1234567",
            "+49 30 1234567#5",
            "49+301234567",
            "(0)30 1234567",
            "+49 ٣٠ 1234567",
        ] {
            assert_eq!(phone(text), None, "{text}");
        }
        assert_eq!(external_id("  "), None);
        assert_eq!(external_id(" abc "), Some(sha256("abc")));
    }

    #[test]
    fn a_zero_in_brackets_is_not_dialled_from_abroad() {
        let berlin = Some(sha256("49301234567"));
        for text in [
            "+49 (0)30 1234567",
            "+49(0)30/1234567",
            "0049 (0) 30-1234567",
            "49 ( 0 ) 30 1234567",
            "+49.30.1234567",
        ] {
            assert_eq!(phone(text), berlin, "{text}");
        }
        // In Italy it is part of the number.
        assert_eq!(phone("+39 (0)6 1234567"), Some(sha256("39061234567")));
    }

    #[test]
    fn addresses_and_numbers_are_seen_where_they_should_not_be() {
        assert!(has_address("https://x.y/?mail=a%40b.de") && has_address("a@b"));
        assert!(!has_address("Mozilla/5.0 (X11; Linux x86_64) 40%"));
        for wrong in ["+4930123456", "tel:+49 (30) 123-456", "a%40b.de"] {
            assert!(!is_order_id(wrong), "{wrong}");
        }
        for right in ["A+17", "2024+000123", "4930123456", "+1-2-3"] {
            assert!(is_order_id(right), "{right}");
        }
    }

    #[test]
    fn ids_of_clicks_orders_and_browsers() {
        assert!(is_click_id("Cj0KCQjw-abc_DEF1234567890"));
        for wrong in [
            "",
            "short",
            "gclid=Cj0KCQjwabcDEF1234567890",
            "Cj0KCQjw abcDEF1234567890",
        ] {
            assert!(!is_click_id(wrong), "{wrong}");
        }
        assert!(!is_click_id(&"x".repeat(513)));
        assert!(is_order_id("A-17 b"));
        for wrong in ["", " ", "a@b.de", "a\nb", &"x".repeat(65)] {
            assert!(!is_order_id(wrong), "{wrong}");
        }
        for right in [
            "fb.1.1554763741205.AbCdEfGhIjKl_-9",
            "fb.1.1558571054389.1098115397",
            "fb.2.1558571054389.10981.AQIBAQ",
        ] {
            assert!(is_cookie(right), "{right}");
        }
        for wrong in [
            "",
            "fb.1.1554763741.x",
            "fb.1.1554763741205.",
            "fb.1.1554763741205",
            "xx.1.1554763741205.a",
            "fb.1.1554763741205.a@b.de",
        ] {
            assert!(!is_cookie(wrong), "{wrong}");
        }
    }
}
