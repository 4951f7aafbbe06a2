//! What commands have in common that train and judge many models.

use super::Context;
use crate::{
    exit::Failure,
    outputs::{self, Kind},
    report::Facts,
};
use clap::Args;
use ltv_core::artefact;
use ltv_lab::compare::{Call, REPORT};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Whether a page is written as well.
#[derive(Debug, Args)]
pub(super) struct PageFlag {
    /// Write a page with charts as well, that opens offline [default: report.html in --out]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[allow(
        clippy::option_option,
        reason = "absent, given without a name, given with one: what clap makes of it"
    )]
    report: Option<Option<PathBuf>>,
}

impl PageFlag {
    /// Where the page goes. Asked before the first training, so that hours of it do not end with a
    /// refusal.
    pub(super) fn path(&self, out: &Path) -> Result<Option<PathBuf>, Failure> {
        let Some(given) = &self.report else {
            return Ok(None);
        };
        let path = given.clone().unwrap_or_else(|| out.join(REPORT));
        outputs::check(&path, Kind::Page)?;
        Ok(Some(path))
    }
}

/// Makes the call with results in `out` and a clock that starts now.
pub(super) fn call<T>(out: &Path, context: &Context, run: impl FnOnce(&Call<'_>) -> T) -> T {
    let began = Instant::now();
    run(&Call {
        out,
        threads: context.threads,
        seed: context.seed,
        clock: &|| began.elapsed(),
        progress: &context.progress,
    })
}

/// Adds where the tables are, writes the page and adds where it is.
pub(super) fn outputs(
    facts: &mut Facts,
    tables: &Path,
    page: Option<(PathBuf, String)>,
) -> Result<(), Failure> {
    facts.add("tables", tables.display());
    if let Some((path, page)) = page {
        artefact::write(&path, page.as_bytes())?;
        facts.add("report", path.display());
    }
    Ok(())
}
