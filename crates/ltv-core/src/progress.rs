//! How far a long task has come. Libraries report to a [`Progress`]; the binary draws it.

/// Told about the stages of a long task, one after the other, possibly from several threads.
pub trait Progress: Send + Sync {
    /// A stage begins: what it does, and how many units it has, where that is known.
    fn start(&self, stage: &str, total: Option<u64>);
    /// `n` more units of the current stage are done.
    fn advance(&self, n: u64);
    /// What came out of the current stage so far, in words; the last one counts.
    fn note(&self, _text: &str) {}
    /// The current stage is over.
    fn finish(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}
