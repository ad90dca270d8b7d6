//! Fast checks of mostly plain texts.

/// Tells whether all bytes of a text are plain. It reads to the end, so that many bytes are checked together: nearly all texts are
/// plain.
pub(crate) fn all(text: &str, is_plain: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_plain(byte))
}

/// Tells whether there is a control character in a text.
pub(crate) fn has_control(text: &str) -> bool {
    let is_plain = all(text, |byte| matches!(byte, b' '..=b'~'));

    !is_plain && text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_that_is_not_plain_is_found_wherever_it_stands() {
        for length in 1..100 {
            let plain = "a".repeat(length);
            assert!(all(&plain, |byte| byte == b'a'));
            for place in 0..length {
                let mut other = plain.clone();
                other.replace_range(place..=place, "b");
                assert!(!all(&other, |byte| byte == b'a'), "{place} of {length}");
            }
        }
        assert!(all("", |_| false));
    }
}
