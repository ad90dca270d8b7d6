//! Skips the ordinary TypeScript around the classes: imports, exports, types and interfaces. None of it has a meaning to Keto.

use super::{Parser, Reported};
use crate::token::Kind;

impl Parser<'_> {
    /// `import "…"`, or names and where they are from.
    pub(super) fn import(&mut self) -> Result<(), Reported> {
        if self.peek().kind == Kind::Literal {
            self.take();
            return Ok(());
        }

        if self.at_word("type") {
            self.take();
            // `import type from "…"` imports something that is called `type`.
            if self.at_word("from") {
                return self.from();
            }
        }
        let has_default = self.peek().kind == Kind::Identifier;
        if has_default {
            self.skip_name()?;
        }
        if !has_default || self.accept(",") {
            self.expect("{")?;
            self.names()?;
        }
        self.from()
    }

    /// `export` in front of a class, a type or an interface; or a list of names.
    pub(super) fn export(&mut self) -> Result<(), Reported> {
        for modifier in ["default", "abstract"] {
            if self.at_word(modifier) {
                self.take();
            }
        }
        if self.at_word("class") || self.at_word("interface") {
            return Ok(());
        }
        if self.at_word("type") {
            self.take();
            if !self.accept("{") {
                return self.type_alias();
            }
        } else {
            self.expect("{")?;
        }

        self.names()?;
        if self.at_word("from") {
            return self.from();
        }
        Ok(())
    }

    /// `type Name = …`, up to a `;` or the next declaration.
    pub(super) fn type_alias(&mut self) -> Result<(), Reported> {
        self.skip_name()?;
        while !self.at_declaration() && !self.accept(";") {
            self.skip_one()?;
        }
        Ok(())
    }

    /// `interface Name extends Other { … }`.
    pub(super) fn interface(&mut self) -> Result<(), Reported> {
        self.skip_name()?;
        loop {
            let token = self.peek();
            if token.kind == Kind::End || self.at_declaration() {
                return self.expect("{");
            }
            self.skip_one()?;
            if token.kind == Kind::Symbol && token.text == "{" {
                return Ok(());
            }
        }
    }

    /// `A, type B, C as D }`: the list behind an opening brace.
    fn names(&mut self) -> Result<(), Reported> {
        while !self.accept("}") {
            self.name()?;
            if !self.accept(",") {
                return self.expect("}");
            }
        }
        Ok(())
    }

    /// `A`, `type A`, `A as B` or `type A as B`.
    fn name(&mut self) -> Result<(), Reported> {
        let may_be_type = self.at_word("type");
        self.skip_name()?;
        if may_be_type && self.peek().kind == Kind::Identifier && !self.at_word("as") {
            self.skip_name()?;
        }
        if self.at_word("as") {
            self.take();
            self.skip_name()?;
        }
        Ok(())
    }

    /// Skips a name. Unlike the names of classes and relations, it may be one that Keto reserves.
    fn skip_name(&mut self) -> Result<(), Reported> {
        let token = self.take();
        if token.kind == Kind::Identifier && token.text != "class" {
            return Ok(());
        }
        Err(self.expected("identifier", token))
    }

    fn from(&mut self) -> Result<(), Reported> {
        self.word("from")?;
        let module = self.take();
        if module.kind != Kind::Literal {
            return Err(self.expected("a string literal", module));
        }
        Ok(())
    }

    /// Tells whether the next token ends a type without a `;` behind it.
    fn at_declaration(&self) -> bool {
        self.peek().kind == Kind::End || DECLARATIONS.iter().any(|word| self.at_word(word))
    }

    /// Skips one token, or everything in a pair of brackets.
    fn skip_one(&mut self) -> Result<(), Reported> {
        let mut closing = Vec::new();
        loop {
            let token = self.take();
            match (token.kind, token.text) {
                (Kind::End, _) => return Err(self.expected("a closing bracket", token)),
                (Kind::Identifier, "class") => {
                    let message = "Keto reads \"class\" as the start of a namespace, also inside of a type";
                    return Err(self.error(token, message.to_owned()));
                }
                (Kind::Symbol, "{") => closing.push("}"),
                (Kind::Symbol, "(") => closing.push(")"),
                (Kind::Symbol, "[") => closing.push("]"),
                (Kind::Symbol, "}" | ")" | "]") => {
                    if closing.pop() != Some(token.text) {
                        return Err(self.expected("the next declaration", token));
                    }
                }
                (Kind::Identifier | Kind::Literal | Kind::Symbol, _) => {}
            }
            if closing.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The words that start a declaration.
const DECLARATIONS: &[&str] = &["class", "export", "import", "interface", "type"];
