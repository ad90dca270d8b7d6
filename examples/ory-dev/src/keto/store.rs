//! The tuple store.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use iam_opl::{ObjectRelation, Relations, Subject as AskedSubject};

use super::tuple::{Subject, Tuple};

/// The tuples of a running Keto, in the order in which they were written.
///
/// A tuple that is written twice is stored twice, and one delete removes both, as in Keto.
#[derive(Debug, Default)]
pub struct Store {
    inner: RwLock<Inner>,
}

/// Selects tuples that have every value that is set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "it has the members of Keto's query")]
pub struct Filter {
    /// The namespace.
    pub namespace: Option<String>,
    /// The object.
    pub object: Option<String>,
    /// The relation.
    pub relation: Option<String>,
    /// The subject.
    pub subject: Option<Subject>,
}

/// The store has reached its limit of tuples.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the store is full: it takes {MAX_TUPLES} tuples")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct StoreFull;

#[derive(Debug, Default)]
struct Inner {
    tuples: BTreeMap<u64, Tuple>,
    /// The hash of each key of each tuple, with the tuple's number.
    index: BTreeSet<(u64, u64)>,
    hasher: RandomState,
    last: u64,
}

/// The key of an index entry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Key<'a> {
    /// Every subject of a relation of an object.
    Relation(ObjectRelation<'a>),
    /// Every subject that is a set.
    Sets(ObjectRelation<'a>),
    /// This subject.
    Subject(ObjectRelation<'a>, AskedSubject<'a>),
}

impl Store {
    /// Adds a tuple. The store does not check namespaces.
    ///
    /// # Errors
    ///
    /// When the store is full.
    pub fn insert(&self, tuple: impl Into<Tuple>) -> Result<(), StoreFull> {
        self.transact(vec![tuple.into()], &[])
    }

    /// Adds tuples, then removes tuples, atomically.
    ///
    /// # Errors
    ///
    /// When the store is full.
    pub fn transact(&self, insert: Vec<Tuple>, delete: &[Tuple]) -> Result<(), StoreFull> {
        let mut inner = self.write();
        if inner.tuples.len().saturating_add(insert.len()) > MAX_TUPLES {
            return Err(StoreFull);
        }

        for tuple in insert {
            inner.insert(tuple);
        }
        for tuple in delete {
            inner.remove(tuple);
        }
        Ok(())
    }

    /// Removes every tuple that the filter selects, and returns how many.
    pub fn remove(&self, filter: &Filter) -> usize {
        let mut inner = self.write();
        let meant: Vec<u64> = inner
            .tuples
            .iter()
            .filter(|(_, tuple)| filter.matches(tuple))
            .map(|(number, _)| *number)
            .collect();
        for number in &meant {
            inner.forget(*number);
        }
        meant.len()
    }

    /// Returns every tuple that the filter selects.
    pub fn find(&self, filter: &Filter) -> Vec<Tuple> {
        self.page(filter, 0, usize::MAX).0
    }

    /// Returns the first tuples after number `after`, and the last one's number if there are more.
    pub(super) fn page(&self, filter: &Filter, after: u64, size: usize) -> (Vec<Tuple>, Option<u64>) {
        let inner = self.read();
        let mut meant = inner
            .tuples
            .range(after.saturating_add(1)..)
            .filter(|(_, tuple)| filter.matches(tuple));
        let mut last = None;
        let mut tuples = Vec::new();
        for (number, tuple) in meant.by_ref().take(size) {
            last = Some(*number);
            tuples.push(tuple.clone());
        }
        let more = meant.next().is_some();
        (tuples, last.filter(|_| more))
    }

    /// Returns a snapshot for one whole check.
    pub(super) fn view(&self) -> View<'_> {
        View { inner: self.read() }
    }

    // A panic while the lock was held leaves at most an incomplete change that is harmless: numbers without a tuple are
    // skipped.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filter {
    fn matches(&self, tuple: &Tuple) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|it| it == value);
        is(&self.namespace, &tuple.namespace)
            && is(&self.object, &tuple.object)
            && is(&self.relation, &tuple.relation)
            && self
                .subject
                .as_ref()
                .is_none_or(|wanted| *wanted == tuple.subject)
    }
}

impl Inner {
    fn insert(&mut self, tuple: Tuple) {
        self.last = self.last.saturating_add(1);
        for key in keys(&tuple) {
            self.index.insert((self.hash(key), self.last));
        }
        self.tuples.insert(self.last, tuple);
    }

    fn remove(&mut self, tuple: &Tuple) {
        let key = Key::Subject(tuple.of(), tuple.subject.as_opl());
        let same: Vec<u64> = self.at(key).map(|(number, _)| number).collect();
        for number in same {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(tuple) = self.tuples.remove(&number) else {
            return;
        };
        for key in keys(&tuple) {
            self.index.remove(&(self.hash(key), number));
        }
    }

    /// Returns the tuples that have the key, in the order in which they were written.
    fn at(&self, key: Key<'_>) -> impl Iterator<Item = (u64, &Tuple)> {
        let hash = self.hash(key);
        self.index
            .range((hash, 0)..=(hash, u64::MAX))
            .filter_map(|(_, number)| Some((*number, self.tuples.get(number)?)))
            // Two keys may have the same hash.
            .filter(move |(_, tuple)| keys(tuple).any(|other| other == key))
    }

    fn hash(&self, key: Key<'_>) -> u64 {
        self.hasher.hash_one(key)
    }
}

fn keys(tuple: &Tuple) -> impl Iterator<Item = Key<'_>> {
    let of = tuple.of();
    let sets = match &tuple.subject {
        Subject::Id(_) => None,
        Subject::Set(_) => Some(Key::Sets(of)),
    };
    [Key::Relation(of), Key::Subject(of, tuple.subject.as_opl())]
        .into_iter()
        .chain(sets)
}

/// A locked view of the tuples: nothing is written while it exists.
#[derive(Debug)]
pub(super) struct View<'a> {
    inner: RwLockReadGuard<'a, Inner>,
}

impl View<'_> {
    /// Returns the subjects of a relation of an object.
    pub(super) fn subjects(&self, of: ObjectRelation<'_>) -> impl Iterator<Item = &Subject> {
        self.inner.at(Key::Relation(of)).map(|(_, tuple)| &tuple.subject)
    }
}

impl Relations for View<'_> {
    fn contains(&self, of: ObjectRelation<'_>, subject: AskedSubject<'_>) -> bool {
        self.inner.at(Key::Subject(of, subject)).next().is_some()
    }

    fn subject_sets(&self, of: ObjectRelation<'_>) -> Vec<ObjectRelation<'_>> {
        let sets = self.inner.at(Key::Sets(of));
        let sets = sets.filter_map(|(_, tuple)| match &tuple.subject {
            Subject::Id(_) => None,
            Subject::Set(set) => Some(set.as_opl()),
        });
        sets.collect()
    }
}

/// The largest number of tuples.
const MAX_TUPLES: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(text: &str) -> Tuple {
        text.parse::<iam_grammar::RelationTuple>().unwrap().into()
    }

    fn of(object: &str) -> Filter {
        Filter {
            object: Some(object.to_owned()),
            ..Filter::default()
        }
    }

    #[test]
    fn a_tuple_written_twice_is_there_twice_and_one_delete_removes_both() {
        let store = Store::default();
        store.insert(tuple("n:a#r@u")).unwrap();
        store.insert(tuple("n:a#r@u")).unwrap();
        store.insert(tuple("n:a#r@v")).unwrap();
        assert_eq!(store.find(&of("a")).len(), 3);

        store.transact(Vec::new(), &[tuple("n:a#r@u")]).unwrap();

        assert_eq!(store.find(&Filter::default()), [tuple("n:a#r@v")]);
    }

    #[test]
    fn what_one_transaction_writes_and_removes_is_gone() {
        let store = Store::default();

        store
            .transact(vec![tuple("n:a#r@u"), tuple("n:b#r@u")], &[tuple("n:a#r@u")])
            .unwrap();

        assert_eq!(store.find(&Filter::default()), [tuple("n:b#r@u")]);
    }

    #[test]
    fn a_filter_means_only_what_has_all_of_it() {
        let store = Store::default();
        for text in ["n:a#r@u", "n:a#s@u", "m:a#r@u", "n:a#r@(n:g#m)"] {
            store.insert(tuple(text)).unwrap();
        }
        let filter = Filter {
            namespace: Some("n".to_owned()),
            relation: Some("r".to_owned()),
            subject: Some(Subject::Id("u".to_owned())),
            ..of("a")
        };

        assert_eq!(store.remove(&filter), 1);
        assert_eq!(store.remove(&filter), 0);
        assert_eq!(store.find(&Filter::default()).len(), 3);
        assert_eq!(store.view().subjects(tuple("n:a#r@x").of()).count(), 1);
    }

    #[test]
    fn pages_cover_everything_once() {
        let store = Store::default();
        for index in 0..5 {
            store.insert(tuple(&format!("n:a#r@u{index}"))).unwrap();
        }

        let (first, next) = store.page(&of("a"), 0, 2);
        let (second, after) = store.page(&of("a"), next.unwrap(), 2);
        let (third, end) = store.page(&of("a"), after.unwrap(), 2);

        let all: Vec<Tuple> = [first, second, third].concat();
        assert_eq!(all, store.find(&Filter::default()));
        assert_eq!(end, None);
        assert_eq!(store.page(&of("a"), 0, 5).1, None);
    }

    #[test]
    fn check_looks_at_no_tuple_but_those_it_asks_for() {
        let store = Store::default();
        for index in 0..100 {
            store.insert(tuple(&format!("n:a#r@u{index}"))).unwrap();
        }
        store.insert(tuple("n:a#r@(n:g#m)")).unwrap();
        let looked_at = |key: Key<'_>| {
            let inner = store.read();
            let hash = inner.hash(key);
            inner.index.range((hash, 0)..=(hash, u64::MAX)).count()
        };

        let relation = ObjectRelation {
            namespace: "n",
            object: "a",
            relation: "r",
        };
        assert_eq!(looked_at(Key::Relation(relation)), 101);
        assert_eq!(looked_at(Key::Sets(relation)), 1);
        assert_eq!(looked_at(Key::Subject(relation, AskedSubject::Id("u7"))), 1);
        assert_eq!(looked_at(Key::Subject(relation, AskedSubject::Id("u"))), 0);
    }

    /// A delete that scanned all other tuples of its object would take minutes here.
    #[test]
    fn very_many_tuples_of_one_object_are_deleted_and_leave_nothing_behind() {
        let store = Store::default();
        let tuples: Vec<Tuple> = (0..100_000)
            .map(|index| tuple(&format!("n:a#r@u{index}")))
            .collect();
        store.transact(tuples.clone(), &[]).unwrap();

        store.transact(Vec::new(), &tuples[..50_000]).unwrap();
        let left = store.view();
        assert!(!left.contains(tuples[49_999].of(), tuples[49_999].subject.as_opl()));
        assert!(
            tuples[50_000..]
                .iter()
                .all(|tuple| left.contains(tuple.of(), tuple.subject.as_opl()))
        );
        drop(left);

        assert_eq!(store.remove(&of("a")), 50_000);
        assert!(store.find(&Filter::default()).is_empty() && store.read().index.is_empty());
    }

    /// Writes and deletes a few tuples repeatedly, and compares the store with a plain list.
    #[test]
    fn whatever_is_written_and_deleted_is_found_in_the_order_of_writing() {
        let texts = [
            "n:a#r@u",
            "n:a#r@v",
            "n:a#r@(n:g#m)",
            "n:a#s@u",
            "n:g#m@u",
            "m:a#r@u",
        ];
        let tuples = texts.map(tuple);
        let store = Store::default();
        let mut list: Vec<&Tuple> = Vec::new();
        let mut random = 1_u32;

        for _ in 0..1_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let chosen = &tuples[(random >> 16) as usize % tuples.len()];
            if random >> 31 == 0 {
                store.insert(chosen.clone()).unwrap();
                list.push(chosen);
            } else {
                store.transact(Vec::new(), std::slice::from_ref(chosen)).unwrap();
                list.retain(|other| *other != chosen);
            }

            let view = store.view();
            for asked in &tuples {
                let same = list.iter().filter(|other| other.of() == asked.of());
                let subjects: Vec<_> = same.map(|other| &other.subject).collect();
                let sets: Vec<_> = subjects
                    .iter()
                    .filter_map(|subject| match subject {
                        Subject::Id(_) => None,
                        Subject::Set(set) => Some(set.as_opl()),
                    })
                    .collect();
                assert!(view.subjects(asked.of()).eq(subjects));
                assert_eq!(view.subject_sets(asked.of()), sets);
                assert_eq!(
                    view.contains(asked.of(), asked.subject.as_opl()),
                    list.contains(&asked)
                );
            }
            drop(view);
            assert!(store.find(&Filter::default()).iter().eq(list.iter().copied()));
        }
    }
}
