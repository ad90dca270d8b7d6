//! Keto's check, over any store.
//!
//! The order of the steps, their cost in depth and the effect of the visited sets are those of Keto v26.2.0, because an answer near
//! a limit depends on them.

use std::collections::BTreeSet;

use crate::Namespaces;
use crate::ast::{Child, Operator, Relation, Rewrite};
use crate::check::{Answer, CheckError, CheckLimits, Mode, ObjectRelation, Subject};

/// A store of relation tuples.
///
/// A check calls it many times, so it should be a snapshot, or hold a lock until the check is finished.
pub trait Relations {
    /// Tells whether exactly this tuple is stored.
    fn contains(&self, of: ObjectRelation<'_>, subject: Subject<'_>) -> bool;

    /// Returns the subject sets (not the ids) that are subjects of a relation of an object, in a stable order.
    fn subject_sets(&self, of: ObjectRelation<'_>) -> Vec<ObjectRelation<'_>>;
}

impl Namespaces {
    /// Checks whether `subject` has a relation or permit to an object.
    ///
    /// # Errors
    ///
    /// Returns an error when the namespace or the relation is not declared (the latter also for the relation of a subject set that
    /// is met on the way), and when the check takes too many steps.
    ///
    /// # Security
    ///
    /// Below a `!` an exhausted limit counts as "not granted" and so allows, as in Keto v26.2.0. Keep permits with a `!` shallow.
    ///
    /// # Examples
    ///
    /// ```
    /// use iam_opl::{Answer, CheckLimits, ObjectRelation, Relations, Subject};
    ///
    /// /// One tuple: order 7 is owned by `user:alice`.
    /// struct OneOwner;
    ///
    /// impl Relations for OneOwner {
    ///     fn contains(&self, of: ObjectRelation<'_>, subject: Subject<'_>) -> bool {
    ///         of == ObjectRelation { namespace: "orders", object: "7", relation: "owners" }
    ///             && subject == Subject::Id("user:alice")
    ///     }
    ///
    ///     fn subject_sets(&self, _: ObjectRelation<'_>) -> Vec<ObjectRelation<'_>> {
    ///         Vec::new()
    ///     }
    /// }
    ///
    /// let source = r#"
    ///     class user implements Namespace {}
    ///     class orders implements Namespace {
    ///       related: { owners: user[] }
    ///       permits = { view: (ctx: Context) => this.related.owners.includes(ctx.subject) }
    ///     }"#;
    /// let namespaces = iam_opl::parse(source).map_err(|errors| errors[0].clone())?;
    ///
    /// let view = ObjectRelation { namespace: "orders", object: "7", relation: "view" };
    /// let limits = CheckLimits::default();
    /// assert_eq!(namespaces.check(&OneOwner, view, Subject::Id("user:alice"), limits)?, Answer::Allow);
    /// assert_eq!(namespaces.check(&OneOwner, view, Subject::Id("user:bob"), limits)?, Answer::Deny);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(
        &self,
        store: &dyn Relations,
        of: ObjectRelation<'_>,
        subject: Subject<'_>,
        limits: CheckLimits,
    ) -> Result<Answer, CheckError> {
        self.check_relation(of.namespace, of.relation)?;

        let mut check = Check {
            namespaces: self,
            store,
            subject,
            limits,
            steps: MAX_STEPS,
            exhausted: false,
        };
        let path = Path {
            visited: None,
            left: MAX_PATH,
        };
        Ok(match check.is_allowed(of, limits.depth, Direct::Look, path)? {
            Membership::Member => Answer::Allow,
            Membership::NotMember | Membership::Unknown if check.exhausted => Answer::Exhausted,
            Membership::NotMember | Membership::Unknown => Answer::Deny,
        })
    }
}

/// The result of one step. Only a step beyond the depth is unknown: a union or intersection of unknowns is "not a member".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Membership {
    Member,
    NotMember,
    Unknown,
}

impl Membership {
    fn of(found: bool) -> Self {
        if found { Self::Member } else { Self::NotMember }
    }
}

/// Tells whether the stored tuples of the relation itself still have to be looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direct {
    Done,
    Look,
}

/// The state of one path through the tuples.
#[derive(Debug)]
struct Path<'p, 'a> {
    /// The subject sets that were followed since the first one on this path. All branches below the first one share it.
    visited: Option<&'p mut BTreeSet<ObjectRelation<'a>>>,
    /// How many nested steps are left. Steps within one object cost no depth, so the depth does not end a circle of permits.
    left: u32,
}

impl<'a> Path<'_, 'a> {
    fn nested(&mut self) -> Path<'_, 'a> {
        Path {
            visited: self.visited.as_deref_mut(),
            left: self.left,
        }
    }
}

struct Check<'a> {
    namespaces: &'a Namespaces,
    store: &'a dyn Relations,
    subject: Subject<'a>,
    limits: CheckLimits,
    steps: u32,
    exhausted: bool,
}

impl<'a> Check<'a> {
    /// Looks for the subject in one relation of one object: in its rewrite, in its tuples, and in the subject sets of its tuples.
    fn is_allowed(
        &mut self,
        of: ObjectRelation<'a>,
        depth: u32,
        direct: Direct,
        mut path: Path<'_, 'a>,
    ) -> Result<Membership, CheckError> {
        if depth == 0 {
            return Ok(self.give_up());
        }
        self.count(&mut path)?;

        let relation = self.relation(of)?;
        let rewrite = relation.and_then(Relation::rewrite);
        let strict = self.limits.mode == Mode::Strict;
        if let Some(rewrite) = rewrite
            && self.rewrite(of, rewrite, depth, path.nested())? == Membership::Member
        {
            return Ok(Membership::Member);
        }
        if direct == Direct::Look
            && !(strict && rewrite.is_some())
            && self.direct(of, depth.saturating_sub(1)) == Membership::Member
        {
            return Ok(Membership::Member);
        }
        let declares_sets =
            relation.is_none_or(|found| found.types().iter().any(|kind| kind.relation.is_some()));
        if (!strict || declares_sets) && self.expand(of, depth.saturating_sub(1), path)? == Membership::Member
        {
            return Ok(Membership::Member);
        }

        Ok(Membership::NotMember)
    }

    fn direct(&mut self, of: ObjectRelation<'a>, depth: u32) -> Membership {
        if depth == 0 {
            return self.give_up();
        }
        Membership::of(self.store.contains(of, self.subject))
    }

    /// Follows the subject sets that are subjects of the relation.
    fn expand(
        &mut self,
        of: ObjectRelation<'a>,
        depth: u32,
        mut path: Path<'_, 'a>,
    ) -> Result<Membership, CheckError> {
        if depth == 0 {
            return Ok(self.give_up());
        }
        let store = self.store;
        let mut sets = store.subject_sets(of);
        if sets.iter().any(|set| store.contains(*set, self.subject)) {
            return Ok(Membership::Member);
        }

        let width = usize::try_from(self.limits.width).unwrap_or(usize::MAX);
        if sets.len() > width {
            // Keto follows one less than the width.
            sets.truncate(width.saturating_sub(1));
            self.exhausted = true;
        }
        let mut first = BTreeSet::new();
        let visited = path.visited.take().unwrap_or(&mut first);
        for set in sets {
            if !visited.insert(set) {
                continue;
            }
            let below = Path {
                visited: Some(visited),
                left: path.left,
            };
            if self.is_allowed(set, depth, Direct::Done, below)? == Membership::Member {
                return Ok(Membership::Member);
            }
        }
        Ok(Membership::NotMember)
    }

    fn rewrite(
        &mut self,
        of: ObjectRelation<'a>,
        rewrite: &'a Rewrite,
        depth: u32,
        mut path: Path<'_, 'a>,
    ) -> Result<Membership, CheckError> {
        if depth == 0 {
            return Ok(self.give_up());
        }
        self.count(&mut path)?;
        match rewrite.operator {
            Operator::And => {
                for child in &rewrite.children {
                    if self.child(of, child, depth, path.nested())? != Membership::Member {
                        return Ok(Membership::NotMember);
                    }
                }
                Ok(Membership::of(!rewrite.children.is_empty()))
            }
            Operator::Or => {
                if self.computed(of, rewrite, depth, path.nested())? == Membership::Member {
                    return Ok(Membership::Member);
                }
                for child in &rewrite.children {
                    if !matches!(child, Child::Computed(_))
                        && self.child(of, child, depth, path.nested())? == Membership::Member
                    {
                        return Ok(Membership::Member);
                    }
                }
                Ok(Membership::NotMember)
            }
        }
    }

    /// Looks for the subject in the other relations of a union: first in the tuples of all of them, at any depth, then in each
    /// relation as a whole.
    fn computed(
        &mut self,
        of: ObjectRelation<'a>,
        rewrite: &'a Rewrite,
        depth: u32,
        mut path: Path<'_, 'a>,
    ) -> Result<Membership, CheckError> {
        let others = rewrite.children.iter().filter_map(|child| match child {
            Child::Computed(relation) => Some(ObjectRelation { relation, ..of }),
            Child::Not(_) | Child::Rewrite(_) | Child::Traverse { .. } => None,
        });
        for other in others.clone() {
            let skip = self.limits.mode == Mode::Strict
                && self
                    .relation(other)
                    .ok()
                    .flatten()
                    .is_some_and(|it| it.rewrite().is_some());
            if !skip && self.store.contains(other, self.subject) {
                return Ok(Membership::Member);
            }
        }
        for other in others {
            let below = self.is_allowed(other, depth.saturating_sub(1), Direct::Done, path.nested())?;
            if below == Membership::Member {
                return Ok(Membership::Member);
            }
        }
        Ok(Membership::NotMember)
    }

    fn child(
        &mut self,
        of: ObjectRelation<'a>,
        child: &'a Child,
        depth: u32,
        path: Path<'_, 'a>,
    ) -> Result<Membership, CheckError> {
        match child {
            Child::Computed(relation) => {
                self.is_allowed(ObjectRelation { relation, ..of }, depth, Direct::Look, path)
            }
            Child::Not(negated) => {
                // A rewrite costs no depth below a `!`.
                let inner = match &**negated {
                    Child::Rewrite(rewrite) => self.rewrite(of, rewrite, depth, path)?,
                    other @ (Child::Computed(_) | Child::Not(_) | Child::Traverse { .. }) => {
                        self.child(of, other, depth, path)?
                    }
                };
                Ok(match inner {
                    Membership::Member => Membership::NotMember,
                    Membership::NotMember => Membership::Member,
                    Membership::Unknown => Membership::Unknown,
                })
            }
            Child::Rewrite(rewrite) => self.rewrite(of, rewrite, depth.saturating_sub(1), path),
            Child::Traverse { through, relation } => self.traverse(of, (through, relation), depth, path),
        }
    }

    /// Looks for the subject in `relation` of each subject set of the relation `through`.
    fn traverse(
        &mut self,
        of: ObjectRelation<'a>,
        (through, relation): (&'a str, &'a str),
        depth: u32,
        mut path: Path<'_, 'a>,
    ) -> Result<Membership, CheckError> {
        let store = self.store;
        for set in store.subject_sets(ObjectRelation {
            relation: through,
            ..of
        }) {
            let next = ObjectRelation { relation, ..set };
            let below = self.is_allowed(next, depth.saturating_sub(1), Direct::Look, path.nested())?;
            if below == Membership::Member {
                return Ok(Membership::Member);
            }
        }
        Ok(Membership::NotMember)
    }

    fn relation(&self, of: ObjectRelation<'_>) -> Result<Option<&'a Relation>, CheckError> {
        let Some(namespace) = self.namespaces.by_name.get(of.namespace) else {
            return Ok(None);
        };
        self.namespaces.check_relation(of.namespace, of.relation)?;
        Ok(namespace.relations.get(of.relation))
    }

    fn give_up(&mut self) -> Membership {
        self.exhausted = true;
        Membership::Unknown
    }

    fn count(&mut self, path: &mut Path<'_, '_>) -> Result<(), CheckError> {
        let (Some(steps), Some(left)) = (self.steps.checked_sub(1), path.left.checked_sub(1)) else {
            return Err(CheckError::TooManySteps);
        };
        self.steps = steps;
        path.left = left;
        Ok(())
    }
}

/// The most nested steps, so that the stack of a thread suffices.
const MAX_PATH: u32 = 250;

/// The most steps of one check, because depth and width allow checks that take too long.
const MAX_STEPS: u32 = 100_000;
