//! The files that every container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf.

use corten_model::container::MoreConfig;
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
    let more = &container.config.more;
    let mut hosts = if host { read("/etc/hosts") } else { hosts(&name, more.domainname.as_deref()) };
    for extra in &more.extra_hosts {
        if !hosts.ends_with('\n') && !hosts.is_empty() {
            hosts.push('\n');
        }
        hosts.push_str(&format!("{}\t{}\n", extra.address, extra.name));
    }
    let resolv = if host { read("/etc/resolv.conf") } else { String::new() };
    let resolv = resolved_by(&resolv, more);
    vec![("hosts".into(), hosts), ("hostname".into(), format!("{name}\n")), ("resolv.conf".into(), resolv)]
}

/// The text of resolv.conf(5), with what was asked for in place of what was there.
fn resolved_by(text: &str, more: &MoreConfig) -> String {
    let mut instead: Vec<(&str, Vec<String>)> = Vec::new();
    if !more.dns_search.is_empty() {
        let domains = more.dns_search.iter().filter(|domain| *domain != ".");
        instead.push(("search", vec![domains.cloned().collect::<Vec<_>>().join(" ")]));
    }
    if !more.dns.is_empty() {
        instead.push(("nameserver", more.dns.iter().map(ToString::to_string).collect()));
    }
    if !more.dns_options.is_empty() {
        instead.push(("options", vec![more.dns_options.join(" ")]));
    }
    if instead.is_empty() {
        return text.to_owned();
    }
    let keyword = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    // `domain` is an old word for `search`.
    let is_replaced =
        |word: &str| instead.iter().any(|(name, _)| *name == word || *name == "search" && word == "domain");
    let kept = text.lines().filter(|line| !is_replaced(&keyword(line))).map(str::to_owned);
    let added = instead.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let added = added.filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}"));
    kept.chain(added).map(|line| format!("{line}\n")).collect()
}

fn hosts(name: &str, domain: Option<&str>) -> String {
    let name = domain.map_or(name.to_owned(), |domain| format!("{name}.{domain} {name}"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_takes_the_place_of_what_was_there() {
        let check = |text: &str, change: fn(&mut MoreConfig), expected: &str| {
            let mut more = MoreConfig::default();
            change(&mut more);
            assert_eq!(resolved_by(text, &more), expected);
        };
        let hosts = "# home\nnameserver 10.0.0.1\ndomain home\noptions rotate";
        check(hosts, |_| {}, hosts);
        check("", |more| more.dns = vec!["::1".parse().unwrap()], "nameserver ::1\n");
        check(
            hosts,
            |more| more.dns_search = vec!["a.example".into(), "b.example".into()],
            "# home\nnameserver 10.0.0.1\noptions rotate\nsearch a.example b.example\n",
        );
        check(
            hosts,
            |more| more.dns_search = vec![".".into()],
            "# home\nnameserver 10.0.0.1\noptions rotate\n",
        );
        check(
            hosts,
            |more| {
                more.dns = vec!["1.2.3.4".parse().unwrap(), "5.6.7.8".parse().unwrap()];
                more.dns_options = vec!["ndots:2".into(), "debug".into()];
            },
            "# home\ndomain home\nnameserver 1.2.3.4\nnameserver 5.6.7.8\noptions ndots:2 debug\n",
        );
    }

    #[test]
    fn a_domain_comes_first() {
        assert!(hosts("web", Some("example")).ends_with("127.0.0.1\tweb.example web\n"));
        assert!(hosts("web", None).ends_with("127.0.0.1\tweb\n"));
    }
}
