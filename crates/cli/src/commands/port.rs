//! `corten port`: the ports of a container that are published.

use corten_engine::container;

use crate::caller::Caller;
use crate::error::{Failure, Result};

/// List port mappings or a specific mapping for the container
#[derive(clap::Args, Debug)]
#[command(override_usage = "corten port CONTAINER [PRIVATE_PORT[/PROTO]]")]
pub struct Args {
    /// The container
    #[arg(required = true, value_name = "CONTAINER", hide = true)]
    container: String,
    /// A port of the container
    #[arg(value_name = "PRIVATE_PORT", hide = true, value_parser = port)]
    port: Option<String>,
}

/// `80` is `80/tcp`.
fn port(text: &str) -> std::result::Result<String, corten_model::Invalid> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let known = ["tcp", "udp", "sctp"].contains(&protocol);
    match number.parse::<u16>() {
        Ok(number) if number > 0 && known => Ok(format!("{number}/{protocol}")),
        _ => Err(corten_model::Invalid::new("port", text, "write a port such as `80` or `53/udp`")),
    }
}

/// Does it. Without bridges no container has a port of its own that could be published.
pub fn run(args: Args, caller: &mut Caller) -> Result<u8> {
    container::inspect(&mut caller.engine()?, &args.container)?;
    match args.port {
        None => Ok(0),
        Some(port) => Err(Failure::NoPublishedPort { port, container: args.container }),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ports_have_a_protocol() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(super::port(text).ok().as_deref(), expected, "{text}");
        };
        check("80", Some("80/tcp"));
        check("53/udp", Some("53/udp"));
        check("0", None);
        check("80/icmp", None);
        check("http", None);
    }
}
