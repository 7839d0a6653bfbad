//! How each command is used: shown by its `--help`, the manual and docs/reference. A test parses every line.

/// A command, and lines that show it.
type Examples = (&'static str, &'static [&'static str]);

/// By the first form of each command, in the order of the alphabet.
const EXAMPLES: &[Examples] = &[
    ("attach", &["attach web", "attach --no-stdin --detach-keys ctrl-a,d web"]),
    ("commit", &["commit web me/web:2", "commit -c 'CMD [\"nginx\"]' -m 'with our page' web me/web:2"]),
    ("completion", &["completion bash", "completion zsh", "completion fish"]),
    ("config check", &["config check"]),
    ("config explain", &["config explain log.max_size"]),
    ("config get", &["config get container.stop_timeout"]),
    ("config import", &["config import /etc/docker/daemon.json"]),
    ("config set", &["config set log.max_size 50m", "config set container.ulimits nofile=1024:4096 core=0"]),
    ("config show", &["config show"]),
    ("config unset", &["config unset log.max_size"]),
    ("container inspect", &["container inspect -f '{{.State.Status}}' web"]),
    ("container prune", &["container prune", "container prune -f --filter until=24h"]),
    ("context create", &["context create --docker host=ssh://me@box far"]),
    ("context export", &["context export far far.tar"]),
    ("context import", &["context import far far.tar"]),
    ("context inspect", &["context inspect far"]),
    ("context ls", &["context ls"]),
    ("context rm", &["context rm far"]),
    ("context show", &["context show"]),
    ("context update", &["context update --description 'the machine below the desk' far"]),
    ("context use", &["context use far", "context use default"]),
    ("cp", &["cp web:/etc/nginx/nginx.conf .", "cp page.html web:/srv/", "cp web:/var/log -"]),
    ("create", &["create --name web -v data:/srv nginx", "create -it --rm busybox sh"]),
    ("diff", &["diff web"]),
    ("events", &["events --since 10m", "events -f type=container -f event=die --format json"]),
    ("exec", &["exec -it web sh", "exec -e A=1 -w /srv web ls -l"]),
    ("export", &["export -o web.tar web"]),
    ("history", &["history nginx", "history --no-trunc -q nginx"]),
    ("image inspect", &["image inspect -f '{{.Config.Cmd}}' nginx"]),
    ("image prune", &["image prune", "image prune -a --filter label!=keep"]),
    (
        "images",
        &["images", "images -f dangling=true -q", "images --format '{{.Repository}}:{{.Tag}} {{.Size}}'"],
    ),
    ("import", &["import rootfs.tar me/base", "import -c 'CMD [\"sh\"]' - me/base"]),
    ("info", &["info", "info -f '{{.CgroupVersion}}'"]),
    ("inspect", &["inspect web", "inspect -f '{{.State.Pid}}' web", "inspect --type volume data"]),
    ("kill", &["kill web", "kill -s HUP web"]),
    ("load", &["load -i images.tar", "load --platform linux/arm64 -i images.tar"]),
    ("login", &["login registry.example", "login -u me --password-stdin registry.example"]),
    ("logout", &["logout registry.example"]),
    ("logs", &["logs --tail 100 web", "logs -f --since 5m web"]),
    ("man", &["man /usr/local/share/man/man1"]),
    ("manifest annotate", &["manifest annotate --arch arm64 me/app:1 me/app:1-arm"]),
    ("manifest create", &["manifest create me/app:1 me/app:1-amd64 me/app:1-arm64"]),
    ("manifest inspect", &["manifest inspect debian"]),
    ("manifest push", &["manifest push me/app:1"]),
    ("manifest rm", &["manifest rm me/app:1"]),
    ("pause", &["pause web"]),
    ("port", &["port web", "port web 80/tcp"]),
    ("ps", &["ps -a", "ps -f status=exited -f label=tier=web", "ps --format '{{.Names}}: {{.Status}}'"]),
    ("pull", &["pull debian", "pull --platform linux/arm64 debian:12"]),
    ("push", &["push registry.example/me/app:1"]),
    ("rename", &["rename web old-web"]),
    ("restart", &["restart web", "restart -t 30 web db"]),
    ("rm", &["rm web", "rm -fv web db"]),
    ("rmi", &["rmi me/app:1", "rmi -f me/app:1 me/app:2"]),
    (
        "run",
        &[
            "run --rm -it debian bash",
            "run -d --name web -v data:/srv -e LANG=C nginx",
            "run --rm --memory 512m --cpus 1.5 -v .:/src -w /src debian make",
        ],
    ),
    ("save", &["save -o images.tar nginx me/app:1", "save --platform linux/amd64 nginx"]),
    ("search", &["search --limit 5 postgres"]),
    ("start", &["start web", "start -ai shell"]),
    ("stats", &["stats", "stats --no-stream --format '{{.Name}} {{.MemUsage}}'"]),
    ("stop", &["stop web", "stop -t 30 -s INT web db"]),
    ("system check", &["system check", "system check --repair"]),
    ("system df", &["system df", "system df -v"]),
    ("system prune", &["system prune", "system prune -af --volumes"]),
    ("system setup", &["system setup --check", "system setup --user me --yes"]),
    ("tag", &["tag me/app registry.example/me/app:1"]),
    ("top", &["top web", "top web -o pid,rss,args"]),
    ("unpause", &["unpause web"]),
    ("update", &["update --memory 1g --memory-swap 2g web", "update --cpus 2 --pids-limit 500 web db"]),
    ("version", &["version", "version -f '{{.Server.Version}}'"]),
    ("volume create", &["volume create data", "volume create --label tier=db"]),
    ("volume inspect", &["volume inspect -f '{{.Mountpoint}}' data"]),
    ("volume ls", &["volume ls", "volume ls -q -f dangling=true"]),
    ("volume prune", &["volume prune", "volume prune -a -f --filter label=temporary"]),
    ("volume rm", &["volume rm data", "volume rm -f data cache"]),
    ("wait", &["wait web"]),
];

/// The lines that show a command, without the program's name.
pub fn of(name: &str) -> &'static [&'static str] {
    EXAMPLES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, lines)| lines)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::parse::{self, Parsed};
    use crate::verbs::VERBS;

    /// Words as a shell makes them of a line with single quotes.
    fn words(line: &str) -> Vec<OsString> {
        let mut words = vec![String::new()];
        for (index, part) in line.split('\'').enumerate() {
            let is_quoted = index % 2 == 1;
            for (index, word) in part.split(' ').enumerate() {
                if index > 0 && !is_quoted {
                    words.push(String::new());
                } else if index > 0 {
                    words.last_mut().unwrap().push(' ');
                }
                words.last_mut().unwrap().push_str(word);
            }
        }
        words.into_iter().map(OsString::from).collect()
    }

    #[test]
    fn every_command_has_examples_that_work() {
        assert_eq!(words("a -b 'c d' e"), ["a", "-b", "c d", "e"]);
        for verb in VERBS {
            let lines = of(verb.name());
            assert!(!lines.is_empty(), "{} has no example", verb.name());
            for line in lines {
                let words = words(line.strip_prefix(verb.name()).unwrap_or_else(|| panic!("{line}")));
                let parsed = parse::parse(verb.name(), verb.fill, &words[1..]);
                assert!(matches!(parsed, Ok(Parsed::Matches(_))), "{line}: {parsed:?}");
            }
        }
    }

    #[test]
    fn commands_are_in_the_order_of_the_alphabet() {
        assert!(EXAMPLES.is_sorted_by_key(|(name, _)| name));
    }
}
