//! Reads query strings as Go does: the first value of a key counts.

use url::form_urlencoded;

use super::{
    answer::{Refusal, go_quote},
    store::Filter,
    tuple::{Subject, SubjectSet, WireTuple},
};

/// The decoded pairs of a query string.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes a query string.
    ///
    /// # Errors
    ///
    /// When a part is not UTF-8, because replacement characters would name another object.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        let replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        if pairs.iter().any(|(key, value)| replaced(key) || replaced(value)) {
            return Err(Refusal::malformed("the query is not UTF-8"));
        }
        Ok(Self { pairs })
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the first value of a key that is not empty.
    pub(super) fn non_empty(&self, key: &str) -> Option<&str> {
        let mut values = self
            .pairs
            .iter()
            .filter(|(name, value)| name == key && !value.is_empty());
        values.next().map(|(_, value)| value.as_str())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the filter of a list or a delete.
    pub(super) fn filter(&self) -> Result<Filter, Refusal> {
        let text = |key| self.get(key).map(str::to_owned);
        Ok(Filter {
            subject: self.subject()?,
            namespace: text("namespace"),
            object: text("object"),
            relation: text("relation"),
        })
    }

    /// Returns the tuple of a check.
    pub(super) fn tuple(&self) -> Result<WireTuple, Refusal> {
        let subject = self.subject()?.ok_or_else(Refusal::no_subject)?;
        let (Some(namespace), Some(object), Some(relation)) =
            (self.get("namespace"), self.get("object"), self.get("relation"))
        else {
            return Err(Refusal::malformed(
                "incomplete tuple, provide \"namespace\", \"object\", \"relation\", and a subject",
            ));
        };
        Ok(WireTuple {
            namespace: namespace.to_owned(),
            object: object.to_owned(),
            relation: relation.to_owned(),
            ..WireTuple::of_subject(&subject)
        })
    }

    /// Returns the requested depth. Zero and negative values select the configured depth.
    pub(super) fn max_depth(&self) -> Result<i64, Refusal> {
        let Some(text) = self.get("max-depth") else {
            return Ok(0);
        };
        parse_int(text).map_err(|problem| {
            let quoted = go_quote(text);
            Refusal::malformed(&format!(
                "unable to parse 'max-depth' query parameter to int: strconv.ParseInt: parsing {quoted}: {problem}"
            ))
        })
    }

    fn subject(&self) -> Result<Option<Subject>, Refusal> {
        if self.get("subject").is_some() {
            return Err(Refusal::bad_request(None));
        }
        let id = self.get("subject_id");
        let set = SET_KEYS.map(|key| self.get(key));
        match (id, set) {
            (None, [None, None, None]) => Ok(None),
            (Some(id), [None, None, None]) => Ok(Some(Subject::Id(id.to_owned()))),
            (Some(_), _) => Err(Refusal::malformed(
                "exactly one of subject_set or subject_id has to be provided",
            )),
            (None, [Some(namespace), Some(object), Some(relation)]) => Ok(Some(Subject::Set(SubjectSet {
                namespace: namespace.to_owned(),
                object: object.to_owned(),
                relation: relation.to_owned(),
            }))),
            (None, _) => Err(Refusal::malformed(
                "incomplete subject, provide \"subject_id\" or a complete \"subject_set.*\"",
            )),
        }
    }
}

/// Reads an integer in Go's notation: with a prefix for its base, and underscores behind one.
fn parse_int(text: &str) -> Result<i64, &'static str> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = [("0x", 16), ("0b", 2), ("0o", 8)]
        .iter()
        .find_map(|(prefix, radix)| Some((*radix, lower.strip_prefix(prefix)?.replace('_', ""))))
        .unwrap_or_else(|| match lower.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => (8, octal.replace('_', "")),
            Some(_) | None => (10, lower),
        });
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("invalid syntax");
    }

    let number = i64::from_str_radix(&digits, radix).map_err(|_| "value out of range")?;
    Ok(if negative { number.saturating_neg() } else { number })
}

/// The keys of a subject set.
const SET_KEYS: [&str; 3] = [
    "subject_set.namespace",
    "subject_set.object",
    "subject_set.relation",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> String {
        Query::parse(query)
            .and_then(|query| query.filter())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn half_a_subject_and_two_subjects_are_refused() {
        assert!(refusal("subject_set.namespace=a").contains("incomplete subject"));
        assert!(refusal("subject_set.namespace=a&subject_set.object=b").contains("incomplete subject"));
        assert!(refusal("subject_id=a&subject_set.object=b").contains("exactly one"));
        assert!(refusal("subject=a").contains("malformed"));
        assert!(refusal("namespace=%ff").contains("UTF-8"));
    }

    #[test]
    fn absent_and_empty_are_not_the_same() {
        let filter = |query| Query::parse(query).unwrap().filter().unwrap();

        assert_eq!(filter(""), Filter::default());
        assert_eq!(filter("object=").object.as_deref(), Some(""));
        assert_eq!(filter("subject_id=").subject, Some(Subject::Id(String::new())));
        assert_eq!(filter("object=a&object=b").object.as_deref(), Some("a"));
    }

    #[test]
    fn depth_is_read_as_go_reads_it() {
        let depth = |text: &str| Query::parse(&format!("max-depth={text}")).unwrap().max_depth();

        assert_eq!(Query::parse("").unwrap().max_depth().unwrap(), 0);
        for (text, expected) in [
            ("3", 3),
            ("-3", -3),
            ("%2B3", 3),
            ("0x10", 16),
            ("010", 8),
            ("0b11", 3),
            ("0o7", 7),
            ("0", 0),
            ("0x1_0", 16),
        ] {
            assert_eq!(depth(text).unwrap(), expected, "{text}");
        }
        for text in ["", "x", "1.0", "--1", "0x", "08", " 1", "1_0"] {
            assert!(
                depth(text).unwrap_err().to_string().ends_with("invalid syntax"),
                "{text}"
            );
        }
        let beyond = depth("9223372036854775808").unwrap_err().to_string();
        assert!(beyond.ends_with("value out of range"), "{beyond}");
    }
}
