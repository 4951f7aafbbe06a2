//! What every store can do.

use crate::{OnlineError, Prediction, UserId, Version};
use std::sync::Arc;

/// What a request is answered with: predictions of one version, none of another.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The version that all of them are from.
    pub version: Arc<Version>,
    /// In the order of the users asked for; `None` of users who are not in the version.
    pub predictions: Vec<Option<Prediction>>,
}

/// Kept by whoever publishes; dropped, others may.
pub type Hold = Box<dyn Send>;

/// Published predictions, with one version live at a time.
///
/// Versions are loaded beside the live one and put live in one step; the one before stays, so that there
/// is a way back. A process that reads learns of a new version by [`Store::refresh`] and from then on answers
/// from it; an answer is never of two.
pub trait Store: Send + Sync {
    /// What messages call it.
    fn name(&self) -> String;

    /// The version that this process answers from; none before anything was published.
    fn live(&self) -> Option<Arc<Version>>;

    /// The version that was live before the one that this process answers from: [`Store::peek`] looks users up in
    /// it, and [`Store::roll_back`] puts it live. None where there is none, and while another version is live than
    /// this process answers from.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn previous(&self) -> Result<Option<Arc<Version>>, OnlineError>;

    /// Looks whether another version is live, and answers from it from now on; whether there was one.
    ///
    /// # Errors
    /// When the store cannot be read. Answers then go on from the version that was known before.
    fn refresh(&self) -> Result<bool, OnlineError>;

    /// Looks users up, all of them in the version that this process answers from.
    ///
    /// # Errors
    /// When nothing is published, an id cannot be one of this store, or the store cannot be read.
    fn get(&self, users: &[UserId]) -> Result<Answer, OnlineError>;

    /// Keeps other processes from publishing as long as the result lives: whoever changes what is live holds
    /// it.
    ///
    /// # Errors
    /// When another process does, or the store cannot be written.
    fn hold(&self) -> Result<Hold, OnlineError> {
        // Of a store whose drafts hold it, and which switches versions in one step of its own.
        Ok(Box::new(()))
    }

    /// The versions that are kept: the live one, and the one before where there is one. None before anything
    /// was published.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn kept(&self) -> Result<Vec<Arc<Version>>, OnlineError>;

    /// Starts loading a version beside the live one; `users`: about how many will come.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn begin(&self, id: &str, users: u64) -> Result<Box<dyn Draft + '_>, OnlineError>;

    /// Whether a version is there, live or not, as it was loaded: read from end to end.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn has(&self, id: &str) -> Result<bool, OnlineError>;

    /// Looks users up in a version that is there, live or not.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn peek(&self, id: &str, users: &[UserId]) -> Result<Answer, OnlineError>;

    /// Puts a version live that is there; the one that was is kept, and all others are removed, if need be by
    /// the next call.
    ///
    /// # Errors
    /// When it is not there or does not open, or the store cannot be written; what was live then still is.
    fn go_live(&self, id: &str) -> Result<(), OnlineError>;

    /// Puts the version before live again; its description. The one that was live is withdrawn.
    ///
    /// # Errors
    /// When there is none, or the store cannot be written.
    fn roll_back(&self) -> Result<Arc<Version>, OnlineError>;
}

/// What a store can do from which users may have to vanish: versions are never changed, so that others take their
/// places ([`crate::forget`](mod@crate::forget)).
pub trait Erase: Store {
    /// Reads a version from end to end and hands on every user.
    ///
    /// # Errors
    /// When it is not there, is damaged or cannot be read; and those of `sink`.
    fn each(&self, version: &Version, sink: EachSink<'_>) -> Result<(), OnlineError>;

    /// Starts loading the version `id` that is to take the place of another, and lives no longer than that one.
    ///
    /// # Errors
    /// As [`Store::begin`].
    fn stand_in(&self, id: &str, of: &Version) -> Result<Box<dyn Draft + '_>, OnlineError>;

    /// Puts the version `new`, which is there, in the place of `old`, be that live or the one before, in one step.
    ///
    /// # Errors
    /// When `old` is neither any more, or the store cannot be written; what was live then still is.
    fn switch(&self, old: &str, new: &str) -> Result<(), OnlineError>;

    /// Removes all versions that are not kept, whole or not, whoever left them.
    ///
    /// # Errors
    /// When somebody publishes, or something cannot be removed.
    fn clear(&self) -> Result<(), OnlineError>;
}

/// Takes a user and what is known of them.
pub type EachSink<'a> = &'a mut dyn FnMut(UserId, Prediction) -> Result<(), OnlineError>;

/// A version that is being loaded: nobody sees it. Dropped before [`Draft::finish`], it leaves nothing behind.
pub trait Draft {
    /// Adds a user with the bytes of a prediction, in any order; ids are all of one kind.
    ///
    /// # Errors
    /// When a user was added before, or the store cannot be written.
    fn add(&mut self, user: &UserId, value: &[u8]) -> Result<(), OnlineError>;

    /// Makes it durable, reads it back whole and says what it is; [`Version::rows`] and [`Version::content`]
    /// are set here, and its rows must be as many as were added.
    ///
    /// # Errors
    /// When a user was added twice, the store cannot be written, or what is read back differs.
    fn finish(self: Box<Self>, version: Version) -> Result<Version, OnlineError>;
}
