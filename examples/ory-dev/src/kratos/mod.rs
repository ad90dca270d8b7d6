//! Who is it? Identities, self-service flows and sessions, as Kratos answers.
