//! The word that a person probably meant.

/// The most single-letter changes between what was typed and what is suggested.
const MOST_CHANGES: usize = 2;

/// The nearest of `words` to `typed`, if one is near.
pub fn nearest<'a>(typed: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = MOST_CHANGES.min(typed.chars().count() / 2);
    words
        .map(|word| (changes(typed, word), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters have to be inserted, deleted, replaced, or swapped with their neighbour.
fn changes(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![vec![0usize; to.len() + 1]; from.len() + 1];
    for i in 0..=from.len() {
        for j in 0..=to.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let check = |typed: &str, expected: Option<&str>| {
            let words = ["run", "create", "inspect", "images", "rm", "rmi", "ps"];
            assert_eq!(nearest(typed, words.into_iter()), expected, "{typed}");
        };
        check("rnu", Some("run"));
        check("inpsect", Some("inspect"));
        check("image", Some("images"));
        check("creat", Some("create"));
        check("frobnicate", None);
        check("x", None);
        check("", None);
    }
}
