//! Values as Go writes them, in JSON and with `%v`, for tokens and headers.
//!
//! Members are sorted by name in byte order, `<`, `>` and `&` are escaped, and every number is a 64-bit float, as in a Go
//! program that reads JSON into untyped values.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

/// Returns the value as compact JSON.
pub(crate) fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value);
    out
}

/// Returns the value as `%v` prints it. A top-level null is written as the text `null`.
pub(crate) fn to_text(value: &Value, null: &str) -> String {
    let mut out = String::new();
    if value.is_null() {
        out.push_str(null);
    } else {
        write_text(&mut out, value);
    }
    out
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&json_number(number)),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in sorted(members).into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, name);
                out.push(':');
                write_json(out, member);
            }
            out.push('}');
        }
    }
}

fn write_text(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&text_number(number)),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write_text(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push_str("map[");
            for (index, (name, member)) in sorted(members).into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                out.push_str(name);
                out.push(':');
                write_text(out, member);
            }
            out.push(']');
        }
    }
}

/// Members in byte order of their names, independent of the JSON library's order.
fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut pairs: Vec<_> = members.iter().collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a `String` is infallible.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn json_number(number: &Number) -> String {
    let Some(float) = number.as_f64() else {
        return number.to_string();
    };
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        // Go drops the leading zero of a two-digit negative exponent, only in JSON.
        return exponent(float, 1);
    }
    format!("{float}")
}

fn text_number(number: &Number) -> String {
    let Some(float) = number.as_f64() else {
        return number.to_string();
    };
    let size = float.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        return exponent(float, 2);
    }
    format!("{float}")
}

/// Writes `1e21` as `1e+21`, and `1e-7` as `1e-7` or `1e-07`: positive exponents always have at least two digits.
fn exponent(float: f64, negative_digits: usize) -> String {
    let text = format!("{float:e}");
    match text.split_once("e-") {
        Some((mantissa, digits)) => format!("{mantissa}e-{digits:0>negative_digits$}"),
        None => match text.split_once('e') {
            Some((mantissa, digits)) => format!("{mantissa}e+{digits:0>2}"),
            None => text,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{to_json, to_text};

    #[test]
    fn json_is_sorted_and_escaped_for_html() {
        let value = json!({"b": "<a href=\"x\">&\u{2028}\n\u{1}", "a": [null, true, 1.0, 2.5]});
        assert_eq!(
            to_json(&value),
            "{\"a\":[null,true,1,2.5],\"b\":\"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\u2028\\n\\u0001\"}",
        );
    }

    #[test]
    fn numbers_are_floats_as_in_the_real_gateway() {
        for (written, json, text) in [
            ("9007199254740993", "9007199254740992", "9.007199254740992e+15"),
            ("20000000", "20000000", "2e+07"),
            ("0.0000001", "1e-7", "1e-07"),
            ("1e21", "1e+21", "1e+21"),
            ("0.00001", "0.00001", "1e-05"),
            ("-0.5", "-0.5", "-0.5"),
            ("0", "0", "0"),
            ("123456", "123456", "123456"),
            ("1234567", "1234567", "1.234567e+06"),
            ("-0", "-0", "-0"),
        ] {
            let value: Value = serde_json::from_str(written).expect("a number");
            assert_eq!(to_json(&value), json, "{written}");
            assert_eq!(to_text(&value, ""), text, "{written}");
        }
    }

    #[test]
    fn text_is_what_the_print_function_gives() {
        assert_eq!(to_text(&Value::Null, "-"), "-");
        assert_eq!(to_text(&json!("plain \"text\""), ""), "plain \"text\"");
        assert_eq!(
            to_text(&json!({"b": [1, "x"], "a": null}), ""),
            "map[a:<nil> b:[1 x]]"
        );
    }
}
