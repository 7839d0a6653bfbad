//! docs/security.md: every test that a row names exists.

use super::House;

const TABLE: &str = "docs/security.md";

/// Every row of the table: its last column names tests as `` `name` ``.
pub fn check(house: &mut House) {
    let Some(table) = house.source(TABLE) else { return };
    let rows: Vec<(usize, Vec<String>)> = table
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            line.starts_with('|') && !line.starts_with("|--") && !line.starts_with("| attack")
        })
        .map(|(number, line)| (number + 1, tests(line)))
        .collect();
    let code: String = house.rust().map(|s| s.code.as_str()).collect();
    for (number, tests) in rows {
        if tests.is_empty() {
            house.finding(&format!("{TABLE}:{number}"), "this attack has no test");
        }
        for test in tests.iter().filter(|test| !code.contains(&format!("fn {test}("))) {
            house.finding(&format!("{TABLE}:{number}"), format!("there is no test `{test}`"));
        }
    }
}

fn tests(row: &str) -> Vec<String> {
    let last = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    last.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;

    #[test]
    fn a_row_without_its_test_is_found() {
        let table = "| attack | guard | test |\n|---|---|---|\n| a | b | `here` |\n| a | b | `gone`, `here` |\n| a | b | |\n";
        let found = said(&[("docs/security.md", table), ("tests/tests/a.rs", "fn here() {}")], super::check);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
