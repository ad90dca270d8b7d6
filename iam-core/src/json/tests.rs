use super::*;

const LIMITS: JsonLimits = JsonLimits::new(4096, 4);

fn refusal(text: &[u8]) -> JsonError {
    parse(text, LIMITS).unwrap_err()
}

/// R024, R045: at any depth, and however the name is escaped.
#[test]
fn repeated_member_is_refused_at_any_depth() {
    assert_eq!(refusal(br#"{"a":1,"a":1}"#), JsonError::DuplicateMember);
    assert_eq!(
        refusal(br#"[{"a":{"b":1,"c":2,"b":1}}]"#),
        JsonError::DuplicateMember
    );
    assert_eq!(
        refusal(br#"{"sub":"a","s\u0075b":"b"}"#),
        JsonError::DuplicateMember
    );
}

/// R011.
#[test]
fn text_that_is_not_plain_utf8_is_refused() {
    let utf16: Vec<u8> = r#"{"a":"b"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let texts: [&[u8]; 8] = [
        b"\xEF\xBB\xBF{}",
        &utf16,
        b"\xFF\xFE{\0}\0",
        b"{\"a\":\"\xC0\xAF\"}",
        b"{\"a\":\"\xED\xA0\x80\"}",
        b"{\"\xFF\":1}",
        br#"{"a":"\uD800"}"#,
        br#"{"a":"\uDC00\uD800"}"#,
    ];
    for text in texts {
        assert_eq!(refusal(text), JsonError::Malformed, "{text:?}");
    }
}

/// R058.
#[test]
fn text_beside_the_grammar_is_refused() {
    let texts = [
        "",
        " ",
        "{",
        "}",
        "{}{}",
        "{} x",
        "[1,]",
        "{\"a\":1,}",
        "{'a':1}",
        "{a:1}",
        "// x\n{}",
        "{}/**/",
        "NaN",
        "Infinity",
        "-Infinity",
        "01",
        "+1",
        "1.",
        ".5",
        "0x1",
        "1e",
        "1e999",
        "\"\t\"",
        "\"\n\"",
        "\"\\x41\"",
        "nul",
        "True",
        "\"a",
        "[1 2]",
        "{\"a\" 1}",
        "{1:2}",
        "\u{0}{}",
        "{}\u{0}",
        "\u{a0}{}",
    ];
    for text in texts {
        assert_eq!(refusal(text.as_bytes()), JsonError::Malformed, "{text:?}");
    }
}

/// R053: the edge of each limit.
#[test]
fn limits_hold_at_the_edge() {
    assert!(parse(b"[[[[1]]]]", LIMITS).is_ok());
    assert_eq!(refusal(b"[[[[[1]]]]]"), JsonError::TooDeep);
    assert_eq!(refusal(br#"{"a":[{"b":{"c":[]}}]}"#), JsonError::TooDeep);

    let text = format!("\"{}\"", "x".repeat(4094));
    assert!(parse(text.as_bytes(), LIMITS).is_ok());
    assert_eq!(refusal(format!("{text} ").as_bytes()), JsonError::TooLong);
}

/// R053: the limits bound the nesting before the stack does.
#[test]
fn two_hundred_thousand_brackets_are_refused() {
    let deep = JsonLimits::new(1 << 20, usize::MAX);

    assert_eq!(
        parse("[".repeat(200_000).as_bytes(), deep),
        Err(JsonError::Malformed)
    );
    assert_eq!(
        elements("[".repeat(200_000).as_bytes(), "keys", deep).unwrap_err(),
        JsonError::Malformed
    );
}

/// R045, R053: small objects follow the same rules, and their members are counted.
#[test]
fn members_are_listed_by_the_same_rules() {
    let read = |text: &'static str| members(text.as_bytes(), LIMITS, 2);

    let listed = read(r#"{"b":[1],"\u0061":null}"#).unwrap();
    assert_eq!(
        listed,
        [
            ("b".into(), Json::Array(vec![Json::Number(1.into())])),
            ("a".into(), Json::Null)
        ]
    );
    assert_eq!(read("{}").unwrap(), []);
    assert_eq!(read(r#"{"a":1,"\u0061":1}"#), Err(JsonError::DuplicateMember));
    assert_eq!(read(r#"{"a":{"b":1,"b":1}}"#), Err(JsonError::DuplicateMember));
    assert_eq!(read(r#"{"a":1,"b":1,"c":1}"#), Err(JsonError::TooManyMembers));
    assert_eq!(read(r#"{"a":[[[[]]]]}"#), Err(JsonError::TooDeep));
    for text in ["[]", "null", "1", "\"a\"", "{} x", "{1:1}", "{\"a\":1"] {
        assert_eq!(read(text), Err(JsonError::Malformed), "{text}");
    }
}

#[test]
fn plain_values_are_read_as_they_are() {
    let text = r#" {"a":[null,true,-1,1.5,"\u00e4\ud83d\ude00"],"b":{"c":18446744073709551615}} "#;

    assert_eq!(
        parse(text.as_bytes(), LIMITS).unwrap(),
        serde_json::from_str::<Value>(text).unwrap()
    );
}

#[test]
fn wrong_shape_is_told_apart_from_bad_text() {
    assert_eq!(parse_object(b"[1]", LIMITS), Err(JsonError::WrongShape));
}

#[test]
fn elements_are_returned_unread_and_their_surroundings_read_strictly() {
    let found = elements(br#"{"x":{},"keys":[1,{"a":1,"a":2},null]}"#, "keys", LIMITS).unwrap();
    let found: Vec<_> = found.iter().map(|raw| raw.get()).collect();
    assert_eq!(found, ["1", r#"{"a":1,"a":2}"#, "null"]);

    assert_eq!(
        elements(b"{}", "keys", LIMITS).unwrap_err(),
        JsonError::WrongShape
    );
    for bad in [
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[],"x":1,"x":1}"#,
        r#"{"keys":[],"x":{"y":1,"y":1}}"#,
    ] {
        assert_eq!(
            elements(bad.as_bytes(), "keys", LIMITS).unwrap_err(),
            JsonError::DuplicateMember,
            "{bad}"
        );
    }
    for bad in [
        "[]",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[]} x"#,
        "{\"keys\":[\"\u{1}\"]}",
    ] {
        assert!(elements(bad.as_bytes(), "keys", LIMITS).is_err(), "{bad}");
    }
}
