//! A player's past: what they had before each of their revisions, by undoing entries from what is stored now.
//!
//! Pure. Old images are read as old records are: through every step to the newest format. Called by whoever proves,
//! tells or brings back what was.

pub use super::opening::Opening;

use super::codec::{self, Page};
use crate::{
    engine::change::{Change, Changes, Content},
    schema::{Chain, SchemaError, Stamp},
};
use bytes::Bytes;
use holdall_protocol::ids::{Place, Revision};
use std::collections::BTreeMap;

/// All that a player has, or had.
pub type Things = BTreeMap<Place, Content>;

/// A player's ledger, read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Book {
    /// Where it begins.
    pub opening: Opening,
    /// Its entries after that, oldest first.
    pub pages: Vec<Page>,
    /// What could not be read: the newest revision of what was written together, and why.
    pub unreadable: Vec<(Revision, String)>,
}

impl Book {
    /// Reads a ledger's items, oldest first: each what was written together, and its newest revision. Entries that an
    /// opening stands for, and that were still there when they were read, are left out.
    pub fn read<'b>(chain: &Chain, items: impl IntoIterator<Item = &'b (Revision, Bytes)>) -> Self {
        let mut book = Self::default();
        for (newest, bytes) in items {
            let read = if Opening::is(bytes) {
                Opening::read(chain, bytes).map(|opening| book.opening = opening).map_err(|error| error.to_string())
            } else {
                codec::read(bytes).map(|pages| book.pages.extend(pages))
            };
            if let Err(error) = read {
                book.unreadable.push((*newest, error));
            }
        }
        let begin = book.opening.revision;
        book.pages.retain(|page| page.revision > begin);
        book
    }
}

/// A player as stored: what the newest entry left.
#[derive(Debug, Clone, Copy)]
pub struct Now<'s> {
    /// The revision.
    pub revision: Revision,
    /// What the record bears; no entry is of a newer format.
    pub stamp: Stamp,
    /// All places, as stored.
    pub places: &'s [(String, Bytes)],
}

/// One entry, undone.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The entry.
    pub page: Page,
    /// What it changed, in the newest format.
    pub changes: Changes,
}

/// Why the past beyond a revision is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The entries do not follow one another.
    #[error("the entry that made revision {wanted} is missing{}", found.map(|found| format!(" (where it should be stands {found})")).unwrap_or_default())]
    Torn {
        /// The revision that comes next, going back.
        wanted: Revision,
        /// What comes instead; `None` where nothing does.
        found: Option<Revision>,
    },
    /// A value, now or then, cannot be read.
    #[error("at revision {revision}: {error}")]
    Unreadable {
        /// Where it stands: in the entry of this revision, or in the player who is at it.
        revision: Revision,
        /// What is wrong.
        error: SchemaError,
    },
}

/// A walk from now back to the opening, newest entry first. It ends for good where the past is [`Lost`].
#[derive(Debug, Clone)]
pub struct Past {
    chain: &'static Chain,
    readable_by: u32,
    /// Oldest first; those that are not undone yet.
    pages: Vec<Page>,
    /// What they had at `revision`.
    things: Things,
    revision: Revision,
    opening: Opening,
    lost: bool,
}

impl Past {
    /// The past of a player with these entries, oldest first. Entries newer than the player are left out: they were made
    /// after it was read.
    ///
    /// # Errors
    /// [`Lost::Unreadable`], where a stored value is.
    pub fn of(chain: &'static Chain, now: Now<'_>, opening: Opening, pages: Vec<Page>) -> Result<Self, Lost> {
        let Now { revision, stamp, places } = now;
        let things = places.iter().map(|(place, value)| read(chain, stamp, place, value));
        let things: Result<Things, SchemaError> = things.collect();
        let things = things.map_err(|error| Lost::Unreadable { revision, error })?;
        Ok(Self::before(chain, (revision, stamp, things), opening, pages))
    }

    /// The same, of a player who is known to have had these things at a revision; the stamp is that of their record.
    #[must_use]
    pub fn before(
        chain: &'static Chain,
        (revision, stamp, things): (Revision, Stamp, Things),
        opening: Opening,
        mut pages: Vec<Page>,
    ) -> Self {
        pages.retain(|page| page.revision <= revision);
        Self { chain, readable_by: stamp.readable_by, pages, things, revision, opening, lost: false }
    }

    /// What they had at [`Self::revision`].
    #[must_use]
    pub const fn things(&self) -> &Things {
        &self.things
    }

    /// The revision to which everything later is undone.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Where it ends.
    #[must_use]
    pub const fn opening(&self) -> &Opening {
        &self.opening
    }

    /// What they had at a revision; `None` for one that lies before the opening or after now.
    ///
    /// # Errors
    /// [`Lost`], where the past does not reach so far back.
    pub fn at(mut self, revision: Revision) -> Result<Option<Things>, Lost> {
        while self.revision > revision {
            match self.next() {
                Some(undone) => drop(undone?),
                None => return Ok(None),
            }
        }
        Ok((self.revision == revision).then_some(self.things))
    }

    fn undo(&mut self, page: Page) -> Result<Step, Lost> {
        // Each image is of its entry's format; that its builds can be read here, the record says for all of them.
        let stamp = Stamp { format: page.schema, readable_by: self.readable_by };
        let mut list = Vec::with_capacity(page.before.len());
        for (name, image) in &page.before {
            let unreadable = |error| Lost::Unreadable { revision: page.revision, error };
            let (place, before) = match image {
                Some(value) => read(self.chain, stamp, name, value).map(|(place, content)| (place, Some(content))),
                None => parse(name).map(|place| (place, None)),
            }
            .map_err(unreadable)?;
            let after = match &before {
                Some(content) => self.things.insert(place.clone(), content.clone()),
                None => self.things.remove(&place),
            };
            list.push(Change { place, before, after });
        }
        self.revision = Revision::new(page.revision.get().saturating_sub(1));
        Ok(Step { page, changes: Changes { list, overflow: 0 } })
    }
}

impl Iterator for Past {
    type Item = Result<Step, Lost>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.lost || self.revision <= self.opening.revision {
            return None;
        }
        let undone = match self.pages.pop() {
            Some(page) if page.revision == self.revision => self.undo(page),
            other => Err(Lost::Torn { wanted: self.revision, found: other.map(|page| page.revision) }),
        };
        self.lost = undone.is_err();
        Some(undone)
    }
}

/// One stored value, which must be something that its place can hold.
///
/// # Errors
/// [`SchemaError`], with the place.
pub fn read(chain: &Chain, stamp: Stamp, place: &str, value: &[u8]) -> Result<(Place, Content), SchemaError> {
    let (at, content) = chain.read(stamp, place, value)?;
    match (&at, &content) {
        (Place::Bag(_) | Place::Equipment(_), Content::Stack(_)) | (Place::Balance(_), Content::Amount(_)) => {
            Ok((at, content))
        }
        (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) | (Place::Balance(_), Content::Stack(_)) => {
            Err(unreadable(place, "slots hold stacks, and balances amounts"))
        }
    }
}

fn parse(place: &str) -> Result<Place, SchemaError> {
    Place::parse(place).map_err(|error| unreadable(place, error))
}

fn unreadable(place: &str, reason: impl ToString) -> SchemaError {
    SchemaError::Unreadable { place: place.to_owned(), reason: reason.to_string() }
}
