//! The part of Jsonnet that claims mappers need: `local`, `std.extVar`, objects, lists, literals, members and `+`.
//! Everything else is rejected when the configuration is read.

use std::{collections::BTreeMap, iter::Peekable, str::CharIndices};

use serde_json::{Map, Number, Value};

/// A claims mapper, ready to be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mapper {
    locals: Vec<(String, Term)>,
    result: Term,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Literal(Value),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    Local(String),
    External(External),
    Member(Box<Self>, String),
    Sum(Box<Self>, Box<Self>),
}

/// The input of a mapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum External {
    Claims,
    Session,
}

/// Why a mapper is not supported here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mapper is not supported by this stand-in at byte {at}: {problem}")]
pub(crate) struct ParseError {
    at: usize,
    problem: &'static str,
}

/// Why the evaluation of a mapper failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvaluationError {
    #[error("a member does not exist")]
    Member,
    #[error("`+` does not support these operands")]
    Sum,
}

impl Mapper {
    pub(crate) fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser {
            chars: text.char_indices().peekable(),
            end: text.len(),
            names: Vec::new(),
        };
        let mut locals = Vec::new();
        loop {
            parser.skip_space()?;
            let before = parser.chars.clone();
            if parser.word() != "local" {
                parser.chars = before;
                break;
            }
            parser.skip_space()?;
            let name = parser.word();
            if name.is_empty() {
                return Err(parser.error("expected a name"));
            }
            parser.expect('=')?;
            let term = parser.term(0)?;
            parser.expect(';')?;
            parser.names.push(name.clone());
            locals.push((name, term));
        }
        let result = parser.term(0)?;
        parser.skip_space()?;
        match parser.chars.peek() {
            Some(_) => Err(parser.error("expected the end")),
            None => Ok(Self { locals, result }),
        }
    }

    pub(crate) fn evaluate(&self, session: &Value, claims: &Value) -> Result<Value, EvaluationError> {
        let mut scope = Scope {
            session,
            claims,
            locals: BTreeMap::new(),
        };
        for (name, term) in &self.locals {
            let value = scope.value(term)?;
            scope.locals.insert(name, value);
        }
        scope.value(&self.result)
    }
}

struct Scope<'a> {
    session: &'a Value,
    claims: &'a Value,
    locals: BTreeMap<&'a str, Value>,
}

impl Scope<'_> {
    fn value(&self, term: &Term) -> Result<Value, EvaluationError> {
        match term {
            Term::Literal(value) => Ok(value.clone()),
            Term::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Term::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, term)| Ok((name.clone(), self.value(term)?)));
                members.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
            Term::Local(name) => self
                .locals
                .get(name.as_str())
                .cloned()
                .ok_or(EvaluationError::Member),
            Term::External(External::Claims) => Ok(self.claims.clone()),
            Term::External(External::Session) => Ok(self.session.clone()),
            Term::Member(of, name) => {
                let of = self.value(of)?;
                let member = match &of {
                    Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
                    Value::Object(members) => members.get(name),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
                };
                member.cloned().ok_or(EvaluationError::Member)
            }
            Term::Sum(one, two) => sum(self.value(one)?, self.value(two)?),
        }
    }
}

fn sum(one: Value, two: Value) -> Result<Value, EvaluationError> {
    match (one, two) {
        (Value::Object(mut one), Value::Object(two)) => {
            one.extend(two);
            Ok(Value::Object(one))
        }
        (Value::Array(mut one), Value::Array(two)) => {
            one.extend(two);
            Ok(Value::Array(one))
        }
        (Value::String(one), Value::String(two)) => Ok(Value::String(one + &two)),
        (Value::String(one), other @ (Value::Null | Value::Bool(_) | Value::Number(_))) => {
            Ok(Value::String(format!("{one}{other}")))
        }
        (other @ (Value::Null | Value::Bool(_) | Value::Number(_)), Value::String(two)) => {
            Ok(Value::String(format!("{other}{two}")))
        }
        (_, _) => Err(EvaluationError::Sum),
    }
}

struct Parser<'t> {
    chars: Peekable<CharIndices<'t>>,
    end: usize,
    names: Vec<String>,
}

impl Parser<'_> {
    fn error(&mut self, problem: &'static str) -> ParseError {
        let at = self.chars.peek().map_or(self.end, |(at, _)| *at);
        ParseError { at, problem }
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, character)| *character)
    }

    fn skip_space(&mut self) -> Result<(), ParseError> {
        while let Some(character) = self.peek() {
            let mut ahead = self.chars.clone();
            ahead.next();
            match (character, ahead.peek().map(|(_, next)| *next)) {
                (space, _) if space.is_whitespace() => drop(self.chars.next()),
                ('#', _) | ('/', Some('/')) => while self.chars.next().is_some_and(|(_, c)| c != '\n') {},
                ('/', Some('*')) => return Err(self.error("comments are written with `//`")),
                (_, _) => break,
            }
        }
        Ok(())
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(character) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            word.push(character);
            self.chars.next();
        }
        word
    }

    fn take(&mut self, wanted: char) -> Result<bool, ParseError> {
        self.skip_space()?;
        let found = self.peek() == Some(wanted);
        if found {
            self.chars.next();
        }
        Ok(found)
    }

    fn expect(&mut self, wanted: char) -> Result<(), ParseError> {
        if self.take(wanted)? {
            return Ok(());
        }
        Err(self.error(match wanted {
            '=' => "expected `=`",
            ';' => "expected `;`",
            ':' => "expected `:`",
            ')' => "expected `)`",
            ']' => "expected `]`",
            _ => "expected `,` or the end of the list",
        }))
    }

    fn term(&mut self, depth: usize) -> Result<Term, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.error("too deep"));
        }
        let mut term = self.simple(depth)?;
        loop {
            if self.take('.')? {
                self.skip_space()?;
                let name = self.word();
                if name.is_empty() {
                    return Err(self.error("expected a name"));
                }
                term = Term::Member(Box::new(term), name);
            } else if self.take('[')? {
                self.skip_space()?;
                let name = match self.peek() {
                    Some(quote @ ('\'' | '"')) => self.text(quote)?,
                    _ => self.word(),
                };
                self.expect(']')?;
                term = Term::Member(Box::new(term), name);
            } else if self.take('+')? {
                let other = self.term(depth.saturating_add(1))?;
                return Ok(Term::Sum(Box::new(term), Box::new(other)));
            } else {
                return Ok(term);
            }
        }
    }

    fn simple(&mut self, depth: usize) -> Result<Term, ParseError> {
        self.skip_space()?;
        let deeper = depth.saturating_add(1);
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.text(quote).map(|text| Term::Literal(text.into())),
            Some('{') => self.object(deeper),
            Some('[') => {
                self.chars.next();
                let mut items = Vec::new();
                while !self.take(']')? {
                    items.push(self.term(deeper)?);
                    if !self.take(',')? {
                        self.expect(']')?;
                        break;
                    }
                }
                Ok(Term::List(items))
            }
            Some('(') => {
                self.chars.next();
                let term = self.term(deeper)?;
                self.expect(')')?;
                Ok(term)
            }
            Some(digit) if digit.is_ascii_digit() || digit == '-' => self.number(),
            _ => self.named(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Term, ParseError> {
        self.chars.next();
        let mut members = Vec::new();
        while !self.take('}')? {
            let name = match self.peek() {
                Some(quote @ ('\'' | '"')) => self.text(quote)?,
                _ => self.word(),
            };
            if name.is_empty() {
                return Err(self.error("expected the name of a member"));
            }
            self.expect(':')?;
            if self.peek() == Some(':') {
                return Err(self.error("hidden members are not supported"));
            }
            members.push((name, self.term(depth)?));
            if !self.take(',')? {
                self.expect('}')?;
                break;
            }
        }
        Ok(Term::Object(members))
    }

    fn named(&mut self) -> Result<Term, ParseError> {
        let before = self.chars.clone();
        let word = self.word();
        match word.as_str() {
            "true" => return Ok(Term::Literal(true.into())),
            "false" => return Ok(Term::Literal(false.into())),
            "null" => return Ok(Term::Literal(Value::Null)),
            "std" => {
                if self.take('.')? && self.word() == "extVar" && self.take('(')? {
                    self.skip_space()?;
                    let quote = self.peek().filter(|c| ['\'', '"'].contains(c)).unwrap_or('\'');
                    let name = self.text(quote)?;
                    self.expect(')')?;
                    match name.as_str() {
                        "claims" => return Ok(Term::External(External::Claims)),
                        "session" => return Ok(Term::External(External::Session)),
                        _ => {}
                    }
                }
                self.chars = before;
                return Err(self.error("of `std` only `extVar` of `session` and `claims` is supported"));
            }
            name if self.names.iter().any(|own| own == name) => return Ok(Term::Local(word)),
            _ => {}
        }
        self.chars = before;
        Err(self.error("expected a literal, a list, an object or a known name"))
    }

    fn number(&mut self) -> Result<Term, ParseError> {
        let mut text = String::new();
        while let Some(character) = self.peek().filter(|c| c.is_ascii_digit() || "-.eE".contains(*c)) {
            text.push(character);
            self.chars.next();
        }
        let number: Option<Number> = serde_json::from_str(&text).ok();
        number
            .map(|number| Term::Literal(Value::Number(number)))
            .ok_or_else(|| self.error("not a number"))
    }

    /// Reads a quoted text without escapes.
    fn text(&mut self, quote: char) -> Result<String, ParseError> {
        self.chars.next();
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some((_, end)) if end == quote => return Ok(text),
                Some((_, '\\')) => return Err(self.error("escapes in texts are not supported")),
                Some((_, character)) => text.push(character),
                None => return Err(self.error("the text does not end")),
            }
        }
    }
}

const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluate(text: &str) -> Result<Value, EvaluationError> {
        let session = json!({"id": "s", "identity": {"id": "i", "metadata_public": {"roles": ["a"]}, "traits": {"n": 1}}});
        Mapper::parse(text)
            .unwrap()
            .evaluate(&session, &json!({"iss": "x"}))
    }

    #[test]
    fn mapper_of_the_recording_is_computed() {
        let text = "local session = std.extVar('session'); { claims: { tenant: 'default', aud: ['orders-api'], \
                    metadataPublic: session.identity.metadata_public } }";

        let expected = json!({"claims": {"tenant": "default", "aud": ["orders-api"], "metadataPublic": {"roles": ["a"]}}});
        assert_eq!(evaluate(text), Ok(expected));
    }

    #[test]
    fn what_mappers_are_made_of_is_computed() {
        for (text, expected) in [
            ("{}", json!({})),
            ("[1, -2.5, true, null,]", json!([1, -2.5, true, null])),
            (
                "local c = std.extVar(\"claims\"); c + { a: 1 } // more",
                json!({"iss": "x", "a": 1}),
            ),
            (
                "local s = std.extVar('session');\nlocal i = s.identity; 'user:' + i['id']",
                json!("user:i"),
            ),
            (
                "std.extVar('session').identity.metadata_public.roles[0]",
                json!("a"),
            ),
            ("('n=' + std.extVar('session').identity.traits.n)", json!("n=1")),
            ("{ 'a-b': [] + ['x'], # end\n}", json!({"a-b": ["x"]})),
        ] {
            assert_eq!(evaluate(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn member_that_does_not_exist_is_an_error_and_not_null() {
        assert_eq!(
            evaluate("std.extVar('session').nope"),
            Err(EvaluationError::Member)
        );
        assert_eq!(evaluate("{} + 'x'"), Err(EvaluationError::Sum));
    }

    #[test]
    fn rest_of_jsonnet_is_refused() {
        for text in [
            "",
            "{",
            "{ a: }",
            "{ a:: 1 }",
            "if true then 1 else 2",
            "function(x) x",
            "std.extVar('other')",
            "std.length('x')",
            "unknown",
            "'a\\n'",
            "'a",
            "local x = 1 x",
            "{} {}",
            "/* x */ {}",
            "1 - 2",
            &"[".repeat(100_000),
        ] {
            assert!(Mapper::parse(text).is_err(), "{text:.30}");
        }
    }
}
