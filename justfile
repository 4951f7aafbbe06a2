# `just check` is what CI runs. The steps live in .ci/run, so there is one list of them.

# Lists the recipes.
default:
    @just --list

# Everything a change must pass; the same as CI.
check:
    .ci/run

# Formatting, in place.
fmt:
    cargo fmt --all

# Lints, as errors.
lint:
    .ci/run lint

# All tests, or those of one crate: `just test ltv-core`.
test crate="":
    {{ if crate == "" { ".ci/run test" } else { "cargo test --locked -p " + crate } }}

# The documentation of our crates; broken links are errors.
doc:
    .ci/run doc

# Licences, sources and banned crates (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# Known vulnerabilities (needs cargo-deny and the network).
audit:
    cargo deny check advisories

# From nothing to scores on simulated users.
quickstart:
    cargo run --release -- quickstart

# A static binary, and a check that it needs nothing else.
static:
    .ci/static

# The interface of `ltv serve`, asked whatever its document allows (needs Schemathesis).
interface:
    .ci/run interface

# The binary as it is shipped.
dist:
    cargo build --locked --profile dist -p ltv
