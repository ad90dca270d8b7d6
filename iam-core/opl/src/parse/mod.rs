//! Reads namespaces from tokens.

mod declaration;
mod permit;

use std::collections::BTreeMap;

use crate::ast::{Namespace, Relation, RelationType};
use crate::error::OplError;
use crate::token::{Kind, Token, tokens};
use crate::{MAX_ERRORS, MAX_NESTING};

/// A name that must be declared somewhere in the file; declarations may follow their use.
#[derive(Clone, Debug)]
pub(crate) enum Use<'source> {
    /// A type of a relation.
    Namespace(Token<'source>),
    /// `SubjectSet<namespace, relation>`.
    SubjectSet {
        namespace: Token<'source>,
        relation: Token<'source>,
    },
    /// A relation or permit of the class in which it stands.
    Own {
        class: &'source str,
        relation: Token<'source>,
    },
    /// A relation or permit that every type of `through` must have.
    Traverse {
        class: &'source str,
        through: Token<'source>,
        relation: &'source str,
    },
}

/// The result of reading a file, before its names are looked up.
#[derive(Debug)]
pub(crate) struct Parsed<'source> {
    pub(crate) namespaces: BTreeMap<String, Namespace>,
    pub(crate) uses: Vec<Use<'source>>,
    /// The bytes at which a `&&` follows a `||` in one expression; at most [`MAX_ERRORS`].
    pub(crate) mixed: Vec<usize>,
}

/// Reads all classes and the names that they use.
///
/// # Errors
///
/// Returns the mistakes in the grammar, at most one for each class: after a mistake, reading continues with the next class.
pub(crate) fn namespaces(source: &str) -> Result<Parsed<'_>, Vec<OplError>> {
    let tokens = tokens(source).map_err(|err| vec![err])?;
    let mut parser = Parser {
        source,
        tokens,
        next: 0,
        namespaces: BTreeMap::new(),
        uses: Vec::new(),
        mixed: Vec::new(),
        errors: Vec::new(),
    };
    while parser.peek().kind != Kind::End && parser.errors.len() < MAX_ERRORS {
        if parser.top_level().is_err() {
            parser.skip_to_class();
        }
    }

    if parser.errors.is_empty() {
        Ok(Parsed {
            namespaces: parser.namespaces,
            uses: parser.uses,
            mixed: parser.mixed,
        })
    } else {
        Err(parser.errors)
    }
}

/// A mistake was added to the list, and the rest of the class is skipped.
#[derive(Clone, Copy, Debug)]
struct Reported;

#[derive(Debug)]
struct Parser<'source> {
    source: &'source str,
    tokens: Vec<Token<'source>>,
    next: usize,
    namespaces: BTreeMap<String, Namespace>,
    uses: Vec<Use<'source>>,
    mixed: Vec<usize>,
    errors: Vec<OplError>,
}

impl<'source> Parser<'source> {
    fn top_level(&mut self) -> Result<(), Reported> {
        let token = self.take();
        match (token.kind, token.text) {
            (Kind::Identifier, "class") => self.class(),
            (Kind::Identifier, "export") => self.export(),
            (Kind::Identifier, "import") => self.import(),
            (Kind::Identifier, "interface") => self.interface(),
            (Kind::Identifier, "type") => self.type_alias(),
            (Kind::Symbol, ";") => Ok(()),
            _ => Err(self.expected("'class', 'export', 'import', 'interface' or 'type'", token)),
        }
    }

    fn class(&mut self) -> Result<(), Reported> {
        let name = self.identifier()?;
        self.word("implements")?;
        self.word("Namespace")?;
        self.expect("{")?;

        let mut namespace = Namespace::default();
        while !self.accept("}") {
            let token = self.take();
            match (token.kind, token.text) {
                (Kind::Identifier, "related") => self.related(&mut namespace)?,
                (Kind::Identifier, "permits") => self.permits(name.text, &mut namespace)?,
                (Kind::Symbol, ";") => {}
                _ => return Err(self.expected("'permits' or 'related'", token)),
            }
        }

        if self.namespaces.insert(name.text.to_owned(), namespace).is_some() {
            return Err(self.error(name, format!("namespace \"{}\" is declared twice", name.text)));
        }
        Ok(())
    }

    fn related(&mut self, namespace: &mut Namespace) -> Result<(), Reported> {
        self.expect(":")?;
        self.expect("{")?;
        while !self.accept("}") {
            if self.accept(";") {
                continue;
            }
            let name = self.member_name()?;
            self.expect(":")?;
            let types = self.relation_types()?;
            self.declare(namespace, name, Relation::Related(types))?;
        }
        Ok(())
    }

    fn relation_types(&mut self) -> Result<Vec<RelationType>, Reported> {
        // Keto takes no comma after `Array<…>`, and one after each of the other forms.
        if self.at_word("Array") {
            self.take();
            self.expect("<")?;
            return self.type_union(">");
        }
        let types = if self.accept("(") {
            self.type_union(")")?
        } else {
            vec![self.relation_type()?]
        };
        self.expect("[")?;
        self.expect("]")?;
        self.accept(",");
        Ok(types)
    }

    fn type_union(&mut self, end: &str) -> Result<Vec<RelationType>, Reported> {
        let mut types = vec![self.relation_type()?];
        while !self.accept(end) {
            if !self.accept("|") {
                let token = self.take();
                return Err(self.expected("'|'", token));
            }
            types.push(self.relation_type()?);
        }
        Ok(types)
    }

    fn relation_type(&mut self) -> Result<RelationType, Reported> {
        let namespace = self.identifier()?;
        if namespace.text != "SubjectSet" {
            self.uses.push(Use::Namespace(namespace));
            return Ok(RelationType {
                namespace: namespace.text.to_owned(),
                relation: None,
            });
        }
        self.expect("<")?;
        let namespace = self.identifier()?;
        self.expect(",")?;
        let relation = self.take();
        if relation.kind != Kind::Literal {
            return Err(self.expected("a string literal", relation));
        }
        self.expect(">")?;
        self.uses.push(Use::SubjectSet { namespace, relation });
        Ok(RelationType {
            namespace: namespace.text.to_owned(),
            relation: Some(relation.text.to_owned()),
        })
    }

    fn permits(&mut self, class: &'source str, namespace: &mut Namespace) -> Result<(), Reported> {
        self.expect("=")?;
        self.expect("{")?;
        while !self.accept("}") {
            let name = self.member_name()?;
            for symbol in [":", "("] {
                self.expect(symbol)?;
            }
            self.word("ctx")?;
            if self.accept(":") {
                self.word("Context")?;
            }
            self.expect(")")?;
            if self.accept(":") {
                self.word("boolean")?;
            }
            self.expect("=>")?;
            let rewrite = self.expression(class, MAX_NESTING)?.flatten();
            self.declare(namespace, name, Relation::Permit(rewrite))?;
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(())
    }

    /// `.name` or `["name"]`.
    fn property(&mut self) -> Result<Token<'source>, Reported> {
        if !self.accept("[") {
            self.expect(".")?;
            return self.identifier();
        }
        let name = self.take();
        if name.kind != Kind::Literal {
            return Err(self.expected("a string literal", name));
        }
        self.expect("]")?;
        Ok(name)
    }

    fn declare(
        &mut self,
        namespace: &mut Namespace,
        name: Token<'source>,
        relation: Relation,
    ) -> Result<(), Reported> {
        let is_permit = matches!(relation, Relation::Permit(_));
        let Some(earlier) = namespace.relations.insert(name.text.to_owned(), relation) else {
            return Ok(());
        };

        let text = name.text;
        let message = match (matches!(earlier, Relation::Permit(_)), is_permit) {
            (false, false) => {
                format!("relation \"{text}\" is declared twice: Keto ignores the second declaration")
            }
            (true, true) => {
                format!("permit \"{text}\" is declared twice: Keto ignores the second declaration")
            }
            (false, true) => format!(
                "\"{text}\" is declared as a relation and as a permit: Keto looks up the tuples of the relation and never \
                 computes the permit"
            ),
            (true, false) => format!(
                "\"{text}\" is declared as a permit and as a relation: Keto computes the permit and ignores the relation"
            ),
        };
        Err(self.error(name, message))
    }
}

/// The small steps.
impl<'source> Parser<'source> {
    fn sequence(&mut self, texts: &[&str]) -> Result<(), Reported> {
        texts.iter().try_for_each(|text| self.expect(text))
    }

    fn expect(&mut self, text: &str) -> Result<(), Reported> {
        let token = self.take();
        if token.text == text && token.kind != Kind::Literal {
            return Ok(());
        }
        Err(self.error(token, format!("expected {text:?}, got {:?}", token.text)))
    }

    fn word(&mut self, text: &str) -> Result<(), Reported> {
        self.expect(text)
    }

    fn accept(&mut self, text: &str) -> bool {
        let token = self.peek();
        let accepted = token.kind == Kind::Symbol && token.text == text;
        if accepted {
            self.take();
        }
        accepted
    }

    fn at_word(&self, text: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Identifier && token.text == text
    }

    fn identifier(&mut self) -> Result<Token<'source>, Reported> {
        let token = self.take();
        if token.kind == Kind::Identifier && !KEYWORDS.contains(&token.text) {
            return Ok(token);
        }
        Err(self.expected("identifier", token))
    }

    fn member_name(&mut self) -> Result<Token<'source>, Reported> {
        let token = self.take();
        match token.kind {
            Kind::Identifier if !KEYWORDS.contains(&token.text) => Ok(token),
            Kind::Literal => Ok(token),
            Kind::End | Kind::Identifier | Kind::Symbol => Err(self.expected("identifier or '}'", token)),
        }
    }

    fn take(&mut self) -> Token<'source> {
        let token = self.peek();
        if token.kind != Kind::End {
            self.next = self.next.saturating_add(1);
        }
        token
    }

    fn peek(&self) -> Token<'source> {
        let end = self.source.len();
        self.tokens.get(self.next).copied().unwrap_or(Token {
            kind: Kind::End,
            text: "",
            start: end,
            end,
        })
    }

    fn skip_to_class(&mut self) {
        while self.peek().kind != Kind::End && !self.at_word("class") {
            self.take();
        }
    }

    fn expected(&mut self, what: &str, got: Token<'source>) -> Reported {
        self.error(got, format!("expected {what}, got {:?}", got.text))
    }

    fn error(&mut self, token: Token<'source>, message: String) -> Reported {
        self.errors
            .push(OplError::syntax(self.source, token.start..token.end, message));
        Reported
    }
}

/// Names that Keto reserves.
const KEYWORDS: &[&str] = &["class", "implements", "this", "ctx"];
