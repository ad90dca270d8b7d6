//! Is it allowed? Relation tuples and checks, as Keto answers.
