//! Which keys does the configuration know?
//!
//! The types are the only list of keys. Reading a table that holds one impossible key makes serde report the keys that it
//! expects there; doing so for each of these keys in turn lists all of them.

use super::{Written, load, read::known_keys, tree::Node};

/// The paths of all keys, tables included.
pub(super) struct Schema {
    /// Keys outside of tenants.
    root: Vec<Vec<&'static str>>,
    /// Keys of a tenant, below its name.
    tenant: Vec<Vec<&'static str>>,
}

impl Schema {
    pub(super) fn new() -> Self {
        let mut root = Vec::new();
        collect(&[], &[], &mut root);
        let mut tenant = Vec::new();
        collect(&[TENANTS, ANY], &[], &mut tenant);
        Self { root, tenant }
    }

    /// Tells whether a path names a key or a table.
    pub(super) fn knows(&self, path: &[String]) -> bool {
        match path {
            [tenants, _, below @ ..] if tenants == TENANTS => {
                below.is_empty() || self.tenant.iter().any(|known| known == below)
            }
            path => self.root.iter().any(|known| known == path),
        }
    }

    /// Returns the variables of the environment that set the keys, for these tenants.
    pub(super) fn variables<'a>(&'a self, tenants: &'a [String]) -> impl Iterator<Item = String> + 'a {
        let root = self.root.iter().map(|path| path.join("__"));
        let tenants = tenants.iter().flat_map(|name| {
            let below = self.tenant.iter().map(|path| path.join("__"));
            below.map(move |path| format!("{TENANTS}__{name}__{path}"))
        });
        root.chain(tenants).map(|path| {
            format!("{}{path}", load::VARIABLE_PREFIX)
                .to_uppercase()
                .replace('-', "_")
        })
    }
}

/// Adds the keys of the table at `above` and `path`, and those of the tables below it.
fn collect(above: &[&'static str], path: &[&'static str], found: &mut Vec<Vec<&'static str>>) {
    let table = [above, path].concat();
    for key in known_keys::<Written>(&probe(&table)) {
        let key_path = [path, &[*key]].concat();
        let is_deep = MAX_DEPTH <= key_path.len();
        found.push(key_path.clone());
        if !is_deep && *key != TENANTS {
            collect(above, &key_path, found);
        }
    }
    for (_, file_key) in load::secrets_of(&table) {
        found.push([path, &[*file_key]].concat());
    }
}

/// Makes a table at `path` with one key that no table knows.
fn probe(path: &[&str]) -> Node {
    let unknown = Node::Table(vec![(String::new(), Node::Absent)]);
    path.iter()
        .rev()
        .fold(unknown, |node, key| Node::Table(vec![((*key).to_owned(), node)]))
}

const TENANTS: &str = "tenants";

/// Stands for the name of any tenant.
const ANY: &str = "any";

/// Tables are not nested deeper than this.
const MAX_DEPTH: usize = 5;
