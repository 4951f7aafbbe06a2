//! Writes a report page of made-up data, to look at: `cargo run -p ltv-eval --example report_demo`.
//!
//! The page lands in `target/report/demo.html`, or where the first argument says.

#[path = "../tests/made_up/mod.rs"]
mod made_up;

use std::{error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.unwrap_or_else(|| "target/report/demo.html".into());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, ltv_eval::page::page(&made_up::demo()))?;
    Ok(())
}
