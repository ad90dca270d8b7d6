//! Fuzz targets for tuples, queries and `keto.yml`.

use actix_web::web::Bytes;
use serde_json::Value;

use super::{
    body::{self, Object},
    check,
    config::KetoConfig,
    query::Query,
    tuple::{Subject, SubjectSet, WireTuple},
    write::Deltas,
};
use crate::fuzz::{assert_known, document};

/// Bodies with one tuple, with the tuples of a batch, and with the actions of a patch.
///
/// # Panics
///
/// When the reader finds something in the body that a naive reader does not find.
pub fn keto_body(data: &[u8]) {
    // Bodies that only the strict reader takes have unknown members that the naive one cannot hold.
    let naive: Option<Value> = serde_json::from_slice(data).ok();
    let read = || Ok(Bytes::copy_from_slice(data));

    if let (Ok(Object(tuple)), Some(naive)) = (body::json::<Object<WireTuple>>(read(), ""), &naive) {
        assert_reads(&tuple, naive);
    }
    if let (Ok(tuples), Some(naive)) = (check::tuples(read()), &naive) {
        let written = naive["tuples"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(tuples.len(), written.len(), "a tuple of the batch was lost");
        for (Object(tuple), naive) in tuples.iter().zip(written) {
            assert_reads(tuple, naive);
        }
    }
    if let (Ok(deltas), Some(naive)) = (Deltas::read(read()), &naive) {
        for (action, tuples) in [("insert", &deltas.insert), ("delete", &deltas.delete)] {
            let parts = naive.as_array().into_iter().flatten();
            let written: Vec<_> = parts.filter(|part| part["action"] == action).collect();
            assert_eq!(tuples.len(), written.len(), "a part of the patch was lost");
            for (tuple, naive) in tuples.iter().zip(written) {
                assert_reads(tuple, &naive["relation_tuple"]);
            }
        }
    }
}

/// Query strings.
///
/// # Panics
///
/// When a tuple does not survive a round trip.
pub fn keto_query(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(query) = Query::parse(text) else { return };
    let _ = (query.filter(), query.max_depth());

    let Ok(tuple) = query.tuple() else { return };
    let written = tuple.to_query();
    let again = Query::parse(&written).and_then(|query| query.tuple());
    assert_eq!(
        again.ok().map(|again| again.to_query()),
        Some(written),
        "a tuple that does not survive being written"
    );
}

/// Keto's configuration.
///
/// # Panics
///
/// When a configuration with an unknown option or an address beyond loopback is accepted.
pub fn keto_yml(data: &[u8]) {
    let Some(document) = document(data) else { return };
    let Ok(config) = KetoConfig::from_document(&document) else {
        return;
    };

    assert_known(document.root(), CONFIGURATION);
    assert_known(&document.root()["serve"], &["metrics", "opl", "read", "write"]);
    assert_known(
        &document.root()["namespaces"],
        &["experimental_strict_mode", "location"],
    );
    assert!(
        [config.read, config.write, config.opl]
            .iter()
            .all(|address| address.ip().is_loopback()),
        "it would listen beyond this machine"
    );
}

fn assert_reads(tuple: &WireTuple, naive: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (read, name) in [
        (&tuple.namespace, "namespace"),
        (&tuple.object, "object"),
        (&tuple.relation, "relation"),
    ] {
        assert_eq!(*read, text(&naive[name]), "another tuple than was written");
    }

    let (id, set) = (&naive["subject_id"], &naive["subject_set"]);
    let written = match (id.as_str(), set.is_object()) {
        (Some(id), _) => Some(Subject::Id(id.to_owned())),
        (None, true) => Some(Subject::Set(SubjectSet {
            namespace: text(&set["namespace"]),
            object: text(&set["object"]),
            relation: text(&set["relation"]),
        })),
        (None, false) => None,
    };
    assert_eq!(tuple.subject().ok(), written, "another subject than was written");
}

const CONFIGURATION: &[&str] = &[
    "$schema",
    "clients",
    "dsn",
    "limit",
    "log",
    "namespaces",
    "profiling",
    "secrets",
    "serve",
    "tracing",
    "version",
];
