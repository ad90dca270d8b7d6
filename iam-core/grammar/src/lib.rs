//! The grammar of relation tuples, object templates, names and the Ory Permission Language.
