//! Turns tokens into namespaces.

mod permit;

use std::collections::BTreeMap;

use super::ast::{Namespace, Relation, RelationType};
use super::error::OplError;
use super::token::{Kind, Token, tokens};
use super::{MAX_ERRORS, MAX_NESTING};

/// A name that must be declared somewhere in the file; declarations may follow their use.
#[derive(Clone, Debug)]
pub(super) enum Use<'source> {
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
    /// What every type of `through` must have.
    Traverse {
        class: &'source str,
        through: Token<'source>,
        relation: &'source str,
    },
}

/// What the grammar alone tells.
#[derive(Debug)]
pub(super) struct Parsed<'source> {
    pub(super) namespaces: BTreeMap<String, Namespace>,
    pub(super) uses: Vec<Use<'source>>,
    /// Where a `&&` follows a `||` in one expression, in bytes; no more than [`MAX_ERRORS`].
    pub(super) mixed: Vec<usize>,
}

/// Reads all classes, and on the way all names that they use.
///
/// # Errors
///
/// Returns the mistakes in the grammar, one for each class at most: after a mistake reading goes on with the next class.
pub(super) fn namespaces(source: &str) -> Result<Parsed<'_>, Vec<OplError>> {
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

/// The mistake is in the list; nothing more can be read from this class.
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
            (Kind::Identifier, "import") => self.import(),
            (Kind::Identifier, "export") if self.at_word("class") => Ok(()),
            (Kind::Identifier, "class") => self.class(),
            (Kind::Symbol, ";") => Ok(()),
            _ => Err(self.expected("'import' or 'class'", token)),
        }
    }

    /// `import { A, B } from "…"`: nothing in it means anything to Keto.
    fn import(&mut self) -> Result<(), Reported> {
        self.expect("{")?;
        while !self.accept("}") {
            self.identifier()?;
            if !self.accept(",") {
                self.expect("}")?;
                break;
            }
        }
        self.word("from")?;
        let module = self.take();
        if module.kind != Kind::Literal {
            return Err(self.expected("a string literal", module));
        }
        Ok(())
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
        if namespace
            .relations
            .insert(name.text.to_owned(), relation)
            .is_some()
        {
            return Err(self.error(name, format!("relation \"{}\" is declared twice", name.text)));
        }
        Ok(())
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
