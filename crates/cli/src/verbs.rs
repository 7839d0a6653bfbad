//! The table of commands: one line each. The words that were typed decide which one is built; the others are not.

use clap::{ArgMatches, Args as _, Command, FromArgMatches};

use crate::caller::Caller;
use crate::commands;
use crate::error::{EXIT_FAILED, EXIT_OURS, Result};

/// Under which heading the help lists a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What most people need most of the time.
    Common,
    /// What acts on the objects one by one.
    Object,
    /// Commands of one noun.
    Noun,
}

/// A command.
pub struct Verb {
    /// What it may be typed as; the first is what the help calls it.
    pub forms: &'static [&'static str],
    /// Its heading in the help.
    pub group: Group,
    /// The exit code of its own failures.
    pub failed: u8,
    /// Adds its arguments and its help to a command.
    pub fill: fn(Command) -> Command,
    /// Does it.
    pub run: fn(&mut ArgMatches, &mut Caller) -> Result<u8>,
}

/// The first words of commands that have two.
pub const NOUNS: [(&str, &str); 7] = [
    ("config", "Manage the configuration"),
    ("container", "Manage containers"),
    ("context", "Manage contexts: hosts that commands run on"),
    ("image", "Manage images"),
    ("manifest", "Manage image manifests and manifest lists"),
    ("system", "Manage Corten"),
    ("volume", "Manage volumes"),
];

macro_rules! verb {
    ($group:ident $failed:ident [$($form:literal),+] $($module:ident)::+) => {
        Verb {
            forms: &[$($form),+],
            group: Group::$group,
            failed: $failed,
            fill: |command| commands::$($module)::+::Args::augment_args(command),
            run: |matches, caller| {
                let args = commands::$($module)::+::Args::from_arg_matches_mut(matches)
                    .expect("the same struct defined what was parsed");
                commands::$($module)::+::run(args, caller)
            },
        }
    };
}

/// Every command.
pub const VERBS: &[Verb] = &[
    verb!(Common EXIT_OURS ["run", "container run"] run),
    verb!(Common EXIT_OURS ["exec", "container exec"] exec),
    verb!(Common EXIT_FAILED ["ps", "container ls", "container list", "container ps"] ps),
    verb!(Common EXIT_FAILED ["images", "image ls", "image list"] images),
    verb!(Common EXIT_FAILED ["version"] version),
    verb!(Common EXIT_FAILED ["info", "system info"] info),
    verb!(Object EXIT_FAILED ["attach", "container attach"] attach),
    verb!(Object EXIT_FAILED ["commit", "container commit"] commit),
    verb!(Object EXIT_FAILED ["completion"] completion),
    verb!(Object EXIT_FAILED ["cp", "container cp"] cp),
    verb!(Object EXIT_OURS ["create", "container create"] create),
    verb!(Object EXIT_FAILED ["diff", "container diff"] diff),
    verb!(Object EXIT_FAILED ["events", "system events"] events),
    verb!(Object EXIT_FAILED ["export", "container export"] export),
    verb!(Object EXIT_FAILED ["history", "image history"] history),
    verb!(Object EXIT_FAILED ["import", "image import"] import),
    verb!(Object EXIT_FAILED ["inspect"] inspect),
    verb!(Object EXIT_FAILED ["kill", "container kill"] kill),
    verb!(Object EXIT_FAILED ["load", "image load"] load),
    verb!(Object EXIT_FAILED ["login"] login),
    verb!(Object EXIT_FAILED ["logout"] logout),
    verb!(Object EXIT_FAILED ["logs", "container logs"] logs),
    verb!(Object EXIT_FAILED ["man"] man),
    verb!(Object EXIT_FAILED ["pause", "container pause"] pause),
    verb!(Object EXIT_FAILED ["port", "container port"] port),
    verb!(Object EXIT_FAILED ["pull", "image pull"] pull),
    verb!(Object EXIT_FAILED ["push", "image push"] push),
    verb!(Object EXIT_FAILED ["rename", "container rename"] rename),
    verb!(Object EXIT_FAILED ["restart", "container restart"] restart),
    verb!(Object EXIT_FAILED ["rm", "container rm", "container remove"] rm),
    verb!(Object EXIT_FAILED ["rmi", "image rm", "image remove"] rmi),
    verb!(Object EXIT_FAILED ["save", "image save"] save),
    verb!(Object EXIT_FAILED ["search"] search),
    verb!(Object EXIT_OURS ["start", "container start"] start),
    verb!(Object EXIT_FAILED ["stats", "container stats"] stats),
    verb!(Object EXIT_FAILED ["stop", "container stop"] stop),
    verb!(Object EXIT_FAILED ["tag", "image tag"] tag),
    verb!(Object EXIT_FAILED ["top", "container top"] top),
    verb!(Object EXIT_FAILED ["unpause", "container unpause"] unpause),
    verb!(Object EXIT_FAILED ["update", "container update"] update),
    verb!(Object EXIT_FAILED ["wait", "container wait"] wait),
    verb!(Noun EXIT_FAILED ["config check"] config::check),
    verb!(Noun EXIT_FAILED ["config explain"] config::explain),
    verb!(Noun EXIT_FAILED ["config get"] config::get),
    verb!(Noun EXIT_FAILED ["config import"] config::import),
    verb!(Noun EXIT_FAILED ["config set"] config::set),
    verb!(Noun EXIT_FAILED ["config show", "config ls", "config list"] config::show),
    verb!(Noun EXIT_FAILED ["config unset"] config::unset),
    verb!(Noun EXIT_FAILED ["container inspect"] container::inspect),
    verb!(Noun EXIT_FAILED ["container prune"] container::prune),
    verb!(Noun EXIT_FAILED ["context create"] context::create),
    verb!(Noun EXIT_FAILED ["context export"] context::export),
    verb!(Noun EXIT_FAILED ["context import"] context::import),
    verb!(Noun EXIT_FAILED ["context inspect"] context::inspect),
    verb!(Noun EXIT_FAILED ["context ls", "context list"] context::ls),
    verb!(Noun EXIT_FAILED ["context rm", "context remove"] context::rm),
    verb!(Noun EXIT_FAILED ["context show"] context::show),
    verb!(Noun EXIT_FAILED ["context update"] context::update),
    verb!(Noun EXIT_FAILED ["context use"] context::r#use),
    verb!(Noun EXIT_FAILED ["image inspect"] image::inspect),
    verb!(Noun EXIT_FAILED ["image prune"] image::prune),
    verb!(Noun EXIT_FAILED ["manifest annotate"] manifest::annotate),
    verb!(Noun EXIT_FAILED ["manifest create"] manifest::create),
    verb!(Noun EXIT_FAILED ["manifest inspect"] manifest::inspect),
    verb!(Noun EXIT_FAILED ["manifest push"] manifest::push),
    verb!(Noun EXIT_FAILED ["manifest rm"] manifest::rm),
    verb!(Noun EXIT_FAILED ["system check"] system::check),
    verb!(Noun EXIT_FAILED ["system df"] system::df),
    verb!(Noun EXIT_FAILED ["system prune"] system::prune),
    verb!(Noun EXIT_FAILED ["system setup"] system::setup),
    verb!(Noun EXIT_FAILED ["volume create"] volume::create),
    verb!(Noun EXIT_FAILED ["volume inspect"] volume::inspect),
    verb!(Noun EXIT_FAILED ["volume ls", "volume list"] volume::ls),
    verb!(Noun EXIT_FAILED ["volume prune"] volume::prune),
    verb!(Noun EXIT_FAILED ["volume rm", "volume remove"] volume::rm),
];

impl Verb {
    /// What the help and the errors call it.
    pub fn name(&self) -> &'static str {
        self.forms[0]
    }
}

/// The command that is typed as `form`.
pub fn find(form: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.forms.contains(&form))
}

/// Whether `word` is the first of two.
pub fn is_noun(word: &str) -> bool {
    NOUNS.iter().any(|(noun, _)| *noun == word)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{parse, unsupported};

    /// Every flag of every command here, from Docker's pages: `verb --long [-s]`.
    const DOCKERS: &str = include_str!("verbs/docker-flags.txt");

    /// Every command of Docker's pages with its aliases, a line each.
    const DOCKERS_COMMANDS: &str = include_str!("verbs/docker-commands.txt");

    #[test]
    fn every_command_of_docker_works_in_every_form_or_is_an_error() {
        for line in DOCKERS_COMMANDS.lines() {
            let forms: Vec<&str> = line.split(", ").collect();
            let verbs: Vec<Option<&str>> = forms.iter().map(|form| find(form).map(Verb::name)).collect();
            let first = verbs[0];
            assert!(verbs.iter().all(|verb| *verb == first), "{line}: {verbs:?}");
            for form in forms {
                let noun = form.split(' ').next().unwrap_or(form);
                let why = unsupported::find_verb(form).or(unsupported::find_verb(noun));
                assert!(first.is_some() || why.is_some(), "{form} is neither supported nor refused");
            }
        }
    }

    #[test]
    fn every_form_is_typed_once() {
        let mut seen = BTreeSet::new();
        for form in VERBS.iter().flat_map(|verb| verb.forms) {
            assert!(seen.insert(form), "{form}");
            if let Some((noun, _)) = form.split_once(' ') {
                assert!(is_noun(noun), "{noun}");
            }
        }
    }

    #[test]
    fn every_command_and_every_flag_has_a_help_text() {
        for verb in VERBS {
            let mut command = parse::command(verb.name(), verb.fill);
            assert!(command.get_about().is_some(), "{}", verb.name());
            for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
                assert!(arg.get_help().is_some(), "{} --{:?}", verb.name(), arg.get_long());
            }
            command.build();
            let help = command.render_long_help().to_string();
            assert!(help.contains(&format!("Usage: corten {}", verb.name())), "{help}");
            command.debug_assert();
        }
    }

    #[test]
    fn every_flag_of_docker_works_or_is_an_error() {
        let mut docker: BTreeMap<&str, BTreeSet<(&str, Option<char>)>> = BTreeMap::new();
        for line in DOCKERS.lines() {
            let (verb, flag) = line.split_once(" --").expect("`verb --long [-s]`");
            let (long, short) = flag.split_once(" -").map_or((flag, None), |(l, s)| (l, s.chars().next()));
            docker.entry(verb).or_default().insert((long, short));
        }
        for (name, flags) in docker {
            let verb = find(name).unwrap_or_else(|| panic!("no command `{name}`"));
            let command = parse::command(verb.name(), verb.fill);
            for (long, short) in flags {
                let works = command.get_arguments().find(|arg| {
                    arg.get_long() == Some(long) || arg.get_all_aliases().unwrap_or_default().contains(&long)
                });
                let refused = unsupported::find(verb.name(), &format!("--{long}"));
                match (works, refused) {
                    (Some(arg), None) => {
                        let shorts = arg.get_short_and_visible_aliases().unwrap_or_default();
                        assert!(short.is_none_or(|s| shorts.contains(&s)), "{name} --{long}: -{short:?}");
                    }
                    (None, Some(flag)) => assert_eq!(flag.short, short, "{name} --{long}"),
                    (None, None) => panic!("{name} --{long} is neither supported nor refused"),
                    (Some(_), Some(_)) => panic!("{name} --{long} is both supported and refused"),
                }
            }
        }
    }
}
