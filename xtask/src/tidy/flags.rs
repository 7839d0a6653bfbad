//! No flag is parsed and ignored: for each of Docker's that works, a black-box test types it together with its command.
//!
//! The flags are the lines of docker-flags.txt, less those that unsupported.rs refuses. A test drives one when its
//! function has the command's words and the flag as literals; what is typed for `run` is typed for `create` too, because
//! both have the same definition.

use std::collections::{BTreeMap, BTreeSet};

use super::House;

const FLAGS: &str = "crates/cli/src/verbs/docker-flags.txt";
const REFUSED: &str = "crates/cli/src/unsupported.rs";
const VERBS: &str = "crates/cli/src/verbs.rs";
/// What the harness makes of `run`.
const RUNS: [&str; 4] = [".shell(", ".shell_with(", ".start(", ".start_with("];

/// Every flag against every test.
pub fn check(house: &mut House) {
    let text = |path: &str| house.source(path).map(|source| source.text.clone()).unwrap_or_default();
    let (flags, refused, forms) = (text(FLAGS), refused(&text(REFUSED)), forms(&text(VERBS)));
    let tests: Vec<String> = house
        .rust()
        .filter(|source| source.path.starts_with("tests/tests/"))
        .flat_map(|source| functions(&source.text))
        .collect();
    let mut missing = Vec::new();
    for line in flags.lines() {
        let Some((verb, flag)) = line.split_once(" --") else { continue };
        let (long, short) = flag.split_once(" -").map_or((flag, None), |(long, short)| (long, Some(short)));
        let table = if verb == "create" { "run" } else { verb };
        if long == "help" || refused.get(table).is_some_and(|names| names.contains(long)) {
            continue;
        }
        let literals = [format!("\"--{long}\""), format!("\"--{long}="), format!("\"--{long} ")];
        let short = short.map(|short| format!("\"-{short}\""));
        let types =
            |test: &String| literals.iter().chain(&short).any(|literal| test.contains(literal.as_str()));
        if !tests.iter().any(|test| drives(test, verb, &forms) && types(test)) {
            missing.push(line.to_owned());
        }
    }
    for line in missing {
        house.finding(FLAGS, format!("no black-box test types `{line}`"));
    }
}

/// Whether a test runs this command, in any of its forms.
fn drives(test: &str, verb: &str, forms: &BTreeMap<String, Vec<String>>) -> bool {
    let is_run = matches!(verb, "run" | "create");
    let verbs = if is_run { vec!["run", "create"] } else { vec![verb] };
    let forms = verbs.iter().flat_map(|verb| forms.get(*verb)).flatten();
    let words =
        |form: &String| form.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    is_run && RUNS.iter().any(|call| test.contains(call)) || forms.map(words).any(|form| test.contains(&form))
}

/// The functions of a file, each as one line.
fn functions(text: &str) -> Vec<String> {
    let mut functions = vec![String::new()];
    for line in text.lines() {
        if line.starts_with("fn ") || line.starts_with("#[test]") {
            functions.push(String::new());
        }
        let last = functions.last_mut().expect("one was there from the beginning");
        last.push_str(line.trim());
        last.push(' ');
    }
    functions
}

/// Literals of a piece of Rust.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// The forms of each command, by the first of them.
fn forms(verbs: &str) -> BTreeMap<String, Vec<String>> {
    let mut forms = BTreeMap::new();
    for line in verbs.lines().filter(|line| line.trim_start().starts_with("verb!(")) {
        let all: Vec<String> = literals(line).map(str::to_owned).collect();
        if let Some(first) = all.first() {
            forms.insert(first.clone(), all);
        }
    }
    forms
}

/// The names of the flags that each command refuses; `run` stands for what it and `create` have in common.
fn refused(table: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut refused: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut command = String::new();
    for line in table.lines().map(str::trim) {
        if line.starts_with("const CONTAINER") {
            command = "run".into();
        }
        let mut words = literals(line);
        let is_flag = |at: &str| line.starts_with(at);
        if line.starts_with("(\"") || line.starts_with('"') {
            command = words.next().unwrap_or_default().to_owned();
        } else if !is_flag("long(") && !is_flag("both(") {
            continue;
        }
        // A flag's name comes right after `long(` or the letter of `both(`.
        let names = line.match_indices("long(\"").map(|(at, found)| at + found.len());
        let both = line.match_indices("both('").map(|(at, found)| at + found.len() + "x', \"".len());
        let name = |at: usize| line.get(at..).and_then(|rest| rest.split('"').next());
        refused
            .entry(command.clone())
            .or_default()
            .extend(names.chain(both).filter_map(name).map(str::to_owned));
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;

    #[test]
    fn a_flag_that_no_test_types_is_found() {
        let table = "const CONTAINER: &[X] = &[\n    both('p', \"publish\", NO),\n];\n\
            pub const COMMANDS: &[X] = &[\n    (\"rm\", &[both('l', \"link\", NO), long(\"x\", NO)]),\n\
            (\n        \"ps\",\n        &[\n            long(\"cluster\", NO),\n        ],\n    ),\n];\n";
        let verbs = "    verb!(A B [\"rm\", \"container rm\"] rm),\n    verb!(A B [\"run\"] run),\n\
            verb!(A B [\"ps\"] ps),\n    verb!(A B [\"create\"] create),\n";
        let flags = "create --tty -t\nps --cluster\nrm --force -f\nrm --link -l\nrm --volumes -v\nrun --help\n\
            run --init\nrun --publish -p\nrun --tty -t\n";
        let tests = "#[test]\nfn a() {\n    host.run([\n        \"container\",\n        \"rm\", \"-f\"]);\n}\n\
            #[test]\nfn b() {\n    host.shell_with(&[\"--tty\"], \"x\");\n}\n#[test]\nfn c() { (\"--init\", \"-v\"); }\n";
        let files = [
            (super::REFUSED, table),
            (super::VERBS, verbs),
            (super::FLAGS, flags),
            ("tests/tests/a.rs", tests),
        ];
        let found = said(&files, super::check);
        let names: Vec<&str> = found.iter().filter_map(|line| line.split('`').nth(1)).collect();
        assert_eq!(names, ["rm --volumes -v", "run --init"], "{found:?}");
    }
}
