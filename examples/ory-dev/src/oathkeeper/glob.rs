//! Oathkeeper's glob patterns for URLs, as a nondeterministic finite automaton.
//!
//! Only text between `<` and `>` is a pattern; the rest is literal. In a pattern, `*` matches any run without `.` and `/`,
//! `**` any run, `?` one character except `.` and `/`, `[a-z]` and `[!a-z]` are classes, `{a,b}` is a choice (an empty
//! branch is allowed) and `\` escapes the next character. The automaton is simulated state by state, so a match takes at
//! most pattern length times URL length steps.

use std::{iter::Peekable, str::Chars};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    states: Vec<State>,
}

/// Why a pattern is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GlobError {
    /// A `<` without `>`, or the reverse.
    #[error("`<` and `>` are not balanced")]
    Angle,
    /// A `{` without `}`, or the reverse.
    #[error("`{{` and `}}` are not balanced")]
    Brace,
    /// A `[` without `]`, an empty class, or a reversed range.
    #[error("a character class is not well formed")]
    Class,
    /// A `\` with nothing behind it.
    #[error("`\\` at the end escapes nothing")]
    Escape,
    /// The pattern exceeds the maximum length.
    #[error("the pattern is longer than {MAX_PATTERN} characters")]
    TooLong,
}

impl Glob {
    /// Compiles the URL pattern of a rule.
    pub(crate) fn compile(pattern: &str) -> Result<Self, GlobError> {
        if pattern.chars().take(MAX_PATTERN.saturating_add(1)).count() > MAX_PATTERN {
            return Err(GlobError::TooLong);
        }
        let mut parts = Vec::new();
        let mut inner = String::new();
        let mut level = 0_usize;
        for character in pattern.chars() {
            match (character, level) {
                ('<', _) => {
                    if level > 0 {
                        inner.push(character);
                    }
                    level = level.saturating_add(1);
                }
                ('>', 0) => return Err(GlobError::Angle),
                ('>', 1) => {
                    level = 0;
                    parts.extend(Parser::parse(&inner)?);
                    inner.clear();
                }
                ('>', _) => {
                    level = level.saturating_sub(1);
                    inner.push(character);
                }
                (_, 0) => parts.push(Part::One(One::Literal(character))),
                (_, _) => inner.push(character),
            }
        }
        if level != 0 {
            return Err(GlobError::Angle);
        }

        let mut states = Vec::new();
        emit(&mut states, &parts);
        states.push(State::Accept);
        Ok(Self { states })
    }

    /// Returns whether the whole text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut current = vec![false; self.states.len()];
        self.reach(&mut current, 0);
        for character in text.chars() {
            let mut next = vec![false; self.states.len()];
            for (index, state) in self.states.iter().enumerate() {
                let here = current.get(index).copied().unwrap_or(false);
                if let (true, State::One(one)) = (here, state)
                    && one.accepts(character)
                {
                    self.reach(&mut next, index.saturating_add(1));
                }
            }
            current = next;
        }
        current.last().copied().unwrap_or(false)
    }

    /// Marks a state, and all states that follow from it without reading a character.
    fn reach(&self, marks: &mut [bool], from: usize) {
        let mut open = vec![from];
        while let Some(index) = open.pop() {
            let Some(mark) = marks.get_mut(index) else {
                continue;
            };
            if *mark {
                continue;
            }
            *mark = true;
            match self.states.get(index) {
                Some(State::Jump(to)) => open.push(*to),
                Some(State::Fork(to)) => open.extend([index.saturating_add(1), *to]),
                Some(State::Accept | State::One(_)) | None => {}
            }
        }
    }
}

#[derive(Debug, Clone)]
enum State {
    Accept,
    /// Continues with the next state, or with this one.
    Fork(usize),
    Jump(usize),
    One(One),
}

/// The set of characters that a state accepts.
#[derive(Debug, Clone)]
enum One {
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Literal(char),
    NotSeparator,
}

impl One {
    fn accepts(&self, character: char) -> bool {
        match self {
            Self::Any => true,
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(low, high)| *low <= character && character <= *high)
                    != *negated
            }
            Self::Literal(literal) => *literal == character,
            Self::NotSeparator => character != '.' && character != '/',
        }
    }
}

#[derive(Debug, Clone)]
enum Part {
    Choice(Vec<Vec<Self>>),
    Many(One),
    One(One),
}

/// Translates parts into states. The last state continues at the next state that is pushed.
fn emit(states: &mut Vec<State>, parts: &[Part]) {
    for part in parts {
        match part {
            Part::One(one) => states.push(State::One(one.clone())),
            Part::Many(one) => {
                let start = states.len();
                states.push(State::Fork(start.saturating_add(3)));
                states.push(State::One(one.clone()));
                states.push(State::Jump(start));
            }
            Part::Choice(branches) => emit_choice(states, branches),
        }
    }
}

fn emit_choice(states: &mut Vec<State>, branches: &[Vec<Part>]) {
    let mut ends = Vec::new();
    for (index, branch) in branches.iter().enumerate() {
        let is_last = index.saturating_add(1) == branches.len();
        let fork = states.len();
        if !is_last {
            states.push(State::Fork(fork));
        }
        emit(states, branch);
        if !is_last {
            ends.push(states.len());
            states.push(State::Jump(0));
            let after = states.len();
            if let Some(state) = states.get_mut(fork) {
                *state = State::Fork(after);
            }
        }
    }
    let end = states.len();
    for jump in ends {
        if let Some(state) = states.get_mut(jump) {
            *state = State::Jump(end);
        }
    }
}

struct Parser<'p> {
    rest: Peekable<Chars<'p>>,
}

impl<'p> Parser<'p> {
    fn parse(pattern: &'p str) -> Result<Vec<Part>, GlobError> {
        let mut parser = Self {
            rest: pattern.chars().peekable(),
        };
        let parts = parser.sequence(0)?;
        if parser.rest.next().is_some() {
            return Err(GlobError::Brace);
        }
        Ok(parts)
    }

    /// Reads to the end, or to the `,` or `}` of the enclosing choice.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Part>, GlobError> {
        if depth > MAX_DEPTH {
            return Err(GlobError::Brace);
        }
        let mut parts = Vec::new();
        while let Some(character) = self.rest.peek().copied() {
            if depth > 0 && (character == ',' || character == '}') {
                break;
            }
            if character == '}' {
                return Err(GlobError::Brace);
            }
            self.rest.next();
            parts.push(match character {
                '*' if self.rest.next_if_eq(&'*').is_some() => Part::Many(One::Any),
                '*' => Part::Many(One::NotSeparator),
                '?' => Part::One(One::NotSeparator),
                '[' => Part::One(self.class()?),
                '{' => self.choice(depth)?,
                '\\' => Part::One(One::Literal(self.rest.next().ok_or(GlobError::Escape)?)),
                literal => Part::One(One::Literal(literal)),
            });
        }
        Ok(parts)
    }

    fn choice(&mut self, depth: usize) -> Result<Part, GlobError> {
        let mut branches = Vec::new();
        loop {
            branches.push(self.sequence(depth.saturating_add(1))?);
            match self.rest.next() {
                Some(',') => {}
                Some('}') => return Ok(Part::Choice(branches)),
                Some(_) | None => return Err(GlobError::Brace),
            }
        }
    }

    fn class(&mut self) -> Result<One, GlobError> {
        let negated = self.rest.next_if_eq(&'!').is_some();
        let mut ranges = Vec::new();
        loop {
            let low = match self.rest.next().ok_or(GlobError::Class)? {
                ']' if ranges.is_empty() => return Err(GlobError::Class),
                ']' => return Ok(One::Class { negated, ranges }),
                '\\' => self.rest.next().ok_or(GlobError::Escape)?,
                character => character,
            };
            let high = match self.rest.next_if_eq(&'-') {
                None => low,
                Some(_) => self
                    .rest
                    .next()
                    .filter(|high| *high != ']')
                    .ok_or(GlobError::Class)?,
            };
            if high < low {
                return Err(GlobError::Class);
            }
            ranges.push((low, high));
        }
    }
}

/// Far longer than any access rule; limits the memory that a broken file can take.
const MAX_PATTERN: usize = 4_096;

const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::{Glob, GlobError};

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::compile(pattern).expect("a pattern").matches(text)
    }

    #[test]
    fn a_prefix_with_a_slash_does_not_match_the_bare_prefix() {
        assert!(!matches("http://h/globs/<**>", "http://h/globs"));
        assert!(matches("http://h/globs/<**>", "http://h/globs/x/y.z"));
        assert!(matches("http://h/globs/<**>", "http://h/globs/"));
    }

    #[test]
    fn an_optional_tail_matches_the_path_and_what_lies_below_and_nothing_else() {
        let pattern = "http://h/orders<{,/**}>";
        assert!(!matches(pattern, "http://h/ordersX"));
        assert!(!matches(pattern, "http://h/order"));
        assert!(!matches(pattern, "xhttp://h/orders"));
        assert!(matches(pattern, "http://h/orders"));
        assert!(matches(pattern, "http://h/orders/"));
        assert!(matches(pattern, "http://h/orders/a/b"));
    }

    #[test]
    fn two_stars_behind_a_name_match_longer_names_too() {
        assert!(matches("http://h/orders<**>", "http://h/ordersX/y"));
    }

    #[test]
    fn one_star_and_a_question_mark_stop_at_separators() {
        assert!(!matches("http://h/<*>", "http://h/a/b"));
        assert!(!matches("http://h/<*>", "http://h/a.b"));
        assert!(matches("http://h/<*>", "http://h/ab"));
        assert!(!matches("http://h/a<?>b", "http://h/a/b"));
        assert!(matches("http://h/a<?>b", "http://h/axb"));
    }

    #[test]
    fn classes_choices_and_escapes_match_as_written() {
        assert!(matches("<{http,https}>://h/v<[0-9]>", "https://h/v3"));
        assert!(!matches("<{http,https}>://h/v<[0-9]>", "ftp://h/v3"));
        assert!(!matches("http://h/v<[!0-9]>", "http://h/v3"));
        assert!(matches("http://h/<\\*>", "http://h/*"));
        assert!(!matches("http://h/<\\*>", "http://h/a"));
        assert!(matches("<{a,{b,c}d}>", "cd"));
        assert!(!matches("<{a,{b,c}d}>", "d"));
    }

    #[test]
    fn pattern_characters_outside_the_brackets_are_literal() {
        assert!(!matches("http://h/*", "http://h/a"));
        assert!(matches("http://h/*[x]{y}", "http://h/*[x]{y}"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        let error = |pattern: &str| Glob::compile(pattern).expect_err("malformed");
        assert_eq!(error("http://h/<**"), GlobError::Angle);
        assert_eq!(error("http://h/**>"), GlobError::Angle);
        assert_eq!(error("<{a,b>"), GlobError::Brace);
        assert_eq!(error("<a}>"), GlobError::Brace);
        assert_eq!(error("<[a>"), GlobError::Class);
        assert_eq!(error("<[]>"), GlobError::Class);
        assert_eq!(error("<[z-a]>"), GlobError::Class);
        assert_eq!(error("<\\>"), GlobError::Escape);
        assert_eq!(error(&"a".repeat(5_000)), GlobError::TooLong);
        assert_eq!(
            error(&format!("<{}{}>", "{".repeat(100), "}".repeat(100))),
            GlobError::Brace
        );
    }

    #[test]
    fn nested_stars_do_not_take_exponential_time() {
        let pattern = format!("<{}b>", "**".repeat(200));
        assert!(!matches(&pattern, &"a".repeat(2_000)));
    }
}
