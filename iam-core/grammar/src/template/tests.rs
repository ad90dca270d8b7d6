//! What fills a template and what does not.
