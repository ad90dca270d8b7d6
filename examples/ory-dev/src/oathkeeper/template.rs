//! The subset of Go templates that access rules use for claims and headers.
//!
//! A template is text with actions between `{{` and `}}` (with the trim markers `{{-` and `-}}`). An action is a pipeline:
//! a field path below `.Subject` or `.Extra`, or one of `print`, `toJson`, `b64enc` and `uuidv4`, each piped into the next
//! with `|`. Everything else is rejected when the gateway starts, so that no template silently means less here than in the
//! real gateway.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use uuid::Uuid;

use crate::oathkeeper::{session::Session, value};

/// A parsed template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

/// Why a template is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// A function has too few or too many arguments.
    #[error("`{0}` takes {1}")]
    Arguments(&'static str, &'static str),
    /// A field that is not below `.Subject` or `.Extra`.
    #[error("`{0}` is not a field path below `.Subject` or `.Extra`")]
    Field(String),
    /// An unsupported function.
    #[error("`{0}` is not one of the functions `print`, `toJson`, `b64enc` and `uuidv4`")]
    Function(String),
    /// Unsupported syntax.
    #[error("`{0}` is not a field path, a function or a pipeline of them")]
    Syntax(String),
    /// `{{` without `}}`.
    #[error("`{{{{` has no `}}}}`")]
    Unclosed,
}

/// Why rendering failed for one session: the data has another shape than the template expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenderError {
    /// The argument of a function has the wrong type.
    #[error("wrong type for value; expected string")]
    NotText,
    /// A field of a value without fields.
    #[error("nil pointer evaluating interface {{}}.{0}")]
    NoField(String),
}

impl Template {
    /// Parses a template.
    pub(crate) fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = source;
        let mut trim_start = false;
        loop {
            let Some((text, after)) = rest.split_once("{{") else {
                push_text(&mut pieces, rest, trim_start, false);
                return Ok(Self { pieces });
            };
            let (trim_end, after) = match after.strip_prefix('-') {
                Some(inner) if inner.starts_with(char::is_whitespace) => (true, inner),
                Some(_) | None => (false, after),
            };
            push_text(&mut pieces, text, trim_start, trim_end);

            let (action, following) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
            let action = match action.strip_suffix('-') {
                Some(inner) if inner.ends_with(char::is_whitespace) => {
                    trim_start = true;
                    inner
                }
                Some(_) | None => {
                    trim_start = false;
                    action
                }
            };
            pieces.push(Piece::Action(parse_pipeline(action)?));
            rest = following;
        }
    }

    /// Returns whether every rendering differs, because a part of the template is random.
    pub(crate) fn is_always_fresh(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Action(commands) => commands.iter().any(|command| matches!(command, Command::Uuid)),
            Piece::Text(_) => false,
        })
    }

    /// Renders the template for one session.
    pub(crate) fn render(&self, session: &Session) -> Result<String, RenderError> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Action(commands) => {
                    let mut result = Value::Null;
                    for command in commands {
                        result = command.run(session, result)?;
                    }
                    out.push_str(&value::to_text(&result, "<no value>"));
                }
            }
        }
        Ok(out)
    }
}

#[derive(Debug, Clone)]
enum Piece {
    Action(Vec<Command>),
    Text(String),
}

/// One step of a pipeline. Every step after the first takes the previous value.
#[derive(Debug, Clone)]
enum Command {
    Base64(Source),
    Field(Vec<String>),
    Json(Source),
    Print(Source),
    Uuid,
}

/// The source of a function's argument.
#[derive(Debug, Clone)]
enum Source {
    Field(Vec<String>),
    Pipe,
}

impl Command {
    fn run(&self, session: &Session, piped: Value) -> Result<Value, RenderError> {
        Ok(match self {
            Self::Base64(source) => match source.value(session, piped)? {
                Value::String(text) => Value::String(STANDARD.encode(text)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    return Err(RenderError::NotText);
                }
            },
            Self::Field(path) => field(session, path)?,
            Self::Json(source) => Value::String(value::to_json(&source.value(session, piped)?)),
            Self::Print(source) => Value::String(value::to_text(&source.value(session, piped)?, "")),
            Self::Uuid => Value::String(Uuid::new_v4().to_string()),
        })
    }
}

impl Source {
    fn value(&self, session: &Session, piped: Value) -> Result<Value, RenderError> {
        match self {
            Self::Field(path) => field(session, path),
            Self::Pipe => Ok(piped),
        }
    }
}

/// The value at a field path. A missing member is null; a member of null is an error, as in the real gateway.
fn field(session: &Session, path: &[String]) -> Result<Value, RenderError> {
    let mut names = path.iter();
    let mut found = match names.next().map(String::as_str) {
        Some("Subject") => Value::String(session.subject.clone()),
        Some("Extra") if session.extra.is_none() && path.len() > 1 => {
            // A member of an absent map is null. A member of a null inside the map is an error.
            names.next();
            Value::Null
        }
        _ => session.extra.clone().map_or(Value::Null, Value::Object),
    };
    for name in names {
        found = match found {
            Value::Object(mut members) => members.remove(name).unwrap_or(Value::Null),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(RenderError::NoField(name.clone()));
            }
        };
    }
    Ok(found)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

fn parse_pipeline(action: &str) -> Result<Vec<Command>, TemplateError> {
    let mut commands = Vec::new();
    for (index, link) in action.split('|').enumerate() {
        commands.push(parse_command(link.trim(), index > 0)?);
    }
    Ok(commands)
}

fn parse_command(link: &str, is_piped: bool) -> Result<Command, TemplateError> {
    let mut words = link.split_whitespace();
    let first = words
        .next()
        .ok_or_else(|| TemplateError::Syntax(link.to_owned()))?;
    if first.starts_with('.') {
        if is_piped || words.next().is_some() {
            return Err(TemplateError::Syntax(link.to_owned()));
        }
        return Ok(Command::Field(parse_field(first)?));
    }
    if !first
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || character == '_')
    {
        return Err(TemplateError::Syntax(link.to_owned()));
    }

    let argument = words.next().map(parse_field).transpose()?;
    let has_more = words.next().is_some();
    let source = |name: &'static str| match (argument.clone(), is_piped, has_more) {
        (Some(path), false, false) => Ok(Source::Field(path)),
        (None, true, false) => Ok(Source::Pipe),
        (_, _, _) => Err(TemplateError::Arguments(name, "one argument")),
    };
    match first {
        "b64enc" => Ok(Command::Base64(source("b64enc")?)),
        "print" => Ok(Command::Print(source("print")?)),
        "toJson" => Ok(Command::Json(source("toJson")?)),
        "uuidv4" if is_piped || argument.is_some() => Err(TemplateError::Arguments("uuidv4", "no argument")),
        "uuidv4" => Ok(Command::Uuid),
        unknown => Err(TemplateError::Function(unknown.to_owned())),
    }
}

fn parse_field(word: &str) -> Result<Vec<String>, TemplateError> {
    let wrong = || TemplateError::Field(word.to_owned());
    let path: Vec<String> = word
        .strip_prefix('.')
        .ok_or_else(wrong)?
        .split('.')
        .map(str::to_owned)
        .collect();
    let is_name = |name: &String| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name
                .chars()
                .all(|character| character.is_alphanumeric() || character == '_')
    };
    let is_known = match path.first().map(String::as_str) {
        Some("Subject") => path.len() == 1,
        Some("Extra") => true,
        _ => false,
    };
    if is_known && path.iter().all(is_name) {
        Ok(path)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{RenderError, Template, TemplateError};
    use crate::oathkeeper::session::Session;

    fn session(extra: Value) -> Session {
        let Value::Object(extra) = extra else {
            panic!("an object")
        };
        Session {
            subject: "user-1".to_owned(),
            extra: Some(extra),
            ..Session::default()
        }
    }

    fn render(source: &str, extra: Value) -> Result<String, RenderError> {
        Template::parse(source)
            .expect("a template")
            .render(&session(extra))
    }

    fn error(source: &str) -> TemplateError {
        Template::parse(source).expect_err("outside the subset")
    }

    #[test]
    fn what_is_outside_the_subset_is_refused_and_named() {
        assert_eq!(
            error("{{ env \"HOME\" }}"),
            TemplateError::Field("\"HOME\"".to_owned())
        );
        assert_eq!(
            error("{{ env .Subject }}"),
            TemplateError::Function("env".to_owned())
        );
        assert_eq!(
            error("{{ if .Subject }}x{{ end }}"),
            TemplateError::Function("if".to_owned())
        );
        assert_eq!(error("{{ .Header }}"), TemplateError::Field(".Header".to_owned()));
        assert_eq!(
            error("{{ .Subject.id }}"),
            TemplateError::Field(".Subject.id".to_owned())
        );
        assert_eq!(error("{{ . }}"), TemplateError::Field(".".to_owned()));
        assert_eq!(
            error("{{ .Extra..id }}"),
            TemplateError::Field(".Extra..id".to_owned())
        );
        assert_eq!(
            error("{{ .Extra.list.0 }}"),
            TemplateError::Field(".Extra.list.0".to_owned())
        );
        assert_eq!(
            error("{{ $x := 1 }}"),
            TemplateError::Syntax("$x := 1".to_owned())
        );
        assert_eq!(
            error("{{/* note */}}"),
            TemplateError::Syntax("/* note */".to_owned())
        );
        assert_eq!(
            error("{{ (print .Subject) }}"),
            TemplateError::Syntax("(print .Subject)".to_owned())
        );
        assert_eq!(error("{{ .Subject | }}"), TemplateError::Syntax(String::new()));
        assert_eq!(error("{{ }}"), TemplateError::Syntax(String::new()));
        assert_eq!(error("{{ .Subject"), TemplateError::Unclosed);
    }

    #[test]
    fn wrong_numbers_of_arguments_are_refused() {
        assert_eq!(
            error("{{ print }}"),
            TemplateError::Arguments("print", "one argument")
        );
        assert_eq!(
            error("{{ print .Subject .Subject }}"),
            TemplateError::Arguments("print", "one argument")
        );
        assert_eq!(
            error("{{ .Subject | toJson .Extra }}"),
            TemplateError::Arguments("toJson", "one argument")
        );
        assert_eq!(
            error("{{ uuidv4 .Subject }}"),
            TemplateError::Arguments("uuidv4", "no argument")
        );
        assert_eq!(
            error("{{ .Subject | .Extra }}"),
            TemplateError::Syntax(".Extra".to_owned())
        );
    }

    #[test]
    fn a_member_of_nothing_is_an_error_and_a_missing_member_is_null() {
        assert_eq!(
            render("{{ .Extra.identity.name }}", json!({})),
            Err(RenderError::NoField("name".to_owned()))
        );
        assert_eq!(
            render("{{ .Extra.identity.name }}", json!({"identity": "text"})),
            Err(RenderError::NoField("name".to_owned())),
        );
        assert_eq!(
            render("{{ .Extra.identity | toJson }}", json!({})),
            Ok("null".to_owned())
        );
        assert_eq!(
            render("{{ print .Extra.identity }}", json!({})),
            Ok(String::new())
        );
        assert_eq!(
            render("{{ .Extra.identity }}", json!({})),
            Ok("<no value>".to_owned())
        );
        assert_eq!(
            Template::parse("{{ .Extra.a | toJson }}")
                .expect("a template")
                .render(&Session::default()),
            Ok("null".to_owned()),
        );
    }

    #[test]
    fn encoding_something_other_than_text_is_an_error() {
        assert_eq!(
            render("{{ .Extra.a | b64enc }}", json!({"a": {}})),
            Err(RenderError::NotText)
        );
    }

    #[test]
    fn recorded_templates_render() {
        let extra = json!({"identity": {"id": "i", "metadata_public": {"roles": ["a"]}}});
        assert_eq!(
            render("{{ print .Subject }}", extra.clone()),
            Ok("user-1".to_owned())
        );
        assert_eq!(
            render("{{ .Extra.identity.metadata_public | toJson }}", extra.clone()),
            Ok("{\"roles\":[\"a\"]}".to_owned()),
        );
        assert_eq!(
            render("{{ .Extra.identity.id | toJson | b64enc }}", extra),
            Ok("Imki".to_owned()),
        );
    }

    #[test]
    fn each_uuid_is_fresh() {
        let once = render("{{ uuidv4 }}", json!({})).expect("text");
        assert_ne!(once, render("{{ uuidv4 }}", json!({})).expect("text"));
        assert_eq!(once.len(), 36);
    }

    #[test]
    fn trim_markers_take_the_space_beside_them() {
        assert_eq!(
            render("a \n{{- .Subject -}} \n b", json!({})),
            Ok("auser-1b".to_owned())
        );
        assert_eq!(
            error("{{-.Subject}}"),
            TemplateError::Syntax("-.Subject".to_owned())
        );
    }

    #[test]
    fn values_cannot_break_out_of_json() {
        let nasty = "\"}, \"roles\": [\"admin\"], {{ .Subject }} \\ \u{0} </script>";
        let text = render("{\"m\": {{ .Extra.a | toJson }}}", json!({"a": {"n": nasty}})).expect("text");
        let parsed: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(parsed, json!({"m": {"n": nasty}}));
    }
}
