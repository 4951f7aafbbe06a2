//! Users vanish from all that a store keeps: the version that is live and the one before.
//!
//! ```text
//!   a version --> read whole, without the users, into another --> in its place, in one step --> it is removed
//!   afterwards: everything that is kept is read again from end to end
//! ```
//!
//! No version is ever changed, so that readers see one whole version or the other. Whatever fails or is killed, those
//! who read find what was live before or after; a second call does what the first had not done.

use crate::{
    Erase, OnlineError, UserId, Version,
    publish::{Loading, check},
    store::Hold,
    user::UserKind,
};
use ltv_core::progress::Progress;
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// What the ids of versions end with from which users have vanished, before a number.
const SUFFIX: &str = "-forgot-";

/// What became of users who were to vanish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// The live version, then the one before.
    pub versions: Vec<Replaced>,
    /// Predictions of each user that were removed, in the order in which users were given; after a rehearsal, that
    /// would have been.
    pub removed: Vec<u64>,
    /// What was read again when all was done; none after a rehearsal.
    pub proof: Option<Proof>,
}

/// A version that was kept, and what is in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// What it was.
    pub before: String,
    /// What is there now: the same where no user was in it.
    pub after: String,
    /// Users who were in it.
    pub rows_before: u64,
    /// Users who are.
    pub rows: u64,
}

/// What was read again from end to end. None of the users was among it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Versions: all that the store holds.
    pub versions: u64,
    /// Users in them.
    pub rows: u64,
}

/// Removes users from all that `store` keeps, and then reads it again, whole. Who is not there is no error:
/// see [`Forgotten::removed`]. With `rehearse`, only looks.
///
/// # Errors
/// When nothing is published, an id cannot be one of the store's, somebody publishes, or the store cannot be read or
/// written. As a defect: when somebody is still found.
pub fn forget(
    store: &dyn Erase,
    users: &[UserId],
    rehearse: bool,
    progress: &dyn Progress,
) -> Result<Forgotten, OnlineError> {
    let empty = || OnlineError::Empty {
        store: store.name(),
    };
    // A place where nothing is does not become a store.
    store.kept()?.first().ok_or_else(empty)?;
    let _hold: Hold = match rehearse {
        true => Box::new(()),
        false => store.hold()?,
    };
    store.refresh()?;
    let kept = store.kept()?;
    check_ids(store, users, &kept)?;
    let mut done = Forgotten {
        versions: vec![],
        removed: vec![0; users.len()],
        proof: None,
    };
    // The one before first: what is live needs to change once.
    for version in kept.iter().rev() {
        let gone = found(store, users, version, &mut done.removed)?;
        let rows = version.rows - gone.len() as u64;
        let after = match rehearse || gone.is_empty() {
            true => version.id.clone(),
            false => replace(store, version, &gone, progress)?,
        };
        done.versions.push(Replaced {
            before: version.id.clone(),
            after,
            rows_before: version.rows,
            rows,
        });
    }
    done.versions.reverse();
    if !rehearse {
        store.clear()?;
        done.proof = Some(prove(store, users, progress)?);
    }
    Ok(done)
}

/// Fails on a user who could be in no version: a slip of the pen must not be taken for somebody who is not there.
fn check_ids(
    store: &dyn Erase,
    users: &[UserId],
    kept: &[Arc<Version>],
) -> Result<(), OnlineError> {
    let fits = |user: &UserId| {
        let mut kinds = kept.iter().map(|version| version.users);
        kinds.any(|kind| user.clone().of_kind(kind).is_ok())
    };
    match users.iter().position(|user| !fits(user)) {
        None => Ok(()),
        Some(at) => Err(OnlineError::Position {
            store: store.name(),
            number: at + 1,
            wanted: kept.first().map_or("", |version| version.users.words()),
        }),
    }
}

/// The users as ids of a kind, with their positions; without those who cannot be one.
fn of_kind(users: &[UserId], kind: UserKind) -> HashMap<UserId, usize> {
    let ids = users.iter().enumerate();
    let ids = ids.filter_map(|(at, user)| Some((user.clone().of_kind(kind).ok()?, at)));
    ids.collect()
}

/// Those who are in a version; each is counted in `removed`.
fn found(
    store: &dyn Erase,
    users: &[UserId],
    version: &Version,
    removed: &mut [u64],
) -> Result<HashSet<UserId>, OnlineError> {
    let (ids, at): (Vec<_>, Vec<_>) = of_kind(users, version.users).into_iter().unzip();
    let answer = store.peek(&version.id, &ids)?;
    let mut gone = HashSet::new();
    for ((user, at), found) in ids.into_iter().zip(at).zip(answer.predictions) {
        if found.is_some() {
            removed[at] += 1;
            gone.insert(user);
        }
    }
    Ok(gone)
}

/// Puts a version without users in the place of one that has them; its id.
fn replace(
    store: &dyn Erase,
    version: &Version,
    gone: &HashSet<UserId>,
    progress: &dyn Progress,
) -> Result<String, OnlineError> {
    let id = free(store, &version.id)?;
    progress.start("rewrite", Some(version.rows));
    let draft = version.without(id.clone(), gone.len() as u64);
    let loading = Loading::new(store.stand_in(&id, version)?, draft);
    let mut loading = loading.of_kind(version.users);
    let mut rest = gone.len();
    store.each(version, &mut |user, found| {
        progress.advance(1);
        if gone.contains(&user) {
            rest = rest.saturating_sub(1);
            return Ok(());
        }
        let too_many = || OnlineError::internal("more statuses than there were");
        loading.add_row(user, version.status(found.status), found.numbers, too_many)
    })?;
    if rest > 0 {
        return Err(OnlineError::Check {
            store: store.name(),
            problem: format!("version {} was read twice, and differs", version.id),
        });
    }
    let spots = loading.finish(version.rows - gone.len() as u64, store)?;
    check(store, &id, &spots)?;
    progress.finish();
    store.switch(&version.id, &id)?;
    Ok(id)
}

/// The id of the next version of the same snapshot.
fn free(store: &dyn Erase, id: &str) -> Result<String, OnlineError> {
    let numbered = id.rsplit_once(SUFFIX);
    let numbered = numbered.and_then(|(stem, number)| Some((stem, number.parse::<u64>().ok()?)));
    let (stem, last) = numbered.unwrap_or((id, 0));
    let mut number = last + 1;
    loop {
        let id = format!("{stem}{SUFFIX}{number}");
        // What a killed process had loaded may lack others, or nobody.
        if !store.has(&id)? {
            return Ok(id);
        }
        number += 1;
    }
}

/// Reads all that is kept, from end to end, in which nobody of the users may be.
fn prove(
    store: &dyn Erase,
    users: &[UserId],
    progress: &dyn Progress,
) -> Result<Proof, OnlineError> {
    store.refresh()?;
    let kept = store.kept()?;
    progress.start("prove", Some(kept.iter().map(|version| version.rows).sum()));
    let mut proof = Proof::default();
    for version in &kept {
        let gone = of_kind(users, version.users);
        let (mut rows, mut still) = (0, 0);
        store.each(version, &mut |user, _| {
            progress.advance(1);
            rows += 1;
            still += u64::from(gone.contains_key(&user));
            Ok(())
        })?;
        if still > 0 {
            let problem = format!("{still} users are still in version {}", version.id);
            return Err(OnlineError::internal(problem));
        }
        if rows != version.rows {
            return Err(OnlineError::Check {
                store: store.name(),
                problem: format!(
                    "{rows} users in version {}, not {}",
                    version.id, version.rows
                ),
            });
        }
        proof.versions += 1;
        proof.rows += rows;
    }
    progress.finish();
    Ok(proof)
}
