//! `corten run`: make a container, start it, and stay with it until it ends.

use std::io::Write as _;

use corten_engine::container::{self, CreateRequest};
use corten_model::Reference;
use corten_model::detach_keys::{self, Keys};

use crate::caller::Caller;
use crate::cidfile::CidFile;
use crate::container_flags::{Around, ContainerFlags};
use crate::error::{Failure, Result};
use crate::foreground::{Foreground, Left, Wish};
use crate::timings::Moment;

/// When the command was typed, in nanoseconds of CLOCK_MONOTONIC: the built-in image tells how long it took.
pub const TYPED_AT_VARIABLE: &str = "CORTEN_TYPED_AT_NS";

/// Create and run a new container from an image
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten run [OPTIONS] IMAGE [COMMAND] [ARG...]")]
pub struct Args {
    /// Run container in background and print container ID
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS", value_parser = detach_keys::parse)]
    detach_keys: Option<Keys>,
    /// Proxy received signals to the process (without a TTY only)
    #[arg(long, value_name = "BOOLEAN", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", value_parser = crate::parse::boolean)]
    sig_proxy: bool,
    #[command(flatten)]
    container: ContainerFlags,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let (tty, interactive) = (args.container.tty(), args.container.interactive());
    let cidfile = args.container.cidfile()?;
    let pulling = args.container.pulling();
    let mut request = args.container.request(&Around::OURS)?;
    request.id_file = cidfile.as_ref().map(CidFile::target);
    if args.detach && !request.config.more.attach_only.is_empty() {
        return Err(Failure::Conflict("cannot specify both --attach and --detach"));
    }
    request.config.attach = !args.detach;
    let [stdin, stdout, stderr] = request.config.attached();
    tell_when_typed(&mut request, caller.timings.typed_at);
    let wish = Wish { stdout, stderr, ..Wish::of_container(tty, stdin && interactive, args.sig_proxy) };
    let keys = if wish.has_streams() { caller.detach_keys(args.detach_keys)? } else { Vec::new() };
    pulling.around(&request.image, caller, &mut |caller| {
        if !wish.has_streams() {
            detached(request.clone(), caller)
        } else {
            attached(request.clone(), wish, keys.clone(), caller)
        }
    })
}

fn attached(request: CreateRequest, wish: Wish, keys: Vec<u8>, caller: &mut Caller) -> Result<u8> {
    let foreground = Foreground::prepare(wish, keys)?;
    let mut engine = caller.engine()?;
    let outcome = container::run(&mut engine, request, Some(foreground.attach_options()));
    caller.timed(&mut engine);
    let started = outcome?;
    caller.warn(&started.warnings)?;
    if !wish.has_output() {
        // Who only gives input gets the id, and is free when the input is at its end.
        writeln!(caller.out, "{}", started.id)?;
        caller.out.flush()?;
    }
    let mut session = started.session.expect("streams were asked for");
    match foreground.pump(&mut session, started.id.short())? {
        Left::Exited(exit) => {
            caller.timings.mark("exited");
            container::finish(&mut engine, &started.id, session)?;
            caller.timings.mark("finished");
            caller.timed(&mut engine);
            engine.end_with_process();
            Ok(exit.code)
        }
        Left::Detached(signal) => Ok(Left::detached_code(signal)),
    }
}

fn detached(request: CreateRequest, caller: &mut Caller) -> Result<u8> {
    let mut engine = caller.engine()?;
    let outcome = container::run(&mut engine, request, None);
    caller.timed(&mut engine);
    let started = outcome?;
    caller.warn(&started.warnings)?;
    writeln!(caller.out, "{}", started.id)?;
    engine.end_with_process();
    Ok(0)
}

/// Only the image that this binary brings along is told: it shows the time to whoever tries it.
fn tell_when_typed(request: &mut CreateRequest, typed_at: Moment) {
    if request.image.parse::<Reference>().is_ok_and(|reference| reference.is_built_in()) {
        request.config.env.push(format!("{TYPED_AT_VARIABLE}={}", typed_at.monotonic_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corten_model::container::ContainerConfig;

    #[test]
    fn only_the_built_in_image_is_told_when() {
        let check = |image: &str, expected: &[&str]| {
            let mut request = CreateRequest::new(image.into(), ContainerConfig::default());
            tell_when_typed(&mut request, Moment { monotonic_ns: 42 });
            assert_eq!(request.config.env, expected, "{image}");
        };
        check("hello", &["CORTEN_TYPED_AT_NS=42"]);
        check("busybox", &[]);
        check("sha256:00", &[]);
    }
}
