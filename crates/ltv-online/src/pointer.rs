//! Which version of a store is live.

use serde::{Deserialize, Serialize};

/// Which version is live, and which was before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    format: String,
    version: u32,
    pub(crate) live: String,
    pub(crate) previous: Option<String>,
}

impl Pointer {
    pub(crate) const FORMAT: &'static str = "ltv-store";
    pub(crate) const VERSION: u32 = 1;

    pub(crate) fn new(live: &str, previous: Option<String>) -> Self {
        Self {
            format: Self::FORMAT.into(),
            version: Self::VERSION,
            live: live.into(),
            previous,
        }
    }

    /// What is live once `id` is, after `before`; what was live then is the way back.
    pub(crate) fn after(before: Option<Self>, id: &str) -> Self {
        let previous = match before {
            Some(pointer) if pointer.live == id => pointer.previous,
            before => before.map(|pointer| pointer.live),
        };
        Self::new(id, previous)
    }

    /// What was before `live`, where it is `live` that this says is live.
    pub(crate) fn before(&self, live: &str) -> Option<&str> {
        self.previous.as_deref().filter(|_| self.live == live)
    }

    /// The same with `new` in the place of `old`, which is live or was before; `None` where it is neither.
    pub(crate) fn switched(&self, old: &str, new: &str) -> Option<Self> {
        let is_previous = self.previous.as_deref() == Some(old);
        match self.live == old {
            true => Some(Self::new(new, self.previous.clone())),
            false => is_previous.then(|| Self::new(&self.live, Some(new.to_owned()))),
        }
    }

    /// The versions that it keeps.
    pub(crate) fn kept(&self) -> Vec<&str> {
        let previous = self.previous.iter().map(String::as_str);
        previous.chain([self.live.as_str()]).collect()
    }
}
