//! Holds the layers of `ARCHITECTURE.md`: a crate imports only crates of lower layers, and crates
//! of one layer never import each other.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::{collections::BTreeMap, path::Path};

/// The layers, lowest first. A new crate must be placed here, and in `ARCHITECTURE.md`.
const LAYERS: &[&[&str]] = &[
    &["ltv-core", "ltv-nn"],
    &["ltv-files"],
    &[
        "ltv-data",
        "ltv-model",
        "ltv-baselines",
        "ltv-eval",
        "ltv-online",
    ],
    &["ltv-train", "ltv-score", "ltv-serve", "ltv-onnx"],
    &["ltv-lab", "ltv-daily"],
    &["ltv"],
    &["ltv-python"],
];

/// The one crate that may talk to a terminal and report errors without types.
const BINARY: &str = "ltv";

/// Crates that only [`BINARY`] may import, and why.
const BINARY_ONLY: &[(&str, &str)] = &[
    (
        "anyhow",
        "a library's errors are enums that say whose fault they are",
    ),
    ("clap", "a library takes configuration, not arguments"),
    (
        "clap_complete",
        "a library takes configuration, not arguments",
    ),
    (
        "indicatif",
        "a library reports progress to a callback, not to a terminal",
    ),
];

/// Crate name to the names of the crates it imports, tests and benches left aside.
type Graph = BTreeMap<String, Vec<String>>;

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Everything in `graph` that breaks a rule, one sentence each.
fn violations(graph: &Graph) -> Vec<String> {
    let mut found = vec![];
    for (name, imports) in graph {
        let Some(own) = layer(name) else {
            found.push(format!(
                "{name} has no layer: place it in LAYERS and ARCHITECTURE.md"
            ));
            continue;
        };
        for import in imports.iter().filter(|i| graph.contains_key(*i)) {
            match layer(import) {
                Some(other) if other == own => {
                    found.push(format!(
                        "{name} imports {import}, which is in the same layer"
                    ));
                }
                Some(other) if other > own => {
                    found.push(format!(
                        "{name} imports {import}, which is in a higher layer"
                    ));
                }
                _ => {}
            }
        }
        for (import, reason) in BINARY_ONLY {
            if name != BINARY && imports.iter().any(|i| i == import) {
                found.push(format!("{name} imports {import}, but {reason}"));
            }
        }
    }
    for name in LAYERS.iter().copied().flatten() {
        if !graph.contains_key(*name) {
            found.push(format!(
                "{name} has a layer but does not exist: take it out of LAYERS"
            ));
        }
    }
    found
}

/// The workspace's graph, from its manifests alone: needs no network and builds nothing.
fn workspace() -> Graph {
    let metadata = MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let graph = metadata.packages.iter().map(|package| {
        let ships = |kind| kind != DependencyKind::Development;
        let imports = package.dependencies.iter().filter(|d| ships(d.kind));
        (
            package.name.to_string(),
            imports.map(|d| d.name.clone()).collect(),
        )
    });
    graph.collect()
}

/// A made-up graph that keeps every rule: each crate imports all crates of the layer below.
fn sound() -> Graph {
    let mut graph = Graph::new();
    for (i, layer) in LAYERS.iter().enumerate() {
        let below = if i == 0 { &[] } else { LAYERS[i - 1] };
        for name in *layer {
            let imports = below.iter().copied().chain(["serde"]);
            graph.insert((*name).to_string(), imports.map(String::from).collect());
        }
    }
    graph
}

/// The violations of the sound graph after one more import.
fn with_import(name: &str, import: &str) -> Vec<String> {
    let mut graph = sound();
    graph
        .entry(name.to_string())
        .or_default()
        .push(import.to_string());
    violations(&graph)
}

#[test]
fn workspace_keeps_its_layers() {
    let found = violations(&workspace());
    assert!(
        found.is_empty(),
        "layering is broken:\n  {}",
        found.join("\n  ")
    );
}

#[test]
fn checker_passes_a_sound_graph() {
    assert_eq!(violations(&sound()), Vec::<String>::new());
    assert!(with_import(BINARY, "anyhow").is_empty());
}

#[test]
fn checker_refuses_every_kind_of_breach() {
    let breaches = [
        ("ltv-core", "ltv-nn", "same layer"),
        ("ltv-data", "ltv-model", "same layer"),
        ("ltv-nn", "ltv-model", "higher layer"),
        ("ltv-score", "ltv", "higher layer"),
        ("ltv-eval", "anyhow", "errors are enums"),
        ("ltv-train", "clap", "not arguments"),
        ("ltv-new", "ltv-core", "has no layer"),
    ];
    for (name, import, expected) in breaches {
        let found = with_import(name, import);
        assert_eq!(found.len(), 1, "{name} -> {import}: {found:?}");
        assert!(
            found[0].contains(name) && found[0].contains(expected),
            "{found:?}"
        );
    }
    let mut gone = sound();
    gone.remove("ltv-eval");
    assert!(violations(&gone)[0].contains("does not exist"));
}

#[test]
fn architecture_has_a_section_for_every_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("it exists");
    for name in LAYERS.iter().copied().flatten() {
        // The extension module lies with the Python package.
        let folder = match *name {
            "ltv-python" => "python".to_owned(),
            name => format!("crates/{name}"),
        };
        let link = format!("]({folder}");
        let heading = text
            .lines()
            .any(|l| l.starts_with('#') && l.contains(&link));
        assert!(
            heading,
            "ARCHITECTURE.md has no heading that links to {folder}"
        );
    }
}
