//! The three segments of a token.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::NO_PAD};
use memchr::memchr_iter;

use super::TokenFault;

/// The longest token in bytes that a profile may allow.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// The longest token in bytes unless another length is given.
pub const DEFAULT_MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A compact JWS (RFC 7515 §7.1) cut at its two dots. Nothing of it is decoded, nothing verified.
#[derive(Clone, Copy)]
pub(super) struct Compact<'t> {
    pub(super) header: &'t [u8],
    pub(super) payload: &'t [u8],
    pub(super) signature: &'t [u8],
    /// The bytes that the signature is over, as they arrived (RFC 7515 §5.2).
    pub(super) signed: &'t [u8],
}

impl<'t> Compact<'t> {
    /// Cuts a token. Five segments (a JWE), two, empty ones and the JSON serialization are refused here; foreign characters
    /// when a segment is decoded, before anything of it is read.
    pub(super) fn split(token: &'t [u8]) -> Result<Self, TokenFault> {
        let mut dots = memchr_iter(b'.', token);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(TokenFault::CompactForm);
        };
        let (signed, signature) = cut(token, second).ok_or(TokenFault::CompactForm)?;
        let (header, payload) = cut(signed, first).ok_or(TokenFault::CompactForm)?;

        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }

    /// Returns the fault of the segments that are decoded only after a key is found.
    pub(super) fn fault(&self) -> Option<TokenFault> {
        decode(self.payload)
            .err()
            .or_else(|| decode(self.signature).err())
    }
}

/// Cuts at a dot into two parts, neither of them empty.
fn cut(text: &[u8], dot: usize) -> Option<(&[u8], &[u8])> {
    let before = text.get(..dot).filter(|before| !before.is_empty())?;
    let after = text
        .get(dot.checked_add(1)?..)
        .filter(|after| !after.is_empty())?;

    Some((before, after))
}

/// Decodes base64url without padding, with canonical trailing bits (RFC 7515 §2, RFC 4648 §3.5).
pub(crate) fn decode(segment: &[u8]) -> Result<Vec<u8>, TokenFault> {
    // `Engine::decode` asks for zeroed memory, which glibc does not take from what the thread has just given back.
    let mut decoded = Vec::with_capacity(base64::decoded_len_estimate(segment.len()));
    BASE64URL
        .decode_vec(segment, &mut decoded)
        .map_err(|_err| TokenFault::Encoding)?;

    Ok(decoded)
}

/// Decodes like [`decode`] into a buffer; `None` when it does not fit or is not base64url.
pub(super) fn decode_into<'b>(segment: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let length = BASE64URL.decode_slice(segment, buffer).ok()?;

    buffer.get(..length)
}

/// Many characters at a time where the processor can. The last ones, padding and trailing bits are looked at one by one.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64URL: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::url_safe(NO_PAD));

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64URL: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

#[cfg(test)]
mod tests {
    use super::*;

    /// R007, R021, R029: exactly three segments, none of them empty.
    #[test]
    fn token_without_exactly_three_segments_is_refused() {
        for token in [
            "",
            ".",
            "..",
            "a",
            "a.b",
            "a.b.",
            ".b.c",
            "a..c",
            "a.b.c.",
            ".a.b.c",
            "a.b.c.d",
            "a.b.c.d.e",
            "{}",
        ] {
            assert_eq!(
                Compact::split(token.as_bytes()).err(),
                Some(TokenFault::CompactForm),
                "{token}"
            );
        }
    }

    #[test]
    fn segments_are_the_bytes_between_the_dots() {
        let compact = Compact::split(b"ab.cd.ef").unwrap();

        assert_eq!(
            (compact.header, compact.payload, compact.signature),
            (&b"ab"[..], &b"cd"[..], &b"ef"[..])
        );
        assert_eq!(compact.signed, b"ab.cd");
    }

    /// R023: URL alphabet, no padding, no white space, canonical trailing bits, no length of 1 modulo 4.
    #[test]
    fn loose_base64url_is_refused() {
        for segment in [
            "Zg==", "Zg=", "Zm8=", "+/8", "Zg\n", " Zg", "Z g", "Zh", "Zm9", "A", "AAAAA", "Zg%3D", "Z\u{e9}",
        ] {
            assert_eq!(
                decode(segment.as_bytes()),
                Err(TokenFault::Encoding),
                "{segment:?}"
            );
            assert_eq!(decode_into(segment.as_bytes(), &mut [0; 64]), None, "{segment:?}");
        }
        assert_eq!(decode(b"Zg").unwrap(), b"f");
        assert_eq!(decode(b"-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(decode_into(b"Zm9vYg", &mut [0; 3]), None);
    }
    /// R023: long segments are decoded many characters at a time, and by the same rules at every place.
    #[test]
    fn foreign_byte_is_refused_wherever_it_stands_in_a_long_segment() {
        for length in [63, 64, 65, 67, 96, 128, 131, 342] {
            let good = vec![b'A'; length / 4 * 4 + [0, 2, 2, 3][length % 4]];
            assert_eq!(decode(&good).unwrap(), vec![0; good.len() * 3 / 4]);
            for place in 0..good.len() {
                for foreign in
                    (0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(byte))
                {
                    let mut bad = good.clone();
                    bad[place] = foreign;
                    assert_eq!(
                        decode(&bad),
                        Err(TokenFault::Encoding),
                        "{foreign} at {place} of {length}"
                    );
                }
            }
        }
        for (length, loose) in [(66, b'B'), (66, b'P'), (67, b'B'), (342, b'g'), (343, b'D')] {
            let mut bad = vec![b'A'; length];
            bad[length - 1] = loose;
            if length % 4 == 2 && loose == b'g' {
                assert!(decode(&bad).is_ok());
            } else {
                assert_eq!(decode(&bad), Err(TokenFault::Encoding), "{loose} ends {length}");
            }
        }
        assert_eq!(decode(&[b'A'; 129]), Err(TokenFault::Encoding));
    }
}
