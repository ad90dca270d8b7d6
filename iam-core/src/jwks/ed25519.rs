//! Checks of Ed25519 public keys.
//!
//! The policy: the encoding must be canonical and the point must not be of small order, for either lets one signature verify
//! under many keys or messages. Signatures are checked as RFC 8032 §5.1.7 says, without cofactor, `s` below the group order.

use super::KeyFault;

/// Checks a public key before it is used.
pub(super) fn check(point: &[u8; 32]) -> Result<(), KeyFault> {
    // RFC 8032 §5.1.2: the highest bit is the sign of x, the rest is y.
    let mut y = *point;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }

    let canonical = y.iter().rev().lt(FIELD_PRIME.iter().rev());
    if !canonical || SMALL_ORDER.contains(&y) {
        return Err(KeyFault::InvalidPoint);
    }
    Ok(())
}

/// 2^255 - 19, little-endian.
const FIELD_PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// The y coordinates of the eight points whose order divides the cofactor, little-endian: 0, 1, -1, and those of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = FIELD_PRIME;
        minus_one[0] = 0xec;
        minus_one
    },
    ORDER_EIGHT,
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const ORDER_EIGHT: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
    0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn with_sign(y: [u8; 32]) -> [[u8; 32]; 2] {
        let mut negative = y;
        negative[31] |= 0x80;
        [y, negative]
    }

    /// R057, R010.
    #[test]
    fn point_of_small_order_is_refused_with_either_sign() {
        for y in SMALL_ORDER {
            for point in with_sign(y) {
                assert_eq!(check(&point), Err(KeyFault::InvalidPoint), "{point:02x?}");
            }
        }
    }

    /// R057: y = p … p + 18 have a second, canonical encoding.
    #[test]
    fn encoding_that_is_not_canonical_is_refused() {
        for low in 0xed..=0xff {
            let mut y = FIELD_PRIME;
            y[0] = low;
            for point in with_sign(y) {
                assert_eq!(check(&point), Err(KeyFault::InvalidPoint), "{point:02x?}");
            }
        }
    }

    /// The two y coordinates of order eight are each other's negative: their sum is the prime.
    #[test]
    fn constants_of_order_eight_fit_together() {
        let mut carry = 0_u16;
        let sum: Vec<u8> = SMALL_ORDER[3]
            .iter()
            .zip(SMALL_ORDER[4])
            .map(|(&a, b)| {
                let sum = u16::from(a) + u16::from(b) + carry;
                carry = sum >> 8;
                sum.to_le_bytes()[0]
            })
            .collect();

        assert_eq!(sum, FIELD_PRIME);
    }

    #[test]
    fn key_of_rfc_8037_is_accepted() {
        let point = crate::jwt::decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();

        assert_eq!(check(&point.try_into().unwrap()), Ok(()));
    }
}
