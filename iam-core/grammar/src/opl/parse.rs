//! Turns tokens into namespaces.

use std::collections::BTreeMap;

use super::ast::{Child, Namespace, Operator, Relation, RelationType, Rewrite};
use super::error::OplError;
use super::token::{Kind, Token, tokens};
use super::{MAX_ERRORS, MAX_NESTING, MAX_OPERATORS};

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

    /// Reads operands and the operators between them, up to what cannot go on.
    ///
    /// Every operator takes all that stands left of it as its first operand, so there is no precedence; see the module's docs.
    fn expression(&mut self, class: &'source str, depth: usize) -> Result<Rewrite, Reported> {
        let first = self.operand(class, depth)?;
        let mut root = Rewrite::of(first);
        let mut had_or = false;
        // Each operator nests the tree once more, and what walks or drops the tree does so by recursion.
        for _ in 0..MAX_OPERATORS {
            let at = self.peek().start;
            let operator = if self.accept("&&") {
                if had_or && self.mixed.len() < MAX_ERRORS {
                    self.mixed.push(at);
                }
                Operator::And
            } else if self.accept("||") {
                had_or = true;
                Operator::Or
            } else {
                return Ok(root);
            };
            let right = self.operand(class, depth)?;
            root = root.then(operator, right);
        }
        let token = self.peek();
        Err(self.error(
            token,
            format!("more than {MAX_OPERATORS} operators in one expression"),
        ))
    }

    fn operand(&mut self, class: &'source str, depth: usize) -> Result<Child, Reported> {
        if self.accept("!") {
            let depth = self.deeper(depth)?;
            let negated = if self.accept("(") {
                self.group(class, depth)?
            } else {
                self.term(class)?
            };
            return Ok(Child::Not(Box::new(negated)));
        }
        if self.accept("(") {
            return self.group(class, depth);
        }
        self.term(class)
    }

    fn group(&mut self, class: &'source str, depth: usize) -> Result<Child, Reported> {
        let depth = self.deeper(depth)?;
        let inner = self.expression(class, depth)?;
        self.expect(")")?;
        Ok(Child::Rewrite(inner))
    }

    fn deeper(&mut self, depth: usize) -> Result<usize, Reported> {
        let left = depth.saturating_sub(1);
        if left == 0 {
            let message = format!("expression nested too deeply; maximal nesting depth is {MAX_NESTING}");
            let token = self.peek();
            return Err(self.error(token, message));
        }
        Ok(left)
    }

    /// `this.related.R.…` or `this.permits.P(ctx)`.
    fn term(&mut self, class: &'source str) -> Result<Child, Reported> {
        self.word("this")?;
        self.expect(".")?;
        let verb = self.verb()?;
        let name = self.property()?;
        self.uses.push(Use::Own {
            class,
            relation: name,
        });
        if verb == Verb::Permits {
            self.sequence(&["(", "ctx", ")"])?;
            return Ok(Child::Computed(name.text.to_owned()));
        }

        self.expect(".")?;
        let method = self.take();
        match method.text {
            "includes" => {
                self.sequence(&["(", "ctx", ".", "subject", ")"])?;
                Ok(Child::Computed(name.text.to_owned()))
            }
            "traverse" => self.traverse(class, name),
            _ => Err(self.expected("'traverse' or 'includes'", method)),
        }
    }

    /// `(x) => x.related.R.includes(ctx.subject)` or `x => x.permits.P(ctx)`, in its parentheses.
    fn traverse(&mut self, class: &'source str, through: Token<'source>) -> Result<Child, Reported> {
        self.expect("(")?;
        let parenthesised = self.accept("(");
        let argument = self.identifier()?;
        if parenthesised {
            self.expect(")")?;
        }
        self.expect("=>")?;
        self.word(argument.text)?;
        self.expect(".")?;
        let verb = self.verb()?;
        let relation = self.property()?;
        match verb {
            Verb::Permits => self.sequence(&["(", "ctx", ")", ")"])?,
            Verb::Related => {
                self.sequence(&[".", "includes", "(", "ctx", ".", "subject"])?;
                self.accept(",");
                self.expect(")")?;
                self.accept(",");
                self.expect(")")?;
            }
        }

        self.uses.push(Use::Traverse {
            class,
            through,
            relation: relation.text,
        });
        Ok(Child::Traverse {
            through: through.text.to_owned(),
            relation: relation.text.to_owned(),
        })
    }

    fn verb(&mut self) -> Result<Verb, Reported> {
        let token = self.take();
        match (token.kind, token.text) {
            (Kind::Identifier, "permits") => Ok(Verb::Permits),
            (Kind::Identifier, "related") => Ok(Verb::Related),
            _ => Err(self.expected("'related' or 'permits'", token)),
        }
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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verb {
    Permits,
    Related,
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
