//! Ids of users, and the keys they have in a store.

use crate::OnlineError;
use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Int64Type},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of the longest key.
pub const LONGEST: usize = 511;

/// Of what kind the ids of a store are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserKind {
    /// Whole numbers of 64 bits.
    Number,
    /// Text of 1 to 511 bytes of UTF-8.
    Text,
}

impl UserKind {
    /// What messages call them.
    pub fn words(self) -> &'static str {
        match self {
            Self::Number => "whole numbers of 64 bits",
            Self::Text => "text of 1 to 511 bytes",
        }
    }
}

/// One id. Numbers come before texts, numbers in their order, texts in that of their bytes: keys are in
/// the same order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UserId {
    /// A whole number.
    Number(i64),
    /// Text.
    Text(String),
}

/// As it is shown in messages.
impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "{id}"),
            Self::Text(id) => write!(f, "'{id}'"),
        }
    }
}

impl UserId {
    /// The id that a text means where ids are of this kind.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn parse(text: &str, kind: UserKind) -> Result<Self, OnlineError> {
        let refuse = || OnlineError::Id {
            text: text.to_owned(),
            wanted: kind.words(),
        };
        match kind {
            UserKind::Number => text.parse().map(Self::Number).map_err(|_| refuse()),
            UserKind::Text if (1..=LONGEST).contains(&text.len()) => Ok(Self::Text(text.into())),
            UserKind::Text => Err(refuse()),
        }
    }

    /// The id itself where it is of this kind; a number where texts are wanted is the text of its digits.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn of_kind(self, kind: UserKind) -> Result<Self, OnlineError> {
        match (&self, kind) {
            (Self::Number(_), UserKind::Number) => Ok(self),
            (Self::Number(id), UserKind::Text) => Ok(Self::Text(id.to_string())),
            (Self::Text(text), _) => Self::parse(text, kind),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> UserKind {
        match self {
            Self::Number(_) => UserKind::Number,
            Self::Text(_) => UserKind::Text,
        }
    }

    /// Writes its key to `out`, in place of what is there: of a number eight bytes, the largest first and
    /// its sign turned, so that keys are in the order of numbers; of text its bytes.
    pub fn key(&self, out: &mut Vec<u8>) {
        out.clear();
        match self {
            Self::Number(id) => out.extend((id ^ i64::MIN).to_be_bytes()),
            Self::Text(id) => out.extend(id.as_bytes()),
        }
    }

    /// The id that has a key, where ids are of this kind; `None` where none has.
    pub fn of_key(key: &[u8], kind: UserKind) -> Option<Self> {
        match kind {
            UserKind::Number => {
                let bytes = key.try_into().ok()?;
                Some(Self::Number(i64::from_be_bytes(bytes) ^ i64::MIN))
            }
            UserKind::Text => Some(Self::Text(str::from_utf8(key).ok()?.to_owned())),
        }
    }
}

/// The kind of a column of ids; `None` where it is of another type.
pub(crate) fn kind_of(ids: &ArrayRef) -> Option<UserKind> {
    match ids.data_type() {
        DataType::Int64 => Some(UserKind::Number),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(UserKind::Text),
        _ => None,
    }
}

/// The id in a row; `None` where it is null or of another type.
pub(crate) fn id_in(ids: &ArrayRef, row: usize) -> Option<UserId> {
    if ids.is_null(row) {
        return None;
    }
    let text = |text: &str| Some(UserId::Text(text.to_owned()));
    match ids.data_type() {
        DataType::Int64 => Some(UserId::Number(ids.as_primitive::<Int64Type>().value(row))),
        DataType::Utf8 => text(ids.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(ids.as_string::<i64>().value(row)),
        DataType::Utf8View => text(ids.as_string_view().value(row)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn key(id: &UserId) -> Vec<u8> {
        let mut out = vec![7; 3];
        id.key(&mut out);
        out
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_numbers(a: i64, b: i64) {
            let [a, b] = [a, b].map(UserId::Number);
            prop_assert_eq!(a.cmp(&b), key(&a).cmp(&key(&b)));
            prop_assert_eq!(UserId::of_key(&key(&a), UserKind::Number), Some(a));
        }

        #[test]
        fn keys_are_in_the_order_of_texts(a: String, b: String) {
            let [a, b] = [a, b].map(UserId::Text);
            prop_assert_eq!(a.cmp(&b), key(&a).cmp(&key(&b)));
            prop_assert_eq!(UserId::of_key(&key(&a), UserKind::Text), Some(a));
        }
    }

    #[test]
    fn texts_are_read_as_the_kind_wants() {
        let number = |text| UserId::parse(text, UserKind::Number);
        assert_eq!(number("-7").unwrap(), UserId::Number(-7));
        for wrong in ["", "7.0", "seven", "9223372036854775808"] {
            let error = number(wrong).unwrap_err().to_string();
            assert!(error.contains("whole numbers"), "{error}");
        }
        let long = "x".repeat(LONGEST + 1);
        for wrong in ["", long.as_str()] {
            assert!(UserId::parse(wrong, UserKind::Text).is_err());
        }
        let text = |id: UserId| id.of_kind(UserKind::Text).unwrap();
        assert_eq!(text(UserId::Number(7)), UserId::Text("7".into()));
        let back = UserId::Text("7".into()).of_kind(UserKind::Number);
        assert_eq!(back.unwrap(), UserId::Number(7));
    }
}
