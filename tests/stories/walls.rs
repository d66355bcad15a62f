//! The walls between the parts are those that `gateway/README.md` draws.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

#[test]
fn each_part_names_only_the_parts_that_the_graph_allows() {
    let root = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{root}/gateway/README.md")).unwrap();
    let graph =
        readme.split("```graph\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a graph in the README");
    let drawn: BTreeMap<String, BTreeSet<String>> = graph
        .lines()
        .filter_map(|line| line.split_once("→"))
        .map(|(part, may)| (part.trim().to_string(), may.split_whitespace().map(str::to_string).collect()))
        .collect();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"])
        .current_dir(root)
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let parts: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in packages.iter().filter(|package| package["name"] != "cloister") {
        let name = package["name"].as_str().unwrap();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let named: BTreeSet<String> = dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|dependency| parts.contains(dependency) || *dependency == "pingora")
            .map(str::to_string)
            .collect();
        let allowed = drawn.get(name).unwrap_or_else(|| panic!("`{name}` is missing in the graph"));
        assert_eq!(&named, allowed, "what `{name}` names");
    }
}
