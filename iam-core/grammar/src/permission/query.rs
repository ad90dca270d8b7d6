//! The tuples to check for one request, and the combination of their answers.

use crate::tuple::RelationTuple;

/// The tuples to check for one request, and how their answers combine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionQuery {
    tuples: Vec<RelationTuple>,
    tree: Tree,
}

/// The tuples to check in their combination, where a tuple may occur more than once. No combination is empty.
#[derive(Debug)]
pub(super) enum PermissionExpr {
    All(Vec<Self>),
    Any(Vec<Self>),
    Tuple(RelationTuple),
}

/// How the answers combine. A leaf is the index of a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tree {
    All(Vec<Self>),
    Any(Vec<Self>),
    Tuple(usize),
}

impl PermissionQuery {
    pub(super) fn new(asked: PermissionExpr) -> Self {
        let mut tuples = Vec::new();
        let tree = Tree::new(asked, &mut tuples);

        Self { tuples, tree }
    }

    /// Returns the tuples to check, each once, in the order in which [`PermissionQuery::answer`] takes the answers.
    pub fn tuples(&self) -> &[RelationTuple] {
        &self.tuples
    }

    /// Combines the answers, one for each tuple.
    ///
    /// Returns `None` if there are more or fewer answers than tuples. The permission is then neither granted nor denied.
    pub fn answer(&self, allowed: &[bool]) -> Option<bool> {
        if allowed.len() != self.tuples.len() {
            return None;
        }
        self.tree.answer(allowed)
    }
}

impl Tree {
    fn new(asked: PermissionExpr, tuples: &mut Vec<RelationTuple>) -> Self {
        let mut each =
            |members: Vec<PermissionExpr>| members.into_iter().map(|it| Self::new(it, tuples)).collect();

        match asked {
            PermissionExpr::All(members) => Self::All(each(members)),
            PermissionExpr::Any(members) => Self::Any(each(members)),
            // At most `MAX_TUPLES`, so a linear search is enough.
            PermissionExpr::Tuple(tuple) => Self::Tuple(
                tuples
                    .iter()
                    .position(|known| *known == tuple)
                    .unwrap_or_else(|| {
                        tuples.push(tuple);
                        tuples.len().saturating_sub(1)
                    }),
            ),
        }
    }

    fn answer(&self, allowed: &[bool]) -> Option<bool> {
        match self {
            Self::All(members) => members
                .iter()
                .try_fold(true, |so_far, member| Some(member.answer(allowed)? && so_far)),
            Self::Any(members) => members
                .iter()
                .try_fold(false, |so_far, member| Some(member.answer(allowed)? || so_far)),
            Self::Tuple(index) => allowed.get(*index).copied(),
        }
    }
}
