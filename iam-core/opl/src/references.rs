//! Checks that every name in a permission file is declared.

use std::collections::{BTreeMap, BTreeSet};

use crate::MAX_ERRORS;
use crate::ast::Namespace;
use crate::error::OplError;
use crate::parse::Use;
use crate::token::Token;

/// Looks up every use.
///
/// # Errors
///
/// Returns the uses of undeclared names, at most [`MAX_ERRORS`].
pub(crate) fn resolve(
    source: &str,
    namespaces: &BTreeMap<String, Namespace>,
    uses: &[Use<'_>],
) -> Result<(), Vec<OplError>> {
    let mut resolver = Resolver {
        source,
        namespaces,
        steps: MAX_STEPS,
        errors: Vec::new(),
    };
    for used in uses {
        resolver.resolve(used);
        if resolver.errors.len() >= MAX_ERRORS {
            break;
        }
    }

    resolver.errors.truncate(MAX_ERRORS);
    if resolver.errors.is_empty() {
        Ok(())
    } else {
        Err(resolver.errors)
    }
}

#[derive(Debug)]
struct Resolver<'a> {
    source: &'a str,
    namespaces: &'a BTreeMap<String, Namespace>,
    /// How many more types may be looked up.
    steps: usize,
    errors: Vec<OplError>,
}

impl<'a> Resolver<'a> {
    fn resolve(&mut self, used: &Use<'a>) {
        match used {
            Use::Namespace(token) => self.namespace(token),
            Use::Own { class, relation } => {
                if !self.declares(class, relation.text) {
                    let message = format!("namespace {class:?} did not declare relation {:?}", relation.text);
                    self.error(relation, message);
                }
            }
            Use::SubjectSet { namespace, relation } => {
                if !self.namespaces.contains_key(namespace.text) {
                    self.namespace(namespace);
                } else if !self.declares(namespace.text, relation.text) {
                    let message = format!(
                        "namespace {:?} did not declare relation {:?}",
                        namespace.text, relation.text
                    );
                    self.error(relation, message);
                }
            }
            Use::Traverse {
                class,
                through,
                relation,
            } => self.traverse(class, through, relation),
        }
    }

    fn namespace(&mut self, token: &Token<'_>) {
        if !self.namespaces.contains_key(token.text) {
            self.error(token, format!("namespace {:?} was not declared", token.text));
        }
    }

    /// Checks that all types of `through` have `relation`; of a subject set, that all types of the set have it.
    ///
    /// Level by level, each relation once a level: the number of paths through nested sets grows exponentially, the number of
    /// relations does not.
    fn traverse(&mut self, class: &'a str, through: &Token<'a>, relation: &str) {
        let mut level = BTreeSet::from([(class, through.text)]);
        let mut missing = BTreeSet::new();
        for _ in 0..=MAX_SET_DEPTH {
            let mut below = BTreeSet::new();
            for (namespace, name) in level {
                let Some(found) = self
                    .namespaces
                    .get(namespace)
                    .and_then(|it| it.relations.get(name))
                else {
                    // The class's own relation has its own check, and a set's relation too.
                    continue;
                };
                for kind in found.types() {
                    if self.steps == 0 {
                        return self.error(through, "too many types to check".to_owned());
                    }
                    self.steps = self.steps.saturating_sub(1);
                    match &kind.relation {
                        Some(set) => _ = below.insert((kind.namespace.as_str(), set.as_str())),
                        None if self.declares(&kind.namespace, relation) => {}
                        None => _ = missing.insert(kind.namespace.as_str()),
                    }
                }
            }
            level = below;
        }

        for namespace in missing {
            let message = format!("relation {relation:?} was not declared in namespace {namespace:?}");
            self.error(through, message);
        }
        if !level.is_empty() {
            let message = "could not typecheck deeply nested SubjectSet further".to_owned();
            self.error(through, message);
        }
    }

    fn declares(&self, namespace: &str, relation: &str) -> bool {
        self.namespaces
            .get(namespace)
            .is_some_and(|found| found.relations.contains_key(relation))
    }

    fn error(&mut self, token: &Token<'_>, message: String) {
        self.errors
            .push(OplError::reference(self.source, token.start..token.end, message));
    }
}

/// How deep a `SubjectSet` of a `SubjectSet` is followed. This is Keto's bound.
const MAX_SET_DEPTH: usize = 10;

/// The most types that are looked up for one file.
const MAX_STEPS: usize = 1_000_000;
