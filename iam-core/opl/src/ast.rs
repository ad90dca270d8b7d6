//! The declarations of a permission file, in the shape of Keto's engine.

use std::collections::BTreeMap;

/// One `class … implements Namespace`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Namespace {
    /// Relations and permits by name.
    pub(crate) relations: BTreeMap<String, Relation>,
}

/// A relation, which is stored as tuples, or a permit, which is computed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Relation {
    /// A permit, declared under `permits`.
    Permit(Rewrite),
    /// A relation, declared under `related`, with the types of its subjects.
    Related(Vec<RelationType>),
}

impl Relation {
    /// Returns the types that may be subjects; a permit has none.
    pub(crate) fn types(&self) -> &[RelationType] {
        match self {
            Self::Permit(_) => &[],
            Self::Related(types) => types,
        }
    }

    /// Returns the expression of a permit; a relation has none.
    pub(crate) fn rewrite(&self) -> Option<&Rewrite> {
        match self {
            Self::Permit(rewrite) => Some(rewrite),
            Self::Related(_) => None,
        }
    }
}

/// `Type` or `SubjectSet<Type, "relation">`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RelationType {
    pub(crate) namespace: String,
    /// Absent for a plain type.
    pub(crate) relation: Option<String>,
}

/// How the operands of a [`Rewrite`] are combined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operator {
    And,
    Or,
}

/// An expression: operands under one operator.
///
/// The shape is Keto's: each nested rewrite costs one unit of a check's depth, so a logically equal tree with another nesting
/// would give other answers near the limit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rewrite {
    pub(crate) operator: Operator,
    pub(crate) children: Vec<Child>,
}

/// One operand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Child {
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
    pub(crate) fn of(child: Child) -> Self {
        match child {
            Child::Rewrite(rewrite) => rewrite,
            other @ (Child::Computed(_) | Child::Not(_) | Child::Traverse { .. }) => Self {
                operator: Operator::Or,
                children: vec![other],
            },
        }
    }

    /// Appends an operator and its right side to the expression.
    pub(crate) fn then(self, operator: Operator, right: Child) -> Self {
        Self {
            operator,
            children: vec![Child::Rewrite(self), right],
        }
    }

    /// Merges nested expressions that have the same operator as their parent.
    pub(crate) fn flatten(self) -> Self {
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
