//! The framing of TFRecord files: a length, its checksum, the bytes, their checksum, all
//! little-endian.

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C (Castagnoli).
static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The record of a message.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let checks = [masked(&length), masked(message)].map(u32::to_le_bytes);
    [&length[..], &checks[0], message, &checks[1]].concat()
}

/// The checksum, masked so that checksums of bytes that hold checksums are good ones.
pub(super) fn masked(bytes: &[u8]) -> u32 {
    let crc = CRC.checksum(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the check value of CRC-32/ISCSI.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        for (bytes, expected) in [
            (&[0; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
        ] {
            assert_eq!(CRC.checksum(bytes), expected, "{bytes:?}");
        }
    }

    /// The mask undone, as LevelDB's `crc32c::Unmask` does.
    #[test]
    fn the_mask_can_be_undone() {
        for bytes in [&b""[..], b"a", b"some bytes"] {
            let rotated = masked(bytes).wrapping_sub(0xa282_ead8);
            let crc = rotated.rotate_left(15);
            assert_eq!(crc, CRC.checksum(bytes));
        }
    }
}
