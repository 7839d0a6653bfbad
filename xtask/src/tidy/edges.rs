//! Which crate may use which, and which outside crates have only one home.

use super::House;

/// The one table of edges: a crate, and those of ours it may use.
const EDGES: [(&str, &[&str]); 14] = [
    ("model", &[]),
    ("sys", &[]),
    ("storage", &["sys", "model"]),
    ("runtime", &["sys", "model"]),
    ("network", &["sys", "model"]),
    // `tests` for the registry there, which tests of the client talk to.
    ("images", &["storage", "model", "tests"]),
    ("engine", &["runtime", "network", "images", "storage", "sys", "model"]),
    ("builder", &["engine", "images", "storage", "model"]),
    ("compose", &["builder", "engine", "model"]),
    ("server", &["compose", "builder", "engine", "images", "storage", "model"]),
    ("cli", &["server", "compose", "builder", "engine", "sys", "model"]),
    ("corten", &["cli", "server", "engine", "runtime"]),
    // They see the binary from outside, as a user does.
    ("tests", &[]),
    ("xtask", &[]),
];

/// Crates on the way to a container: no async runtime, in their manifests or in their code.
const SYNCHRONOUS: [&str; 7] = ["model", "sys", "storage", "runtime", "network", "cli", "engine"];

/// Async runtimes and what brings one along.
const ASYNC: [&str; 7] = ["tokio", "async-std", "smol", "futures", "hyper", "axum", "reqwest"];

/// Outside crates that have one home: `clap`'s types and SQL stay behind a door.
const ONE_HOME: [(&str, &str); 2] = [("clap", "cli"), ("rusqlite", "engine")];

/// Every manifest against the tables.
pub fn check(house: &mut House) {
    let manifests: Vec<(String, String, Vec<String>)> = house
        .sources
        .iter()
        .filter(|s| s.path.ends_with("/Cargo.toml"))
        .map(|s| (s.path.clone(), s.home().trim_start_matches("crates/").to_owned(), dependencies(&s.text)))
        .collect();
    for (path, name, dependencies) in manifests {
        let Some((_, allowed)) = EDGES.iter().find(|(n, _)| *n == name) else {
            house.finding(&path, "this crate is not in the table of edges (xtask/src/tidy/edges.rs)");
            continue;
        };
        for dependency in dependencies {
            if let Some(other) = dependency.strip_prefix("corten-")
                && !allowed.contains(&other)
            {
                house.finding(&path, format!("`{name}` may not use `{other}`"));
            }
            if SYNCHRONOUS.contains(&name.as_str()) && ASYNC.contains(&dependency.as_str()) {
                house.finding(&path, format!("`{name}` is on the way to a container: no {dependency} there"));
            }
            if let Some((_, home)) = ONE_HOME.iter().find(|(n, home)| *n == dependency && *home != name) {
                house.finding(&path, format!("{dependency} belongs in `{home}` only"));
            }
        }
    }
    no_async_code(house);
}

fn no_async_code(house: &mut House) {
    let mut found = Vec::new();
    for source in house.rust() {
        let name = source.home().trim_start_matches("crates/");
        if !SYNCHRONOUS.contains(&name) {
            continue;
        }
        for (number, line) in source.code.lines().enumerate() {
            if line.contains("async fn ") || awaits(line) || line.contains("async move") {
                found.push(format!("{}:{}", source.path, number + 1));
            }
        }
    }
    for place in found {
        house.finding(&place, "async code on the way to a container");
    }
}

/// Whether `.await` stands there, and not a longer name.
fn awaits(line: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    line.match_indices(".await").any(|(at, word)| ends(&line[at + word.len()..]))
}

/// The names in every table of dependencies of a manifest, build's and tests' too.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies");
            // `[dependencies.name]`
            if let Some((_, name)) = table.split_once("dependencies.") {
                names.push(name.trim_matches('"').to_owned());
            }
        } else if inside && let Some((name, _)) = line.split_once('=') {
            let name = name.trim();
            names.push(name.split_once('.').map_or(name, |(n, _)| n).trim_matches('"').to_owned());
        }
    }
    names.retain(|n| !n.is_empty() && !n.starts_with('#'));
    names
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;

    #[test]
    fn dependencies_are_read() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nserde.workspace = true\na = \"1\" # why\n# b = 1\n[dev-dependencies]\nc = { path = \"c\" }\n[dependencies.d]\nversion = \"1\"\n";
        assert_eq!(dependencies(manifest), ["serde", "a", "c", "d"]);
    }

    #[test]
    fn a_forbidden_edge_is_found() {
        let check = |path: &str, manifest: &str, expected: usize| {
            assert_eq!(said(&[(path, manifest)], check).len(), expected, "{path} {manifest}");
        };
        check("crates/storage/Cargo.toml", "[dependencies]\ncorten-sys.workspace = true\n", 0);
        check("crates/storage/Cargo.toml", "[dependencies]\ncorten-engine.workspace = true\n", 1);
        check("crates/sys/Cargo.toml", "[dev-dependencies]\ncorten-model.workspace = true\n", 1);
        check("crates/engine/Cargo.toml", "[dependencies]\ntokio = \"1\"\nclap = \"4\"\n", 2);
        check("crates/new/Cargo.toml", "[dependencies]\n", 1);
        let code = |line: &str| said(&[("crates/cli/src/a.rs", line)], super::check).len();
        assert_eq!(code("async fn a() {}"), 1);
        assert_eq!(code("a.await?;"), 1);
        assert_eq!(code("a.await_fds();"), 0);
    }
}
