//! The persons of the scenario.

use std::io;

use scenario::{client::Response, text};

/// A person with a session.
#[derive(Clone, Debug)]
pub struct Person {
    /// The identity's id, which is the subject of every token.
    pub id: String,
    /// Kratos's session token.
    pub session_token: String,
}

impl Person {
    /// Reads the answer to a finished native login or registration.
    ///
    /// # Errors
    ///
    /// When it holds no session.
    pub fn from_answer(response: &Response) -> io::Result<Self> {
        let body = response.json();
        Ok(Self {
            id: text(&body, "/session/identity/id")?,
            session_token: text(&body, "/session_token")?,
        })
    }
}
