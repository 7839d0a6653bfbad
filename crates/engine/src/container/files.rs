//! The files that every container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf.

use corten_model::namespace::{NetworkMode, UtsMode};

use super::spec;
use crate::db::containers::Container;

/// The longest of the host's files that is copied.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// Names and contents.
pub fn generate(container: &Container) -> Vec<(String, String)> {
    let host = container.config.network == NetworkMode::Host;
    let name = match container.config.uts {
        UtsMode::Private => spec::hostname(&container.id, &container.config),
        UtsMode::Host => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    let hosts = if host { read("/etc/hosts") } else { hosts(&name) };
    let resolv = if host { read("/etc/resolv.conf") } else { String::new() };
    vec![("hosts".into(), hosts), ("hostname".into(), format!("{name}\n")), ("resolv.conf".into(), resolv)]
}

fn hosts(name: &str) -> String {
    format!(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n127.0.0.1\t{name}\n"
    )
}

/// A file of the host; one that can't be read is empty, as it is for the host's own programs.
fn read(path: &str) -> String {
    use std::io::Read;
    let mut text = String::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(FILE_MAX_BYTES).read_to_string(&mut text);
    }
    text
}
