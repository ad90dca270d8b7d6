//! Reads the expressions of permits, which stand behind `=>`.

use super::{Parser, Reported, Use};
use crate::ast::{Child, Operator, Rewrite};
use crate::token::{Kind, Token};
use crate::{MAX_ERRORS, MAX_NESTING, MAX_OPERATORS};

impl<'source> Parser<'source> {
    /// Reads operands and the operators between them.
    ///
    /// The first operand of an operator is the whole expression on its left, so there is no precedence: see the crate's docs.
    pub(super) fn expression(&mut self, class: &'source str, depth: usize) -> Result<Rewrite, Reported> {
        let first = self.operand(class, depth)?;
        let mut root = Rewrite::of(first);
        let mut had_or = false;
        // Each operator nests the tree once more, and the tree is walked and dropped by recursion.
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
        if token.kind != Kind::Symbol || !matches!(token.text, "&&" | "||") {
            return Ok(root);
        }
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
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verb {
    Permits,
    Related,
}
