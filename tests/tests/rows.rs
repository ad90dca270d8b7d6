//! Every requirement on this version is named by a test.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The requirements on JWTs and JOSE, and those on access tokens, introspection and HTTP whose violation lets somebody in.
const REQUIREMENTS: [&str; 80] = [
    "R001", "R002", "R003", "R004", "R005", "R006", "R007", "R008", "R010", "R011", "R012", "R013", "R014",
    "R015", "R016", "R017", "R018", "R019", "R020", "R021", "R023", "R024", "R025", "R026", "R027", "R028",
    "R029", "R030", "R033", "R034", "R035", "R036", "R037", "R038", "R039", "R040", "R041", "R044", "R045",
    "R046", "R047", "R048", "R049", "R050", "R051", "R052", "R053", "R058", "R059", "R060", "R061", "R062",
    "R063", "R064", "R066", "R067", "R068", "R069", "R071", "R073", "R074", "R075", "R076", "R077", "R078",
    "R079", "R080", "R082", "R083", "R085", "R086", "R087", "R088", "R089", "R091", "R092", "R093", "R094",
    "R098", "R099",
];

/// The defects of the predecessor that this version must not have.
const DEFECTS: [&str; 61] = [
    "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10", "D11", "D12", "D13", "D14", "D15", "D16",
    "D17", "D18", "D19", "D20", "D21", "D22", "D23", "D24", "D25", "D26", "D27", "D28", "D29", "D30", "D31",
    "D32", "D33", "D34", "D35", "D36", "D37", "D38", "D39", "D40", "D41", "D42", "D43", "D44", "D45", "D46",
    "D47", "D48", "D49", "D50", "D51", "D73", "D77", "D78", "D79", "D80", "D81", "D82", "D83", "D84", "D85",
];

#[test]
fn every_row_is_named_by_a_test_or_in_the_table_with_a_reason() {
    let tested = tested();
    let excused = excused();

    let missing: Vec<_> = REQUIREMENTS
        .iter()
        .chain(&DEFECTS)
        .filter(|row| !tested.contains(**row) && !excused.contains(**row))
        .collect();

    assert!(missing.is_empty(), "no test names these: {missing:?}");
}

#[test]
fn a_row_with_a_test_needs_no_reason() {
    let tested = tested();

    let needless: Vec<_> = excused().intersection(&tested).cloned().collect();

    assert!(needless.is_empty(), "take these out of the table: {needless:?}");
}

#[test]
fn only_doc_comments_of_tests_count() {
    let rows = |source: &str| {
        let mut rows = BTreeSet::new();
        collect(source, &mut rows);
        rows.into_iter().collect::<Vec<_>>()
    };

    assert!(rows("/// R001\nfn helper() {}\n#[test]\nfn it_works() {}").is_empty());
    assert!(rows("// R001\n#[test]\nfn it_works() {}").is_empty());
    assert!(rows("/// R0010, XR001, R001a, D1234\n#[test]\nfn it_works() {}").is_empty());
    assert_eq!(
        rows("/// R001, D9: why\n/// and R002.\n#[test]\nfn it_works() {}"),
        ["D9", "R001", "R002"]
    );
    assert_eq!(
        rows("    /// R003\n    #[actix_web::test]\n    async fn it_works() {}"),
        ["R003"]
    );
}

/// Returns the rows of the table in the crate's documentation.
fn excused() -> BTreeSet<String> {
    include_str!("../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .filter_map(|line| line.split_once(" | "))
        .filter(|(row, why)| is_row(row) && why.len() > 20)
        .map(|(row, _)| row.to_owned())
        .collect()
}

/// Returns every row that the doc comment of a test names, in the whole workspace.
fn tested() -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")) {
        collect(&fs::read_to_string(&file).unwrap(), &mut rows);
    }

    // If the sources move, this path must be changed.
    assert!(rows.len() > 50, "the sources were not found");
    rows
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn collect(source: &str, rows: &mut BTreeSet<String>) {
    let mut named = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
            named.extend(words.filter(|word| is_row(word)).map(str::to_owned));
        } else if line.starts_with("#[") {
            is_test |= line.ends_with("test]") || line.contains("test(");
        } else {
            if is_test {
                rows.extend(named.drain(..));
            }
            named.clear();
            is_test = false;
        }
    }
}

/// Tells whether a word is a number of either list: `R` and three digits, or `D` and up to three.
fn is_row(word: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match word.split_at_checked(1) {
        Some(("R", number)) => number.len() == 3 && digits(number),
        Some(("D", number)) => (1..=3).contains(&number.len()) && digits(number),
        _ => false,
    }
}
