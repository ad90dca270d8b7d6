//! `Authorization` lines.

use iam_core::{
    credential::{bare, bearer},
    request::RequestHead,
};

/// Reads each line of the input as one header line.
///
/// # Panics
///
/// When an accepted token does not follow the grammar.
pub fn run(data: &[u8]) {
    let headers: Vec<_> = data
        .split(|&byte| byte == b'\n')
        .take(4)
        .map(|line| ("authorization", line))
        .collect();
    let head = RequestHead {
        method: "GET",
        authority: None,
        headers: &headers,
        peer: None,
    };

    for presented in [bearer(&head, "authorization"), bare(&head, "authorization")]
        .into_iter()
        .flatten()
    {
        let token = presented.unchecked();
        let is_visible = token
            .iter()
            .all(|byte| matches!(byte, b'!'..=b'~') && *byte != b',');
        assert!(
            headers.len() == 1 && !token.is_empty(),
            "not one token on one line"
        );
        assert_eq!(presented.token().is_ok(), is_visible, "a token of other bytes");
    }
    if let Ok(presented) = bearer(&head, "authorization") {
        let line = data.trim_ascii();
        let prefix = line.strip_suffix(presented.unchecked()).unwrap_or_default();
        assert!(
            prefix.eq_ignore_ascii_case(b"Bearer "),
            "a token without its scheme"
        );
    }
}
