//! Pages about every command and every key, made of the definitions that parse them: nothing is written twice.
//!
//! ```text
//! verbs.rs, keys of the configuration ─▶ Page ─┬▶ man.rs       corten-run.1, corten-config.5
//!                                              └▶ markdown.rs  docs/reference/run.md
//! ```

use clap::ArgAction;

use crate::verbs::{VERBS, Verb};
use crate::{help, parse, unsupported};

pub mod man;
pub mod markdown;

/// Where the configuration is, for both forms.
const CONFIGURATION: &str = "The configuration is /etc/corten/config.toml as root and ~/.config/corten/config.toml otherwise; then the files of \
config.d beside it, in the order of their names. The last value counts. --config or CORTEN_CONFIG name another file, or a directory. \
Every command reads them anew.";

/// A page about one command.
pub struct Page {
    /// `volume create`.
    pub name: &'static str,
    /// What else it may be typed as.
    pub synonyms: Vec<&'static str>,
    /// `corten volume create [OPTIONS] [VOLUME]`.
    pub usage: String,
    /// One line.
    pub about: String,
    /// Further paragraphs.
    pub more: String,
    /// Its flags.
    pub flags: Vec<Flag>,
    /// Lines that show it.
    pub examples: Vec<String>,
    /// Docker's flags that are errors here.
    pub unsupported: Vec<String>,
}

/// A flag of a command.
pub struct Flag {
    /// `-e, --env KEY[=VALUE]`.
    pub form: String,
    /// What it does, and its default.
    pub about: String,
}

/// Every page, by name.
pub fn pages() -> Vec<Page> {
    let mut pages: Vec<Page> = VERBS.iter().map(page).collect();
    pages.sort_by_key(|page| page.name);
    pages
}

fn page(verb: &Verb) -> Page {
    let mut command = parse::command(verb.name(), verb.fill);
    let usage = command.render_usage().to_string();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let more = long.strip_prefix(&about).unwrap_or_default().trim().to_owned();
    let flags = command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set()).map(flag);
    let refused = unsupported::COMMANDS.iter().find(|(name, _)| *name == verb.name());
    Page {
        name: verb.name(),
        synonyms: verb.forms[1..].to_vec(),
        usage: usage.trim_start_matches("Usage:").trim().to_owned(),
        about,
        more,
        flags: flags.collect(),
        examples: help::examples(verb.name()).collect(),
        unsupported: refused.iter().flat_map(|(_, flags)| *flags).map(ToString::to_string).collect(),
    }
}

fn flag(arg: &clap::Arg) -> Flag {
    let mut form = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    form.push_str(&format!("--{}", arg.get_long().unwrap_or_default()));
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if takes_value {
        let names: Vec<String> =
            arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
        let name = if names.is_empty() { arg.get_id().as_str().to_uppercase() } else { names.join(" ") };
        form.push_str(&if arg.is_require_equals_set() { format!("[={name}]") } else { format!(" {name}") });
    }
    let mut about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if matches!(arg.get_action(), ArgAction::Append) {
        about.push_str(" (may be repeated)");
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && defaults.iter().any(|value| !value.is_empty()) {
        about.push_str(&format!(" [default: {}]", defaults.join(" ")));
    }
    Flag { form, about }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_the_definition_says() {
        let page = pages().into_iter().find(|page| page.name == "run").unwrap();
        assert_eq!(page.usage, "corten run [OPTIONS] IMAGE [COMMAND] [ARG...]");
        assert_eq!(page.synonyms, ["container run"]);
        let flag = |start: &str| page.flags.iter().find(|flag| flag.form.starts_with(start)).unwrap();
        assert_eq!(flag("-e").form, "-e, --env KEY[=VALUE]");
        assert!(flag("-e").about.ends_with(" (may be repeated)"));
        assert_eq!(flag("-t").form, "-t, --tty");
        assert_eq!(flag("-t").about, "Allocate a pseudo-TTY");
    }
}
