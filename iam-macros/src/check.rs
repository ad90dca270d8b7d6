//! Do the attributes of one item fit together?

use syn::{Error, Result};

use crate::{args::Announcement, words::Word};

/// Refuses attributes that contradict each other or say the same thing twice.
///
/// The same rules hold again at run time, because a renamed import can split the attributes of one function.
pub(crate) fn contradictions(announcements: &[Announcement]) -> Result<()> {
    for (index, later) in announcements.iter().enumerate() {
        for earlier in announcements.iter().take(index) {
            if let Some(reason) = contradiction(earlier.word, later.word) {
                return Err(Error::new(later.at, reason));
            }
        }
    }
    Ok(())
}

fn contradiction(earlier: Word, later: Word) -> Option<String> {
    let (one, other) = (earlier.name(), later.name());
    if earlier == later {
        let repeatable = matches!(
            earlier,
            Word::RequirePermission | Word::RequireRole | Word::RequireScope
        );
        return (!repeatable).then(|| format!("`#[{one}]` is given twice: remove one"));
    }
    if earlier.is_requirement() && later.is_requirement() {
        return None;
    }

    let requirement = if earlier.is_requirement() { one } else { other };
    Some(
        match (
            earlier == Word::Public || later == Word::Public,
            earlier == Word::Optional || later == Word::Optional,
        ) {
            (true, true) => {
                "`#[public]` looks at no credential and `#[optional]` does: remove one of them".to_owned()
            }
            (true, false) => {
                format!(
                    "`#[public]` opens the route to everybody and `#[{requirement}]` does not: remove one of them"
                )
            }
            (false, _) => format!(
                "`#[optional]` lets callers without a credential in and `#[{requirement}]` does not: remove one of them"
            ),
        },
    )
}
