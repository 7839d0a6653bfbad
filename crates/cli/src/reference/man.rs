//! Pages for man(1).

use std::fmt::Write as _;

use corten_engine::config::{Config, KEYS};

use super::{CONFIGURATION, Page};
use crate::{global, help};

/// Every file: its name and its text.
pub fn files(pages: &[Page]) -> Vec<(String, String)> {
    let commands = pages.iter().map(|page| (format!("{}.1", dashed(page.name)), command(page)));
    let whole = [("corten.1".to_owned(), program(pages)), ("corten-config.5".to_owned(), configuration())];
    commands.chain(whole).collect()
}

fn dashed(name: &str) -> String {
    format!("corten-{}", name.replace(' ', "-"))
}

/// Text as roff takes it: no letter of it is a command.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let line =
        |line: &str| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn title(name: &str, section: u8) -> String {
    let name = escaped(&name.to_uppercase());
    format!(".TH \"{name}\" \"{section}\" \"\" \"Corten {}\" \"Corten\"\n", env!("CARGO_PKG_VERSION"))
}

fn paragraph(text: &mut String, heading: &str, content: &str) {
    let _ = writeln!(text, ".SH {heading}\n{}", escaped(content));
}

/// A heading with indented paragraphs, each below its term.
fn terms(text: &mut String, heading: &str, terms: impl Iterator<Item = (String, String)>) {
    let _ = writeln!(text, ".SH {}", escaped(heading));
    for (term, about) in terms {
        let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", escaped(&term), escaped(&about));
    }
}

fn command(page: &Page) -> String {
    let name = dashed(page.name);
    let mut text = title(&name, 1);
    let _ = writeln!(text, ".SH NAME\n{} \\- {}", escaped(&name), escaped(&page.about));
    paragraph(&mut text, "SYNOPSIS", &page.usage);
    if !page.more.is_empty() {
        paragraph(&mut text, "DESCRIPTION", &page.more);
    }
    if !page.flags.is_empty() {
        terms(&mut text, "OPTIONS", page.flags.iter().map(|flag| (flag.form.clone(), flag.about.clone())));
    }
    if !page.examples.is_empty() {
        let lines: Vec<String> = page.examples.iter().map(|line| escaped(line)).collect();
        let _ = writeln!(text, ".SH EXAMPLES\n.nf\n{}\n.fi", lines.join("\n"));
    }
    if !page.synonyms.is_empty() {
        let synonyms: Vec<String> = page.synonyms.iter().map(|form| format!("corten {form}")).collect();
        paragraph(&mut text, "SYNONYMS", &synonyms.join(", "));
    }
    if !page.unsupported.is_empty() {
        let flags = format!("Flags of Docker's that are errors: {}", page.unsupported.join(", "));
        paragraph(&mut text, "NOT BUILT YET", &flags);
    }
    text.push_str(".SH SEE ALSO\n\\fBcorten\\fR(1), \\fBcorten\\-config\\fR(5)\n");
    text
}

fn program(pages: &[Page]) -> String {
    let mut text = title("corten", 1);
    text.push_str(".SH NAME\ncorten \\- build, ship and run containers: one binary, no daemon\n");
    paragraph(&mut text, "SYNOPSIS", "corten [OPTIONS] COMMAND");
    terms(&mut text, "OPTIONS", global::forms().map(|(form, about)| (form, about.to_owned())));
    let line = |page: &Page| (page.name.to_owned(), page.about.clone());
    for (title, verbs) in help::groups() {
        let of_group = pages.iter().filter(|page| verbs.iter().any(|verb| verb.name() == page.name));
        terms(&mut text, &title.to_uppercase(), of_group.map(line));
    }
    terms(&mut text, "MANAGEMENT COMMANDS", pages.iter().filter(|page| page.name.contains(' ')).map(line));
    let codes = "That of the container's process; 125 if Corten itself fails, 126 if the command can't be run, 127 if it isn't \
                 there, 128 and its number for a signal.";
    paragraph(&mut text, "EXIT STATUS", codes);
    text.push_str(".SH SEE ALSO\n\\fBcorten\\-config\\fR(5)\n");
    text
}

fn configuration() -> String {
    let mut text = title("corten-config", 5);
    text.push_str(".SH NAME\ncorten\\-config \\- the configuration of Corten\n");
    paragraph(&mut text, "DESCRIPTION", CONFIGURATION);
    let keys = KEYS.iter().map(|key| {
        let default = (key.get)(&Config::default()).toml();
        let (expected, used_by) = (key.shape.expected(), key.used_by);
        let about = format!("{}. Default: {default}. May be: {expected}. Used by: {used_by}.", key.about);
        (key.name.to_owned(), about)
    });
    terms(&mut text, "KEYS", keys);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_command_of_roff() {
        assert_eq!(escaped(".x \\ -y\n'z"), "\\&.x \\e \\-y\n\\&'z");
    }
}
