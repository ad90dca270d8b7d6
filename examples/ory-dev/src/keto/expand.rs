//! `GET /relation-tuples/expand`: the tree of subjects of a relation.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Serialize;
use serde_json::json;

use super::{
    State,
    answer::{self, Refusal},
    check::clamp,
    query::Query,
    store::View,
    tuple::{Subject, SubjectSet, WireTuple},
};

/// Answers with the tree below an object's relation. Permits are not evaluated; only tuples are followed.
pub(super) async fn expand(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, Refusal> {
    let query = Query::parse(request.query_string())?;
    let depth = clamp(query.max_depth()?, state.max_depth);
    let text = |key| query.get(key).unwrap_or_default().to_owned();
    let set = SubjectSet {
        namespace: text("namespace"),
        object: text("object"),
        relation: text("relation"),
    };
    if !state.namespaces.has_namespace(&set.namespace) {
        return Err(Refusal::unknown_namespace(&set.namespace));
    }

    let view = state.store.view();
    let mut expansion = Expansion {
        view: &view,
        visited: HashSet::new(),
        nodes: MAX_NODES,
    };
    Ok(match expansion.of(&Subject::Set(set), depth.min(MAX_DEPTH)) {
        Some(tree) => answer::json(&tree),
        // The recorded status is 200; only the body contains 404.
        None => answer::json(&json!({
            "code": 404, "status": "Not Found", "message": "no relation tuple found"
        })),
    })
}

#[derive(Serialize)]
struct Tree {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<Self>,
    tuple: WireTuple,
}

impl Tree {
    fn leaf(subject: &Subject) -> Self {
        Self {
            r#type: "leaf",
            children: Vec::new(),
            tuple: WireTuple::of_subject(subject),
        }
    }
}

struct Expansion<'a> {
    view: &'a View<'a>,
    visited: HashSet<SubjectSet>,
    nodes: usize,
}

impl Expansion<'_> {
    /// Returns the tree of a subject; `None` for a set without tuples, or one that was already expanded in this tree.
    fn of(&mut self, subject: &Subject, depth: u32) -> Option<Tree> {
        let Subject::Set(set) = subject else {
            return Some(Tree::leaf(subject));
        };
        if !self.visited.insert(set.clone()) {
            return None;
        }
        let view = self.view;
        let mut subjects = view.subjects(set.as_opl()).peekable();
        subjects.peek()?;
        if depth <= 1 {
            return Some(Tree::leaf(subject));
        }

        let mut children = Vec::new();
        for child in subjects {
            let Some(nodes) = self.nodes.checked_sub(1) else {
                break;
            };
            self.nodes = nodes;
            let below = self.of(child, depth.saturating_sub(1));
            children.push(below.unwrap_or_else(|| Tree::leaf(child)));
        }
        Some(Tree {
            r#type: "union",
            children,
            tuple: WireTuple::of_subject(subject),
        })
    }
}

/// The largest depth of a tree, whatever is configured. The tree is built and serialized by recursion. Each level takes two
/// levels of JSON, and common parsers accept 128.
const MAX_DEPTH: u32 = 50;

/// The largest number of nodes of a tree.
const MAX_NODES: usize = 100_000;
