//! Files: how they begin, how long they are, what they are called.

use super::House;
use super::exceptions::LONG_FILES;

/// Lines above which a file is split, or listed with a reason.
const LINES: usize = 600;
/// Lines no file has, listed or not.
const LINES_HARD: usize = 1000;
/// The binary picks a personality and does nothing else.
const BINARY_LINES: usize = 150;
/// Rooms without a subject: everything ends up in them.
const ROOMS: [&str; 6] = ["util", "common", "helper", "misc", "manager", "core"];

/// Every file.
pub fn check(house: &mut House) {
    let mut found: Vec<(String, String)> = Vec::new();
    for source in &house.sources {
        let lines = source.text.lines().count();
        let listed = LONG_FILES.iter().find(|(path, _, _)| *path == source.path);
        match listed {
            _ if !source.is_rust() => {}
            _ if lines > LINES_HARD => {
                found.push((source.path.clone(), format!("{lines} lines; {LINES_HARD} is the most")))
            }
            None if lines > LINES => {
                found.push((source.path.clone(), format!("{lines} lines; split it: {LINES} is a lot")))
            }
            Some((_, most, _)) if lines > *most => {
                found.push((source.path.clone(), format!("{lines} lines; it was let grow to {most} only")));
            }
            Some(_) if lines <= LINES => {
                found.push((source.path.clone(), "its exception in tidy/exceptions.rs is not needed".into()));
            }
            _ => {}
        }
        if source.is_rust() && !source.text.starts_with("//!") {
            found.push((source.path.clone(), "starts without `//!`: what does it own?".into()));
        }
        for name in bad_names(&source.path) {
            found.push((source.path.clone(), name));
        }
    }
    let binary: usize =
        house.rust().filter(|s| s.home() == "crates/corten").map(|s| s.text.lines().count()).sum();
    if binary > BINARY_LINES {
        found.push((
            "crates/corten".into(),
            format!("{binary} lines; it picks the personality, nothing else"),
        ));
    }
    for (path, _, _) in LONG_FILES {
        if house.source(path).is_none() && !house.sources.is_empty() {
            found.push((path.to_string(), "is in tidy/exceptions.rs and not there".into()));
        }
    }
    for (path, what) in found {
        house.finding(&path, what);
    }
}

fn bad_names(path: &str) -> Vec<String> {
    let mut bad = Vec::new();
    if !path.ends_with(".rs") {
        return bad;
    }
    for part in path.split('/') {
        let name = part.trim_end_matches(".rs");
        let singular = name.strip_suffix('s').unwrap_or(name);
        if ROOMS.contains(&name) || ROOMS.contains(&singular) {
            bad.push(format!("`{name}` names no subject"));
        }
        if part == "mod.rs" {
            bad.push("`name.rs` beside `name/`, not `name/mod.rs`".into());
        }
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let found = said(&[(path, text)], |house| {
            super::check(house);
            house.findings.retain(|f| f.starts_with(path) || f.starts_with("crates/corten:"));
        });
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (finding, word) in found.iter().zip(expected) {
            assert!(finding.contains(word), "{finding} lacks {word}");
        }
    }

    #[test]
    fn files_have_a_subject_and_an_end() {
        check("crates/sys/src/a.rs", "//! a\n", &[]);
        check("crates/sys/src/a.rs", "fn a() {}\n", &["//!"]);
        check("crates/sys/src/a.rs", &format!("//! a\n{}", "\n".repeat(600)), &["split it"]);
        check("crates/sys/src/a.rs", &format!("//! a\n{}", "\n".repeat(1000)), &["is the most"]);
        check("crates/sys/src/utils.rs", "//! a\n", &["subject"]);
        check("crates/sys/src/helper/a.rs", "//! a\n", &["subject"]);
        check("crates/sys/src/a/mod.rs", "//! a\n", &["mod.rs"]);
        check("crates/corten/src/main.rs", &format!("//! a\n{}", "\n".repeat(150)), &["personality"]);
    }
}
