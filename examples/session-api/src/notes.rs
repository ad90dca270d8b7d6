//! Notes in memory.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The body of a request that writes a note.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NewNote {
    /// The text.
    pub text: String,
}

/// A note.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// The note's id.
    pub id: String,
    /// The text.
    pub text: String,
}

/// The notes of all people, each person's bounded.
#[derive(Debug, Default)]
pub struct Notes(RwLock<BTreeMap<String, Vec<Note>>>);

/// There is no room for another note.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NotesFull;

impl Notes {
    /// Writes a note.
    ///
    /// # Errors
    ///
    /// When the owner has too many notes, or too many people have notes.
    pub fn write(&self, owner: &str, note: NewNote) -> Result<Note, NotesFull> {
        let mut people = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if people.len() >= MOST_PEOPLE && !people.contains_key(owner) {
            return Err(NotesFull);
        }
        let notes = people.entry(owner.to_owned()).or_default();
        if notes.len() >= MOST_NOTES {
            return Err(NotesFull);
        }

        let note = Note {
            id: Uuid::new_v4().to_string(),
            text: note.text,
        };
        notes.push(note.clone());
        Ok(note)
    }

    /// Returns the notes of an owner, in the order in which they were written.
    pub fn of(&self, owner: &str) -> Vec<Note> {
        let people = self.0.read().unwrap_or_else(PoisonError::into_inner);
        people.get(owner).cloned().unwrap_or_default()
    }

    /// Deletes the notes of an owner.
    pub fn forget(&self, owner: &str) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(owner);
    }
}

const MOST_NOTES: usize = 100;
const MOST_PEOPLE: usize = 10_000;
