//! Several targets of one command: each is tried, whatever became of the one before it.

use std::io::Write as _;

use crate::caller::Caller;
use crate::error::{Failure, Result};

/// Does `act` to every target. The name of each that went well is printed as it was typed, at once.
pub fn each_named(
    targets: &[String],
    caller: &mut Caller,
    mut act: impl FnMut(&str, &mut Caller) -> Result<()>,
) -> Result<u8> {
    each(targets, caller, |target, caller| {
        act(target, caller)?;
        say(target, caller)
    })
}

/// Prints that a target went well.
pub fn say(target: &str, caller: &mut Caller) -> Result<()> {
    writeln!(caller.out, "{target}")?;
    caller.out.flush()?;
    Ok(())
}

/// Does `act` to every target.
pub fn each(
    targets: &[String],
    caller: &mut Caller,
    mut act: impl FnMut(&str, &mut Caller) -> Result<()>,
) -> Result<u8> {
    let mut failures = Vec::new();
    for target in targets {
        match act(target, caller) {
            Ok(()) => {}
            Err(failure) if failure.is_broken_pipe() => return Err(failure),
            Err(failure) => failures.push(failure),
        }
    }
    all(failures).map(|()| 0)
}

/// No failure, the only one, or all of them.
pub fn all(mut failures: Vec<Failure>) -> Result<()> {
    match failures.len() {
        0 => Ok(()),
        1 => Err(failures.remove(0)),
        _ => Err(Failure::Several(failures)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::global::Globals;

    #[test]
    fn the_others_are_done_after_a_failure() {
        let mut caller = Caller::for_test(Globals::default());
        let targets = ["a", "b", "c", "d"].map(str::to_owned);
        let outcome = each_named(&targets, &mut caller, |target, _| match target {
            "b" | "d" => Err(Failure::NoSuchObject(target.into())),
            _ => Ok(()),
        });
        let failure = outcome.unwrap_err();
        assert_eq!(failure.report(), "error: no such object: b\nerror: no such object: d\n");
        assert_eq!(failure.exit_code(1), 1);
        assert_eq!(caller.shown(), "a\nc\n");
    }
}
