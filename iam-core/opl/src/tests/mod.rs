mod check;
mod source;

use super::{Namespaces, parse};

fn parsed(source: &str) -> Namespaces {
    parse(source).unwrap_or_else(|errors| panic!("refused: {errors:#?}"))
}

fn refusals(source: &str) -> Vec<String> {
    let Err(errors) = parse(source) else {
        panic!("accepted: {source}")
    };
    errors.iter().map(ToString::to_string).collect()
}
