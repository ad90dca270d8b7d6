//! What is asked for one request, and what do the answers mean together?

use crate::tuple::RelationTuple;

/// The tuples to check for one request, and how their answers combine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    tuples: Vec<RelationTuple>,
    tree: Tree,
}

/// How the answers combine. A leaf is the index of a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    All(Vec<Self>),
    Any(Vec<Self>),
    Tuple(usize),
}

impl Question {
    pub(super) fn new(tuples: Tuples, tree: Tree) -> Self {
        Self {
            tuples: tuples.0,
            tree,
        }
    }

    /// Returns the tuples to check, each once, in the order in which [`Question::answer`] takes the answers.
    pub fn tuples(&self) -> &[RelationTuple] {
        &self.tuples
    }

    /// Combines the answers, one for each tuple.
    ///
    /// Returns `None` when their number is not the number of the tuples: that is no answer, neither yes nor no.
    pub fn answer(&self, allowed: &[bool]) -> Option<bool> {
        if allowed.len() != self.tuples.len() {
            return None;
        }
        self.tree.answer(allowed)
    }
}

impl Tree {
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

/// The tuples of a question while it is made. At most [`MAX_TUPLES`](super::MAX_TUPLES), so a linear search is enough.
#[derive(Debug, Default)]
pub(super) struct Tuples(Vec<RelationTuple>);

impl Tuples {
    /// Returns the index of the tuple, which is added unless it is there already.
    pub(super) fn insert(&mut self, tuple: RelationTuple) -> usize {
        self.0
            .iter()
            .position(|known| *known == tuple)
            .unwrap_or_else(|| {
                self.0.push(tuple);
                self.0.len().saturating_sub(1)
            })
    }
}
