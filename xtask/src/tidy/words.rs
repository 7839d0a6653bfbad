//! Words that must not be in the code: promises instead of work, sleeps, unsafe, places on somebody's machine.

use super::House;
use super::exceptions::SLEEPS;

/// Code that isn't there yet. Whoever needs it says so with a typed error.
const PROMISES: [&str; 3] = ["todo!", "unimplemented!", "#[ignore"];

/// Directories of the machines that this is written on: nobody else has them.
const PRIVATE_PLACES: [&str; 5] = [
    concat!("/work", "/main"),
    concat!("/work", "/shared"),
    concat!(".", "library"),
    concat!("/", "farm/"),
    concat!("process", "_api"),
];

/// Every line.
pub fn check(house: &mut House) {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut sleeping = Vec::new();
    for source in &house.sources {
        for (number, line) in source.text.lines().enumerate() {
            for place in PRIVATE_PLACES.into_iter().filter(|place| line.contains(place)) {
                found.push((at(&source.path, number), format!("`{place}` is a place on somebody's machine")));
            }
        }
        for (number, line) in source.code.lines().enumerate() {
            for promise in PROMISES.into_iter().filter(|promise| line.contains(promise)) {
                found.push((
                    at(&source.path, number),
                    format!("`{promise}`: build it, or return a typed error"),
                ));
            }
            if has_word(line, "unsafe") && source.home() != "crates/sys" {
                found.push((at(&source.path, number), "`unsafe` belongs in crates/sys".into()));
            }
            if line.contains("sleep(") {
                sleeping.push(source.path.clone());
                if !SLEEPS.iter().any(|(path, _)| *path == source.path) {
                    found
                        .push((at(&source.path, number), "sleeps: wait for an event with a deadline".into()));
                }
            }
        }
    }
    for (path, _) in SLEEPS {
        if !sleeping.iter().any(|p| p == path) {
            found.push((path.into(), "is in tidy/exceptions.rs and never sleeps".into()));
        }
    }
    for (place, what) in found {
        house.finding(&place, what);
    }
}

fn at(path: &str, number: usize) -> String {
    format!("{path}:{}", number + 1)
}

fn has_word(line: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !letter(line[..at].chars().next_back()) && !letter(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;

    fn check(path: &str, text: &str, expected: usize) {
        let found = said(&[(path, text)], |house| {
            super::check(house);
            house.findings.retain(|f| f.starts_with(path));
        });
        assert_eq!(found.len(), expected, "{text}: {found:?}");
    }

    #[test]
    fn words_are_found_in_code_only() {
        check("crates/cli/src/a.rs", "// todo! unsafe sleep(\nlet a = \"unsafe todo!()\";", 0);
        check("crates/cli/src/a.rs", "todo!()", 1);
        check("crates/cli/src/a.rs", "#[ignore]", 1);
        check("crates/cli/src/a.rs", "unsafe { x() }", 1);
        check("crates/cli/src/a.rs", "unsafe_code()", 0);
        check("crates/sys/src/a.rs", "unsafe { x() }", 0);
        check("tests/tests/a.rs", "std::thread::sleep(x)", 1);
        check("docs/a.md", concat!("see /work", "/main/x"), 1);
    }
}
