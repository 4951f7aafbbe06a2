//! What the program says of itself.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use insta::assert_snapshot;
use support::Workspace;

#[test]
fn help_of_every_command() {
    let at = Workspace::new();
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    let _guard = settings.bind_to_scope();
    assert_snapshot!("help", at.ok("--help"));
    for command in [
        "quickstart",
        "simulate",
        "features",
        "train",
        "evaluate",
        "compare",
        "backtest",
        "roi",
        "score",
        "diff",
        "prune",
        "publish",
        "get",
        "forget",
        "serve",
        "conversions",
        "daily",
        "models",
        "export",
        "inspect",
        "bench",
        "completions",
    ] {
        assert_snapshot!(
            format!("help_{command}"),
            at.ok(&format!("{command} --help"))
        );
    }
}

#[test]
fn every_command_has_its_help_in_a_snapshot() {
    let at = Workspace::new();
    let help = at.ok("--help");
    let listed = help.split("Commands:").nth(1).unwrap();
    let commands: Vec<_> = listed
        .lines()
        .skip(1)
        .take_while(|l| l.starts_with("  "))
        .filter(|l| !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|c| *c != "help")
        .collect();
    assert!(commands.len() >= 9, "{commands:?}");
    for command in commands {
        let file = format!("tests/snapshots/cli__help_{command}.snap");
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert!(file.exists(), "no snapshot of the help of {command}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = Workspace::new().ok("--version");
    assert_eq!(version.trim(), concat!("ltv ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_name_every_command() {
    let at = Workspace::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = at.ok(&format!("completions {shell}"));
        assert!(
            script.contains("quickstart") && script.contains("past-horizon"),
            "{shell}"
        );
    }
}

#[test]
fn the_feature_query_can_be_read() {
    let at = Workspace::new();
    let sql = at.ok("features --preset simulator --as-of 2024-01-01 --print-sql");
    assert_snapshot!(sql);
}

/// The query shown is the one that runs: it reads the user table whenever a column of it is asked
/// for.
#[test]
fn the_feature_query_reads_users_when_the_command_does() {
    let at = Workspace::new();
    let base = "features --label active_days --as-of 2024-01-01 --print-sql";
    for (rest, users) in [
        ("", false),
        ("--profile channel", true),
        ("--keep cost", true),
        ("--registration registered", true),
        ("--users users.parquet", true),
    ] {
        let sql = at.ok(&format!("{base} {rest}"));
        assert_eq!(sql.contains("JOIN users"), users, "{rest}: {sql}");
    }
}

#[test]
fn no_arguments_show_the_help() {
    let output = Workspace::new().run("");
    assert_eq!(output.status.code(), Some(2));
    assert!(support::text(&output.stderr).contains("Usage: ltv <COMMAND>"));
}
