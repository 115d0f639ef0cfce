//! RSA keys from the numbers that OpenSSH writes down.

use aws_lc_rs::signature::{RsaKeyPair, RsaPublicKeyComponents};

use super::fields::Fields;

/// Reads n, e, d, q⁻¹ mod p, p and q; the two numbers that are missing follow from them (RFC 8017, section 3.2).
#[expect(clippy::many_single_char_names, reason = "the names that all of the literature has")]
pub(super) fn read(fields: &mut Fields<'_>) -> Option<RsaKeyPair> {
    let [n, e, d, inverse, p, q] = [
        fields.integer()?,
        fields.integer()?,
        fields.integer()?,
        fields.integer()?,
        fields.integer()?,
        fields.integer()?,
    ];
    let components = aws_lc_rs::rsa::KeyPairComponents {
        public_key: RsaPublicKeyComponents { n, e },
        d,
        p,
        q,
        dP: &*remainder(d, &predecessor(p)?)?,
        dQ: &*remainder(d, &predecessor(q)?)?,
        qInv: inverse,
    };
    RsaKeyPair::from_components(&components).ok()
}

/// One less than an odd number.
fn predecessor(odd: &[u8]) -> Option<Vec<u8>> {
    let mut number = odd.to_vec();
    let last = number.last_mut().filter(|byte| **byte & 1 == 1)?;
    *last &= !1;
    Some(number)
}

/// `number` mod `modulus`, bit by bit; both have their highest byte first. `None` for zero.
fn remainder(number: &[u8], modulus: &[u8]) -> Option<Vec<u8>> {
    if modulus.iter().all(|byte| *byte == 0) {
        return None;
    }
    // One byte more, as the doubled remainder can be longer than the modulus.
    let modulus = [&[0], modulus].concat();
    let mut rest = vec![0; modulus.len()];
    for bit in number.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)) {
        double(&mut rest, bit);
        if rest >= modulus {
            subtract(&mut rest, &modulus);
        }
    }
    Some(rest)
}

fn double(number: &mut [u8], mut carry: u8) {
    for byte in number.iter_mut().rev() {
        let out = *byte >> 7;
        *byte = *byte << 1 | carry;
        carry = out;
    }
}

fn subtract(from: &mut [u8], number: &[u8]) {
    let mut borrow = false;
    for (byte, less) in from.iter_mut().zip(number).rev() {
        let (difference, first) = byte.overflowing_sub(*less);
        let (difference, second) = difference.overflowing_sub(u8::from(borrow));
        *byte = difference;
        borrow = first || second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_are_right() {
        for (number, modulus) in [
            (0_u64, 1_u64),
            (5, 3),
            (1 << 40, 1000),
            (u64::MAX, 65_537),
            (7, u64::MAX),
            (0xFEDC_BA98_7654_3210, 0xFFFF_FFFB),
        ] {
            let rest = remainder(&number.to_be_bytes(), &modulus.to_be_bytes()).unwrap();
            assert_eq!(u64::from_be_bytes(rest[1..].try_into().unwrap()), number % modulus);
        }
        assert_eq!(remainder(&[1], &[0]), None);
        assert_eq!(predecessor(&[1, 1]), Some(vec![1, 0]));
        assert_eq!(predecessor(&[2]), None);
    }
}
