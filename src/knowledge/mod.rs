//! Articles from elsewhere, and articles cut into what an index can hold.
//!
//! [`import`] reads files, folders and pages into [`Article`](crate::domain::Article)s; [`chunks`] cuts an article into pieces that an
//! encoder reads whole, [`ticket_text`] is what it reads of a ticket. They are functions of what they are given: nothing is stored here, no model and no index is known, and nothing
//! is kept between two calls, so that any thread may call them.
//!
//! What comes in was written by strangers. Whatever its bytes, it ends as articles, as a place with a reason, or as an error; time and
//! memory grow in proportion to its length.

mod chunk;
mod import;
mod pieces;

pub use chunk::{Chunk, chunks, ticket_text};
pub use import::{Format, ImportError, ImportOptions, Imported, Skipped, import};
