//! What runs inside the container of the built-in image: it tells a person where it is.
//!
//! It reads /proc and asks the kernel about itself, writes to standard output, and touches nothing else. What can't
//! be learned (no /proc, an old kernel) is left out.

mod facts;

use std::fmt::Write as _;
use std::io::Write as _;

use facts::Facts;

/// Letters of the first column.
const LABEL_WIDTH: usize = 16;
/// Letters of a line; what is longer goes on below.
const LINE_WIDTH: usize = 96;
/// Exit code if nobody can be told.
const EXIT_UNHEARD: u8 = 1;

/// Prints what the container looks like from inside, and gives the exit code.
pub fn hello() -> u8 {
    let text = text(&Facts::gather(|path| std::fs::read_to_string(path).ok()));
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(_) => EXIT_UNHEARD,
    }
}

/// The page.
fn text(facts: &Facts) -> String {
    let mut out = String::from("Hello from a Corten container!\n\n");
    for (label, value) in facts.lines() {
        for (index, line) in wrapped(&value, LINE_WIDTH - LABEL_WIDTH).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            let _ = writeln!(out, "  {label:LABEL_WIDTH$}{line}");
        }
    }
    out.push_str("\nTry more: corten run -it IMAGE sh (corten import FILE makes an image of any tar)\n");
    out
}

/// Breaks between words, so that no line is longer than `width` letters if its words allow it.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one from the start");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        let check = |text: &str, expected: &[&str]| assert_eq!(wrapped(text, 8), expected, "{text}");
        check("", &[""]);
        check("one two", &["one two"]);
        check("one two three", &["one two", "three"]);
        check("overlong-word x", &["overlong-word", "x"]);
    }

    #[test]
    fn it_says_hello_without_proc() {
        let text = text(&Facts::gather(|_| None));
        assert!(text.starts_with("Hello from a Corten container!\n\n  pid             "), "{text}");
        assert!(!text.contains("capabilities"), "{text}");
    }

    #[test]
    fn it_says_hello_here() {
        let text = text(&Facts::gather(|path| std::fs::read_to_string(path).ok()));
        for label in [
            "pid",
            "user",
            "uid map",
            "hostname",
            "namespaces",
            "capabilities",
            "seccomp",
            "limits",
            "mounts",
        ] {
            assert!(text.contains(&format!("\n  {label:LABEL_WIDTH$}")), "{label}: {text}");
        }
    }
}
