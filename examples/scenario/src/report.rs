//! The results of a walk.

use std::{fmt, io};

/// The promises of a walk, each kept or broken.
#[derive(Debug, Default)]
pub struct Report {
    broken: Vec<String>,
    kept: usize,
    quiet: bool,
    step: String,
}

impl Report {
    /// Starts a report that prints each line as it comes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a report that prints nothing.
    pub fn quiet() -> Self {
        Self {
            quiet: true,
            ..Self::default()
        }
    }

    /// Opens the next step.
    pub fn step(&mut self, number: usize, title: &str) {
        self.step = format!("{number}. {title}");
        self.print(format_args!("\n{}", self.step));
    }

    /// Prints a line that is no promise.
    pub fn say(&self, text: &str) {
        self.print(format_args!("   {text}"));
    }

    /// Records one promise: the request, the answer, the proven property, and whether it held.
    pub fn promise(&mut self, asked: &str, answered: &str, proves: &str, held: bool) {
        let mark = if held { "ok" } else { "BROKEN" };
        let short = |text: &str, width: usize| -> String { text.chars().take(width).collect() };
        let (asked_short, answered_short) = (short(asked, 38), short(answered, 48));
        self.print(format_args!(
            "   {mark:6} {asked_short:<38} {answered_short:<48} {proves}"
        ));
        if held {
            self.kept = self.kept.saturating_add(1);
        } else {
            self.broken
                .push(format!("{}: {proves}: {asked}: {answered}", self.step));
        }
    }

    /// Returns the promises that did not hold.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Returns how many promises held.
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Prints the sum of a walk that has ended, and returns whether every promise held.
    pub fn close(&self, ended: &io::Result<()>) -> bool {
        self.print(format_args!(
            "\n{} promises held, {} did not",
            self.kept,
            self.broken.len()
        ));
        for broken in &self.broken {
            self.print(format_args!("  BROKEN {broken}"));
        }
        if let Err(err) = ended {
            self.print(format_args!("  the walk ended early: {err}"));
        }
        ended.is_ok() && self.broken.is_empty()
    }

    #[expect(clippy::print_stdout, reason = "a program for the terminal")]
    fn print(&self, line: fmt::Arguments<'_>) {
        if !self.quiet {
            println!("{line}");
        }
    }
}
