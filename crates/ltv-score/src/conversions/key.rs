//! Keys by which the rows of a user come to lie beside each other, in the order of users.
//!
//! ```text
//!   user                      | side | file, row
//!   i64 with its sign turned  |  u8  | u32, u64        big-endian: bytes sort as numbers do
//!   text, 0 as 0 255, and 0 1
//! ```

use crate::users::UserId;

/// Bytes after the user.
const REST: usize = 1 + 4 + 8;

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The snapshot, the one before, or the user table.
    pub(super) side: u8,
    /// The file of that side.
    pub(super) file: u32,
    /// The row of the file, from 1.
    pub(super) row: u64,
}

/// The key of a user's row.
pub(super) fn key(user: &UserId, origin: Origin) -> Vec<u8> {
    let mut key = vec![];
    match user {
        UserId::Number(id) => key.extend((*id as u64 ^ (1 << 63)).to_be_bytes()),
        UserId::Text(id) => {
            for byte in id.bytes() {
                key.push(byte);
                if byte == 0 {
                    key.push(255);
                }
            }
            key.extend([0, 1]);
        }
    }
    key.push(origin.side);
    key.extend(origin.file.to_be_bytes());
    key.extend(origin.row.to_be_bytes());
    key
}

/// The bytes of the user, and where the row comes from; `None` for what is no key.
pub(super) fn split(key: &[u8]) -> Option<(&[u8], Origin)> {
    let (user, rest) = key.split_at_checked(key.len().checked_sub(REST)?)?;
    let (side, rest) = rest.split_first()?;
    let (file, row) = rest.split_first_chunk()?;
    let origin = Origin {
        side: *side,
        file: u32::from_be_bytes(*file),
        row: u64::from_be_bytes(row.try_into().ok()?),
    };
    Some((user, origin))
}

/// A user's id as text, of its bytes in a key.
pub(super) fn name(user: &[u8], numbers: bool) -> Option<String> {
    if numbers {
        let id = u64::from_be_bytes(user.try_into().ok()?) ^ (1 << 63);
        return Some((id as i64).to_string());
    }
    let mut text = vec![];
    let mut bytes = user.strip_suffix(&[0, 1])?.iter();
    while let Some(&byte) = bytes.next() {
        text.push(byte);
        if byte == 0 {
            bytes.next();
        }
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn origin() -> impl Strategy<Value = Origin> {
        (0u8..3, any::<u32>(), any::<u64>()).prop_map(|(side, file, row)| Origin {
            side,
            file,
            row,
        })
    }

    proptest! {
        #[test]
        fn keys_sort_as_users_and_origins_do(
            users in proptest::collection::vec("[\0\u{1}a\u{ff}]{0,4}", 2), a in origin(), b in origin(),
            numbers in proptest::collection::vec(any::<i64>(), 2),
        ) {
            let text = |i: usize| UserId::Text(users[i].clone());
            let order = users[0].cmp(&users[1]).then((a.side, a.file, a.row).cmp(&(b.side, b.file, b.row)));
            prop_assert_eq!(key(&text(0), a).cmp(&key(&text(1), b)), order);
            let number = |i: usize| UserId::Number(numbers[i]);
            let order = numbers[0].cmp(&numbers[1]).then((a.side, a.file, a.row).cmp(&(b.side, b.file, b.row)));
            prop_assert_eq!(key(&number(0), a).cmp(&key(&number(1), b)), order);
            let whole = key(&text(0), a);
            let (user, found) = split(&whole).unwrap();
            prop_assert_eq!(found, a);
            prop_assert_eq!(name(user, false).unwrap(), users[0].clone());
            let whole = key(&number(0), a);
            prop_assert_eq!(name(split(&whole).unwrap().0, true).unwrap(), numbers[0].to_string());
        }
    }
}
