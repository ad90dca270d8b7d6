//! What a permission file declares, as Keto's engine looks at it.

use std::collections::BTreeMap;

/// One `class … implements Namespace`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Namespace {
    /// Relations and permits by name.
    pub(super) relations: BTreeMap<String, Relation>,
}

/// A relation, which is stored as tuples, or a permit, which is computed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Relation {
    /// What stands under `permits`.
    Permit(Rewrite),
    /// What stands under `related`: the types that may be its subjects.
    Related(Vec<RelationType>),
}

impl Relation {
    /// Returns the types that may be subjects; a permit has none.
    pub(super) fn types(&self) -> &[RelationType] {
        match self {
            Self::Permit(_) => &[],
            Self::Related(types) => types,
        }
    }

    /// Returns how a permit is computed; a relation is not.
    pub(super) fn rewrite(&self) -> Option<&Rewrite> {
        match self {
            Self::Permit(rewrite) => Some(rewrite),
            Self::Related(_) => None,
        }
    }
}

/// `Type` or `SubjectSet<Type, "relation">`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct RelationType {
    pub(super) namespace: String,
    /// Absent for a plain type.
    pub(super) relation: Option<String>,
}

/// How the operands of a [`Rewrite`] are combined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    And,
    Or,
}

/// An expression: operands under one operator.
///
/// The shape is Keto's and not only a matter of taste: each nested rewrite costs one unit of a check's depth, so a tree that is
/// equal in logic but nested otherwise would answer differently near the limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rewrite {
    pub(super) operator: Operator,
    pub(super) children: Vec<Child>,
}

/// One operand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Child {
    /// `this.related.R.includes(ctx.subject)` and `this.permits.P(ctx)`: the same object, another relation.
    Computed(String),
    /// `!…`
    Not(Box<Self>),
    /// `(…)`, or the left side of an operator that differs from the one before it.
    Rewrite(Rewrite),
    /// `this.related.R.traverse(x => …)`: the subjects of `through`, each asked for `relation`.
    Traverse { through: String, relation: String },
}

impl Rewrite {
    /// Wraps a first operand.
    pub(super) fn of(child: Child) -> Self {
        match child {
            Child::Rewrite(rewrite) => rewrite,
            other @ (Child::Computed(_) | Child::Not(_) | Child::Traverse { .. }) => Self {
                operator: Operator::Or,
                children: vec![other],
            },
        }
    }

    /// Puts an operator and its right side behind what was read so far.
    pub(super) fn then(self, operator: Operator, right: Child) -> Self {
        Self {
            operator,
            children: vec![Child::Rewrite(self), right],
        }
    }

    /// Merges nested expressions that have the same operator as their parent.
    pub(super) fn flatten(self) -> Self {
        let operator = self.operator;
        let mut children = Vec::with_capacity(self.children.len());
        // A worklist instead of recursion: `a || b || …` nests once for each operator, and nothing but the size of the source
        // bounds how many there are.
        let mut pending: Vec<Child> = self.children.into_iter().rev().collect();
        while let Some(child) = pending.pop() {
            match child {
                Child::Rewrite(inner) if inner.operator == operator => {
                    pending.extend(inner.children.into_iter().rev());
                }
                other @ (Child::Computed(_) | Child::Not(_) | Child::Rewrite(_) | Child::Traverse { .. }) => {
                    children.push(other);
                }
            }
        }

        Self { operator, children }
    }
}
