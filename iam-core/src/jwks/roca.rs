//! The fingerprint of RSA keys from the generator of CVE-2017-15361 (ROCA).
//!
//! Infineon's library made primes of the form `k * M + (65537^a mod M)`, where `M` is the product of the first primes. So both
//! primes of a key, and their product, are powers of 65537 modulo each of the first primes. Such a modulus can be factored
//! (Nemec, Sys, Svenda, Klinec, Matyas: "The Return of Coppersmith's Attack", CCS 2017, §2.3). For another modulus this holds
//! by chance once in about 2^27 cases.

/// Tells whether a modulus has the fingerprint.
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let rest = modulus.iter().fold(0_u32, |rest, &byte| {
            remainder((rest << 8) | u32::from(byte), prime)
        });

        is_power_of_generator(rest, prime)
    })
}

/// Walks through the group that the generator makes modulo a prime: it comes back to 1 in fewer steps than the prime.
fn is_power_of_generator(rest: u32, prime: u32) -> bool {
    let step = |power: &u32| Some(remainder(power.wrapping_mul(remainder(GENERATOR, prime)), prime));

    std::iter::successors(Some(1), step)
        .take(prime as usize)
        .any(|power| power == rest)
}

/// The numbers stay below 2^16 after each step, so that no product overflows.
fn remainder(number: u32, prime: u32) -> u32 {
    number.checked_rem(prime).unwrap_or_default()
}

const GENERATOR: u32 = 65_537;

/// The odd primes of the smallest `M`, that of 512-bit keys. It divides the `M` of all longer keys.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "digits of large numbers are cut off on purpose"
)]
mod tests {
    use aws_lc_rs::{
        rsa::{KeySize, PublicKeyComponents},
        signature::{KeyPair as _, RsaKeyPair},
    };

    use super::*;

    /// Little-endian digits of 32 bits: enough arithmetic to make vulnerable numbers.
    fn multiplied(number: &[u32], factor: u32, plus: u64) -> Vec<u32> {
        let mut carry = plus;
        let mut product: Vec<u32> = number
            .iter()
            .map(|&digit| {
                let sum = u64::from(digit) * u64::from(factor) + carry;
                carry = sum >> 32;
                sum as u32
            })
            .collect();
        if carry > 0 {
            product.push(carry as u32);
        }
        product
    }

    fn product(one: &[u32], other: &[u32]) -> Vec<u32> {
        let mut sum = vec![0_u32; one.len() + other.len()];
        for (place, &digit) in one.iter().enumerate() {
            let mut carry = 0_u64;
            for (at, &factor) in other.iter().chain(&[0, 0]).enumerate() {
                let Some(cell) = sum.get_mut(place + at) else {
                    break;
                };
                let total = u64::from(*cell) + u64::from(digit) * u64::from(factor) + carry;
                *cell = total as u32;
                carry = total >> 32;
            }
        }
        sum
    }

    fn bytes(number: &[u32]) -> Vec<u8> {
        number
            .iter()
            .rev()
            .flat_map(|digit| digit.to_be_bytes())
            .collect()
    }

    /// A number `k * M + (65537^a mod M)`, with the `M` of 2048-bit keys: 126 primes, of which the last is 701. It need not be
    /// prime, for the fingerprint is that of any product of such numbers.
    fn vulnerable(k: u32, a: u32) -> Vec<u32> {
        let primes: Vec<u32> = (2..=701_u32)
            .filter(|&number| (2..number).all(|divisor| number % divisor != 0))
            .collect();
        assert_eq!(primes.len(), 126);
        // The remainder modulo M, put together from those modulo each prime (Chinese remainder theorem, Garner's way).
        let power = |prime: u64| (0..a).fold(1, |power, _| power * 65_537 % prime);
        let (mut value, mut primorial) = (vec![0_u32], vec![1_u32]);
        let rest = |number: &[u32], prime: u64| {
            number
                .iter()
                .rev()
                .fold(0, |rest, &digit| ((rest << 32) | u64::from(digit)) % prime)
        };
        for prime in primes {
            let wide = u64::from(prime);
            let (at, step) = (rest(&value, wide), rest(&primorial, wide));
            let wanted = power(wide);
            let times = (0..wide).find(|times| (at + times * step) % wide == wanted);
            let shift = multiplied(&primorial, times.unwrap() as u32, 0);
            value = added(&value, &shift);
            primorial = multiplied(&primorial, prime, 0);
        }
        added(&multiplied(&primorial, k, 0), &value)
    }

    fn added(one: &[u32], other: &[u32]) -> Vec<u32> {
        let mut carry = 0_u64;
        let mut sum = Vec::new();
        for at in 0..one.len().max(other.len()) {
            let digit = |number: &[u32]| u64::from(number.get(at).copied().unwrap_or_default());
            let total = digit(one) + digit(other) + carry;
            sum.push(total as u32);
            carry = total >> 32;
        }
        if carry > 0 {
            sum.push(carry as u32);
        }
        sum
    }

    /// Wycheproof, JWK 7.
    #[test]
    fn modulus_of_the_vulnerable_generator_has_the_fingerprint() {
        for (k, a) in [(1, 1), (77_777, 4_242), (u32::MAX, 999)] {
            let (p, q) = (vulnerable(k, a), vulnerable(k ^ 0x5555, a + 1_234));
            assert!(has_fingerprint(&bytes(&product(&p, &q))), "{k} {a}");
        }
    }

    #[test]
    fn number_beside_a_vulnerable_modulus_has_no_fingerprint() {
        let modulus = product(&vulnerable(77_777, 4_242), &vulnerable(12_345, 6_789));
        for plus in (2..200).step_by(2) {
            assert!(!has_fingerprint(&bytes(&multiplied(&modulus, 1, plus))), "{plus}");
        }
        assert!(!has_fingerprint(&[]));
    }

    #[test]
    fn sound_moduli_have_no_fingerprint() {
        for _ in 0..3 {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
            assert!(!has_fingerprint(&components.n));
        }
        // Numbers that look random: a linear congruential generator.
        let mut state = 1_u64;
        for _ in 0..1_000 {
            let modulus: Vec<u8> = (0..256)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            assert!(!has_fingerprint(&modulus));
        }
    }
}
