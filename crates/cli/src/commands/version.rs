//! `corten version`: this binary and the kernel below it.

use std::io::Write as _;

use corten_model::image::HOST_ARCHITECTURE;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::Result;
use crate::format::{self, ObjectFormat};
use crate::shape::Shape;

/// Show the Corten version information
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten version [OPTIONS]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.Version}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let version = value(&kernel);
    match ObjectFormat::parse(args.format.as_deref())? {
        ObjectFormat::Json => writeln!(caller.out, "{}", format::line(Shape::Any, &version))?,
        ObjectFormat::Template(template) => {
            writeln!(caller.out, "{}", format::render(&template, Shape::Any, &version)?)?;
        }
        ObjectFormat::Default => caller.out.write_all(text(&kernel).as_bytes())?,
    }
    Ok(0)
}

/// Docker's two halves are one binary here; both are told, because templates ask for `.Server.Version`.
fn value(kernel: &str) -> Value {
    let half = json!({
        "Arch": HOST_ARCHITECTURE,
        "KernelVersion": kernel,
        "Os": "linux",
        "Version": env!("CARGO_PKG_VERSION"),
    });
    let mut whole = half.clone();
    whole["Client"] = half.clone();
    whole["Server"] = half;
    whole
}

fn text(kernel: &str) -> String {
    format!(
        "Corten:\n Version:  {}\n OS/Arch:  linux/{HOST_ARCHITECTURE}\n Kernel:   {kernel}\n",
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_tells() {
        assert!(text("6.18.0").ends_with(" Kernel:   6.18.0\n"));
        for version in [&value("6.18.0")["Version"], &value("6.18.0")["Server"]["Version"]] {
            assert_eq!(version, env!("CARGO_PKG_VERSION"));
        }
    }
}
