//! Who may ask: tokens, of which a file holds the hashes.
//!
//! ```text
//! # who bids
//! bidder:blake3:8bbc7b1e...64 hexadecimal digits
//! reports:blake3:...
//! ```
//!
//! A token is 32 random bytes, so that one round of BLAKE3 hides it as well as many would: there is nothing to
//! guess. The file is looked at twice a second and read again when it has changed; who is no longer in it may no
//! longer ask. A file that cannot be read changes nothing, and is warned of.

use crate::{Log, ServeError};
use http::HeaderValue;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// Begins every token, so that one that was published by mistake can be searched for.
const PREFIX: &str = "ltv_";
/// Names the hash in the file.
const HASH: &str = "blake3";

/// Makes a token for `name`: the token, which nobody can tell from the line, and the line for the file.
///
/// # Errors
/// When nothing can have that name, or the operating system has no random bytes.
pub fn create(name: &str) -> Result<(String, String), ServeError> {
    if !is_name(name) {
        return Err(ServeError::TokenName {
            name: name.to_owned(),
        });
    }
    let mut secret = [0; 32];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random
        .fill(&mut secret)
        .map_err(|e| ServeError::internal(format!("no random bytes: {e:?}")))?;
    // As a hash prints itself: hexadecimal digits.
    let token = format!("{PREFIX}{}", blake3::Hash::from_bytes(secret).to_hex());
    let line = format!("{name}:{HASH}:{}", blake3::hash(token.as_bytes()).to_hex());
    Ok((token, line))
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

/// A token that is known.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    hash: blake3::Hash,
}

/// The tokens of a file.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: PathBuf,
    known: RwLock<Arc<[Known]>>,
    /// The file when it was last looked at, usable or not; `None` when it could not be read.
    seen: Mutex<Option<String>>,
}

impl Tokens {
    /// Reads the file.
    pub(crate) fn open(path: &Path) -> Result<Self, ServeError> {
        let text = read(path)?;
        let known = parse(path, &text)?;
        if known.is_empty() {
            return Err(ServeError::NoTokens {
                path: path.to_path_buf(),
            });
        }
        Ok(Self {
            path: path.to_path_buf(),
            known: RwLock::new(known.into()),
            seen: Mutex::new(Some(text)),
        })
    }

    /// Reads the file again if it has changed. False where it cannot be used, which is warned of once.
    pub(crate) fn reload(&self, log: &dyn Log) -> bool {
        let found = read(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found.as_ref().ok() == seen.as_ref() {
            return true;
        }
        *seen = found.as_ref().ok().cloned();
        match found.and_then(|text| parse(&self.path, &text)) {
            Ok(known) => {
                let (path, many) = (self.path.display(), known.len());
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.into();
                log.note(&format!("{path}: {many} tokens are valid from now on"));
                true
            }
            Err(error) => {
                log.warning(&format!("{error}; the tokens from before stay valid"));
                false
            }
        }
    }

    /// Who sent this header `Authorization`; `None` of nobody who is known.
    ///
    /// Takes as long for a wrong token as for a right one: hashes are compared in constant time
    /// (`blake3::Hash`), and with all that are known.
    pub(crate) fn client(&self, header: Option<&HeaderValue>) -> Option<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        who(&known, header?)
    }
}

fn who(known: &[Known], header: &HeaderValue) -> Option<Arc<str>> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let hash = blake3::hash(token.trim().as_bytes());
    let found = known
        .iter()
        .fold(None, |found, known| match known.hash == hash {
            true => Some(known),
            false => found,
        });
    found.map(|known| known.name.clone())
}

/// What is fuzzed of tokens.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    use super::*;

    /// Who sent this header, of those in the text of a file.
    pub(crate) fn client(text: &str, header: &HeaderValue) -> Result<Option<Arc<str>>, ServeError> {
        Ok(who(&parse(Path::new("made"), text)?, header))
    }
}

fn read(path: &Path) -> Result<String, ServeError> {
    Ok(fs::read_to_string(path).map_err(|e| ltv_core::Error::io(path, "read", e))?)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Known>, ServeError> {
    let mut known: Vec<Known> = vec![];
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem: String| ServeError::Tokens {
            path: path.to_path_buf(),
            line: i + 1,
            problem,
        };
        let token = token(line).map_err(|problem| wrong(problem.to_owned()))?;
        if known.iter().any(|other| other.name == token.name) {
            return Err(wrong(format!("a second token named '{}'", token.name)));
        }
        known.push(token);
    }
    Ok(known)
}

/// What a line says; an error never repeats the line, in which somebody may have put a token itself.
fn token(line: &str) -> Result<Known, &'static str> {
    let mut parts = line.split(':');
    let (Some(name), Some(hash), Some(hex), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("not three parts with ':' between them");
    };
    if !is_name(name) {
        return Err("a name that is not 1 to 64 letters, digits, '.', '_' and '-'");
    }
    if hash != HASH {
        return Err("a hash that is not 'blake3'");
    }
    let hash = blake3::Hash::from_hex(hex).map_err(|_| "a hash that is not 64 digits")?;
    Ok(Known {
        name: name.into(),
        hash,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::log::Silent;

    fn client(tokens: &Tokens, header: &str) -> Option<Arc<str>> {
        tokens.client(Some(&HeaderValue::from_str(header).unwrap()))
    }

    #[test]
    fn only_whoever_has_a_token_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let ((one, first), (two, second)) = (create("one").unwrap(), create("two").unwrap());
        assert_ne!(one, two);
        assert!(
            one.starts_with(PREFIX) && one.len() == 68 && !first.contains(&one[4..]),
            "{one} {first}"
        );
        fs::write(&path, format!("# ours\n\n{first}\n  {second}\n")).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        for (token, name) in [(&one, "one"), (&two, "two")] {
            for scheme in ["Bearer", "bearer", "BEARER "] {
                let found = client(&tokens, &format!("{scheme} {token}"));
                assert_eq!(found.as_deref(), Some(name));
            }
        }
        let hash = first.rsplit(':').next().unwrap();
        for wrong in [
            one.clone(),
            "Bearer".into(),
            format!("Basic {one}"),
            format!("Bearer {hash}"),
            format!("Bearer {}", &one[..67]),
        ] {
            assert_eq!(client(&tokens, &wrong), None, "{wrong}");
        }
        assert_eq!(tokens.client(None), None);
    }

    /// By `printf %s secret | b3sum`.
    #[test]
    fn hashes_are_those_of_other_programs() {
        let hash = "5fbf08af2b116ab8f7f3c14b8ec01a46ce23d290e2ebc7a752d0982d54c054f2";
        let known = token(&format!("x:blake3:{hash}")).unwrap();
        assert_eq!(known.hash, blake3::hash(b"secret"));
    }

    #[test]
    fn a_file_is_read_again_and_a_damaged_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let ((one, first), (two, second)) = (create("one").unwrap(), create("two").unwrap());
        fs::write(&path, &first).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        let [one, two] = [one, two].map(|token| format!("Bearer {token}"));
        assert!(tokens.reload(&Silent) && client(&tokens, &one).is_some());
        fs::write(&path, &second).unwrap();
        assert!(tokens.reload(&Silent));
        assert!(client(&tokens, &one).is_none() && client(&tokens, &two).is_some());
        fs::write(&path, format!("{first}\nnonsense")).unwrap();
        assert!(!tokens.reload(&Silent));
        assert!(client(&tokens, &one).is_none() && client(&tokens, &two).is_some());
        // It is not reported twice.
        assert!(tokens.reload(&Silent));
        fs::remove_file(&path).unwrap();
        assert!(!tokens.reload(&Silent) && client(&tokens, &two).is_some());
        // Everybody may be shut out.
        fs::write(&path, "# nobody\n").unwrap();
        assert!(tokens.reload(&Silent) && client(&tokens, &two).is_none());
    }

    #[test]
    fn what_is_wrong_is_said_without_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let (secret, line) = create("one").unwrap();
        let short = line[..line.len() - 1].to_owned();
        for (text, expected) in [
            (format!("\n{secret}"), "line 2: not three parts"),
            (format!("a b:blake3:{secret}"), "line 1: a name"),
            (
                line.replace("blake3", "md5"),
                "line 1: a hash that is not 'blake3'",
            ),
            (short, "line 1: a hash that is not 64"),
            (format!("{line}\n{line}"), "line 2: a second token"),
            ("# none".into(), "holds no token"),
        ] {
            fs::write(&path, &text).unwrap();
            let error = Tokens::open(&path).unwrap_err().to_string();
            assert!(
                error.contains(expected) && !error.contains(&secret),
                "{error}"
            );
        }
        for name in ["", "a:b", "ä", &"x".repeat(65)] {
            assert!(create(name).is_err(), "{name}");
        }
    }
}
