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
    if earlier == later {
        let one = earlier.name();
        let repeatable = matches!(
            earlier,
            Attribute::RequirePermission | Attribute::RequireRole | Attribute::RequireScope
        );
        return (!repeatable).then(|| format!("`#[{one}]` is given twice: remove one"));
    }
    if let Some(useless) = useless_transport(earlier, later) {
        return Some(useless);
    }
    let (opening, other) = if earlier.is_opening() {
        (earlier, later)
    } else {
        (later, earlier)
    };
    // Requirements add up, and beside them a route names its tenant and transport.
    let does = opening.opens()?;
    if other.is_requirement() {
        let (opening, other) = (opening.name(), other.name());
        return Some(format!(
            "`#[{opening}]` {does} and `#[{other}]` does not: remove one of them"
        ));
    }
    if !other.is_opening() {
        return None;
    }
    Some(
        if opening == Attribute::Anonymous || other == Attribute::Anonymous {
            let (one, other) = (opening.name(), other.name());
            format!("`#[{one}]` and `#[{other}]` let different callers in: remove one of them")
        } else {
            "`#[public]` ignores credentials and `#[optional]` checks them: remove one of them".to_owned()
        },
    )
}

/// Refuses the transport of a credential that is not looked at.
fn useless_transport(earlier: Attribute, later: Attribute) -> Option<String> {
    let both = [earlier, later];
    (both.contains(&Attribute::Public) && both.contains(&Attribute::Transport)).then(|| {
        "`#[public]` ignores credentials, so `#[transport]` has no effect: remove one of them".to_owned()
    })
}
