//! The scopes of a credential.
//!
//! RFC 6749 §3.3: scope tokens, separated by spaces. Scopes limit a credential; they are not roles.

/// Returns the scopes of a `scope` text. Nothing between two spaces is no scope.
pub fn scopes(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|scope| !scope.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R062
    #[test]
    fn nothing_between_two_spaces_is_a_scope() {
        assert_eq!(scopes(" a  b ").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(scopes("").count(), 0);
        assert_eq!(scopes("   ").count(), 0);
    }
}
