//! `corten version`: this binary and the kernel below it.

use std::io::Write as _;

use corten_model::image::HOST_ARCHITECTURE;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::error::Result;
use crate::format::{self, ObjectFormat};
use crate::remote;
use crate::shape;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of Docker's API whose objects and fields `inspect`, `info` and `ps` print.
const API_VERSION: &str = "1.51";

/// Show the Corten version information
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten version [OPTIONS]")]
pub struct Args {
    /// Format output: json, or a template such as '{{.Server.Version}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Does it.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    let format = ObjectFormat::parse(args.format.as_deref())?;
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let context = remote::chosen(caller)?.context;
    let version = value(&kernel, &context);
    match format {
        ObjectFormat::Json => writeln!(caller.out, "{}", format::line(shape::VERSION, &version))?,
        ObjectFormat::Template(template) => {
            writeln!(caller.out, "{}", format::render(&template, shape::VERSION, &version)?)?;
        }
        ObjectFormat::Default => caller.out.write_all(text(&kernel, &context).as_bytes())?,
    }
    Ok(0)
}

/// Docker's two halves are one binary here; both are told, because templates ask for `.Server.Version`.
fn value(kernel: &str, context: &str) -> Value {
    let details = json!({
        "ApiVersion": API_VERSION,
        "Arch": HOST_ARCHITECTURE,
        "KernelVersion": kernel,
        "MinAPIVersion": API_VERSION,
        "Os": "linux",
    });
    let engine = json!({ "Name": "Engine", "Version": VERSION, "Details": details });
    json!({
        "Version": VERSION,
        "Client": {
            "Version": VERSION,
            "ApiVersion": API_VERSION,
            "DefaultAPIVersion": API_VERSION,
            "Os": "linux",
            "Arch": HOST_ARCHITECTURE,
            "Context": context,
        },
        "Server": {
            "Platform": { "Name": "Corten" },
            "Components": [engine],
            "Version": VERSION,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": API_VERSION,
            "Os": "linux",
            "Arch": HOST_ARCHITECTURE,
            "KernelVersion": kernel,
        },
    })
}

fn text(kernel: &str, context: &str) -> String {
    format!(
        "Client: Corten
 Version:           {VERSION}
 API version:       {API_VERSION}
 OS/Arch:           linux/{HOST_ARCHITECTURE}
 Context:           {context}

Server: Corten
 Engine:
  Version:          {VERSION}
  API version:      {API_VERSION} (minimum version {API_VERSION})
  OS/Arch:          linux/{HOST_ARCHITECTURE}
  Kernel Version:   {kernel}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    #[test]
    fn what_it_tells() {
        let version = value("6.18.0", "far");
        let check = |template: &str, expected: &str| {
            let rendered = format::render(&Template::parse(template).unwrap(), shape::VERSION, &version);
            assert_eq!(rendered.unwrap(), expected, "{template}");
        };
        check("{{.Client.Version}} {{.Server.Version}} {{.Version}}", &[VERSION; 3].join(" "));
        check("{{.Client.APIVersion}} {{.Server.APIVersion}}", "1.51 1.51");
        check("{{.Client.ApiVersion}} {{.Server.ApiVersion}}", "1.51 1.51");
        check("{{.Server.KernelVersion}} {{.Server.Os}} {{.Client.Context}}", "6.18.0 linux far");
        check("{{.Server.Platform.Name}} {{range .Server.Components}}{{.Name}}{{end}}", "Corten Engine");
        check("[{{.Client.GoVersion}}{{.Server.GitCommit}}]", "[]");
        assert!(text("6.18.0", "far").contains(" Context:           far\n"));
        assert!(text("6.18.0", "far").ends_with("  Kernel Version:   6.18.0\n"));
    }
}
