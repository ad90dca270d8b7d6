//! Permission files and the checks over them.

use iam_opl::{CheckLimits, MAX_ERRORS, Mode, Namespaces, ObjectRelation, Relations, Subject};

/// A rejected source has errors within the source. An accepted source answers a check of everything that it declares within
/// the limits, whatever is stored.
///
/// # Panics
///
/// When that does not hold.
pub fn run(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else {
        return;
    };
    match iam_opl::parse(source) {
        Ok(namespaces) => ask(&namespaces),
        Err(errors) => {
            assert!(
                !errors.is_empty() && errors.len() <= MAX_ERRORS,
                "how many mistakes"
            );
            for err in errors {
                assert!(
                    source.get(err.span()).is_some(),
                    "a mistake outside of the source"
                );
                let lines = source.matches('\n').count().saturating_add(1);
                assert!(
                    (1..=lines).contains(&err.start().line()),
                    "a line outside of the source"
                );
                assert!(err.start().column() != 0, "a column before the first");
            }
        }
    }
}

fn ask(namespaces: &Namespaces) {
    let store = Circle { namespaces };
    for namespace in namespaces.names().take(3) {
        assert!(namespaces.has_namespace(namespace), "a name that is not there");
        for relation in namespaces.relations_and_permits(namespace).take(3) {
            assert!(
                namespaces.has_relation_or_permit(namespace, relation),
                "a relation that is not there"
            );
            let of = ObjectRelation {
                namespace,
                object: "o",
                relation,
            };
            for mode in [Mode::Lenient, Mode::Strict] {
                let limits = CheckLimits::default().depth(3).width(3).mode(mode);
                // Too many steps are an error. Any other answer is accepted: the check must only terminate.
                let _ = namespaces.check(&store, of, Subject::Id("s"), limits);
            }
        }
    }
}

/// A store in which every relation has the relations of the first namespace as its subjects, itself included, and no
/// subject ids.
struct Circle<'a> {
    namespaces: &'a Namespaces,
}

impl Relations for Circle<'_> {
    fn contains(&self, _: ObjectRelation<'_>, _: Subject<'_>) -> bool {
        false
    }

    fn subject_sets(&self, _: ObjectRelation<'_>) -> Vec<ObjectRelation<'_>> {
        let namespace = self.namespaces.names().next().unwrap_or_default();
        let relations = self
            .namespaces
            .relations_and_permits(namespace)
            .chain([""])
            .take(3);
        relations
            .map(|relation| ObjectRelation {
                namespace,
                object: "o",
                relation,
            })
            .collect()
    }
}
