//! Who may come through? Access rules, sessions and signed tokens, as Oathkeeper answers.
