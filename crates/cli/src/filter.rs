//! `--filter KEY=VALUE`: what was typed. What the keys mean is in a file for each command that has many.
//!
//! The same key twice is one or the other, different keys are this and that; labels are all wanted, as in Docker.

pub mod images;
pub mod ps;

use std::collections::BTreeMap;

use corten_model::Invalid;
use regex_lite::Regex;

use crate::parse;

/// The filters of one command.
#[derive(Debug, Default)]
pub struct Filters {
    values: BTreeMap<&'static str, Vec<String>>,
}

/// Parses the values of `--filter`; only `known` keys are taken.
pub fn parse(texts: &[String], known: &[&'static str]) -> Result<Filters, Invalid> {
    let mut filters = Filters::default();
    for text in texts {
        let bad = |why: &str| Invalid::new("filter", text.as_str(), why);
        let (key, value) = text.split_once('=').ok_or_else(|| bad("no `=`").hint("write `KEY=VALUE`"))?;
        let key = key.trim().to_lowercase();
        let Some(key) = known.iter().find(|known| **known == key) else {
            let list: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            return Err(bad("there is no such filter here").hint(format!("there are {}", list.join(", "))));
        };
        filters.values.entry(key).or_default().push(value.trim().to_owned());
    }
    Ok(filters)
}

impl Filters {
    /// What was given for a key, nothing if it wasn't named.
    pub fn values(&self, key: &str) -> &[String] {
        self.values.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether a key was named.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// A key that is true or false; both is an error.
    pub fn flag(&self, key: &'static str) -> Result<Option<bool>, Invalid> {
        let mut flag = None;
        for value in self.values(key) {
            let given = parse::boolean(value)?;
            if flag.replace(given).is_some_and(|before| before != given) {
                return Err(Invalid::new("filter", format!("{key}={value}"), "it is both true and false"));
            }
        }
        Ok(flag)
    }

    /// What a key's patterns match: a text that is equal, or in which a regular expression is found.
    pub fn patterns(&self, key: &'static str) -> Result<Patterns, Invalid> {
        let compiled = self.values(key).iter().map(|text| match Regex::new(text) {
            Ok(regex) => Ok((text.clone(), regex)),
            Err(error) => Err(Invalid::new("filter", format!("{key}={text}"), error.to_string())
                .hint("names and ids are regular expressions here")),
        });
        compiled.collect::<Result<_, _>>().map(Patterns)
    }

    /// Whether labels are as `label` and `label!` want them.
    pub fn take_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|label| label == value),
            None => labels.contains_key(wanted),
        };
        self.values("label").iter().all(has) && !self.values("label!").iter().any(has)
    }

    /// Whether one of a key's values is this text, or the key wasn't named.
    pub fn takes(&self, key: &str, text: &str) -> bool {
        !self.has(key) || self.values(key).iter().any(|value| value == text)
    }
}

/// Patterns of one key.
pub struct Patterns(Vec<(String, Regex)>);

impl Patterns {
    /// Whether one of the texts matches one of the patterns, or there is no pattern.
    pub fn take(&self, texts: &[&str]) -> bool {
        let matches = |(exact, regex): &(String, Regex)| {
            texts.iter().any(|text| *text == exact.as_str() || regex.is_match(text))
        };
        self.0.is_empty() || self.0.iter().any(matches)
    }
}

/// Whether a shell pattern matches the whole text: `*` and `?` are no slash, `[a-z]` and `[^a-z]` one of a set.
pub fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut here) = (0, 0);
    // Where the last star stood, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if here < text.len() && at < pattern.len() && pattern[at] == '*' {
            star = Some((at, here));
            at += 1;
            continue;
        }
        if here == text.len() && pattern[at..].iter().all(|letter| *letter == '*') {
            return true;
        }
        match text.get(here).and_then(|letter| one(&pattern[at..], *letter)) {
            Some(length) => {
                at += length;
                here += 1;
            }
            None => match star {
                Some((star_at, taken)) if taken < text.len() && text[taken] != '/' => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    here = taken + 1;
                }
                _ => return false,
            },
        }
    }
}

/// How much of the pattern's start stands for this letter.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match pattern.first()? {
        '?' => (letter != '/').then_some(1),
        '\\' => (*pattern.get(1)? == letter).then_some(2),
        '[' => {
            let end = pattern.iter().skip(2).position(|c| *c == ']')? + 2;
            let negated = matches!(pattern[1], '^');
            let set = &pattern[1 + usize::from(negated)..end];
            let mut found = false;
            let mut index = 0;
            while index < set.len() {
                let range = index + 2 < set.len() && set[index + 1] == '-';
                let last = if range { set[index + 2] } else { set[index] };
                found |= (set[index]..=last).contains(&letter);
                index += if range { 3 } else { 1 };
            }
            (found != negated && letter != '/').then_some(end + 1)
        }
        other => (*other == letter).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["dangling", "label", "label!", "name"];

    fn parsed(texts: &[&str]) -> Result<Filters, Invalid> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        parse(&texts, &KNOWN)
    }

    #[test]
    fn keys_and_values() {
        let filters = parsed(&["name=a", " NAME = b ", "label=x=y=z"]).unwrap();
        assert_eq!(filters.values("name"), ["a", "b"]);
        assert_eq!(filters.values("label"), ["x=y=z"]);
        assert!(filters.has("name") && !filters.has("dangling"));
        assert!(filters.takes("name", "b") && !filters.takes("name", "c") && filters.takes("status", "x"));
        let unknown = parsed(&["color=red"]).unwrap_err();
        assert_eq!(unknown.hint.as_deref(), Some("there are `dangling`, `label`, `label!`, `name`"));
        assert!(parsed(&["name"]).unwrap_err().to_string().contains("no `=`"));
    }

    #[test]
    fn labels_are_all_wanted() {
        let labels = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())].into();
        let check = |texts: &[&str], expected: bool| {
            assert_eq!(parsed(texts).unwrap().take_labels(&labels), expected, "{texts:?}");
        };
        check(&[], true);
        check(&["label=a"], true);
        check(&["label=a=1"], true);
        check(&["label=a=2"], false);
        check(&["label=b="], true);
        check(&["label=a", "label=b"], true);
        check(&["label=a", "label=c"], false);
        check(&["label!=c"], true);
        check(&["label!=a"], false);
        check(&["label!=a=2"], true);
        check(&["label=a", "label!=b"], false);
    }

    #[test]
    fn flags_and_patterns() {
        let flag = |texts: &[&str]| parsed(texts).unwrap().flag("dangling").ok();
        assert_eq!(flag(&[]), Some(None));
        assert_eq!(flag(&["dangling=1"]), Some(Some(true)));
        assert_eq!(flag(&["dangling=f"]), Some(Some(false)));
        assert_eq!(flag(&["dangling=maybe"]), None);
        assert_eq!(flag(&["dangling=1", "dangling=0"]), None);
        let check = |texts: &[&str], name: &str, expected: bool| {
            let patterns = parsed(texts).unwrap().patterns("name").unwrap();
            assert_eq!(patterns.take(&[name, &format!("/{name}")]), expected, "{texts:?} {name}");
        };
        check(&[], "web", true);
        check(&["name=we"], "web-1", true);
        check(&["name=^web$"], "web", true);
        check(&["name=^/web$"], "web", true);
        check(&["name=^web$"], "web-1", false);
        check(&["name=w.b"], "web", true);
        check(&["name=x", "name=b$"], "web", true);
        assert!(parsed(&["name=*x"]).unwrap().patterns("name").is_err());
    }

    #[test]
    fn shell_patterns() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        };
        check("busybox", "busybox", true);
        check("busy*", "busybox", true);
        check("*box", "busybox", true);
        check("b*y*x", "busybox", true);
        check("b?sybox", "busybox", true);
        check("*", "a/b", false);
        check("*/*", "a/b", true);
        check("*", "", true);
        check("", "", true);
        check("", "a", false);
        check("a*", "b", false);
        check("[a-c]x", "bx", true);
        check("[^a-c]x", "bx", false);
        check("[abc", "a", false);
        check("\\*", "*", true);
        check("\\*", "x", false);
        check("*:*test*", "busy:my-test-1", true);
        check("busybox:*", "busybox", false);
        check(&"*a".repeat(50), &"a".repeat(200), true);
        check(&format!("{}b", "*a".repeat(50)), &"a".repeat(2000), false);
    }
}
