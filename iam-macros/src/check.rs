//! Rules across the attributes of one item.

use syn::{Error, Result};

use crate::{args::Announcement, attribute::Attribute};

/// Refuses attributes that contradict each other or repeat each other.
///
/// The rules apply again at run time, because a renamed import can split the attributes of one function.
pub(crate) fn contradictions(announcements: &[Announcement]) -> Result<()> {
    for (index, later) in announcements.iter().enumerate() {
        for earlier in announcements.iter().take(index) {
            if let Some(reason) = contradiction(earlier.attribute, later.attribute) {
                return Err(Error::new(later.at, reason));
            }
        }
    }
    Ok(())
}

fn contradiction(earlier: Attribute, later: Attribute) -> Option<String> {
    let (one, other) = (earlier.name(), later.name());
    if earlier == later {
        let repeatable = matches!(
            earlier,
            Attribute::RequirePermission | Attribute::RequireRole | Attribute::RequireScope
        );
        return (!repeatable).then(|| format!("`#[{one}]` is given twice: remove one"));
    }
    if earlier.is_requirement() && later.is_requirement() {
        return None;
    }

    let requirement = if earlier.is_requirement() { one } else { other };
    Some(
        match (
            earlier == Attribute::Public || later == Attribute::Public,
            earlier == Attribute::Optional || later == Attribute::Optional,
        ) {
            (true, true) => {
                "`#[public]` ignores credentials and `#[optional]` checks them: remove one of them".to_owned()
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
