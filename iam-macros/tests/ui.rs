//! What a developer reads who makes one mistake. `TRYBUILD=overwrite` writes the answers anew.

#[test]
fn each_mistake_is_told_once_and_says_what_to_write() {
    trybuild::TestCases::new().compile_fail("tests/ui/*/fail/*.rs");
}
