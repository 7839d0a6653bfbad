//! Logins in files and with programs that keep secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use corten_images::registry::credentials::{Error, Kept, Places};
use corten_model::Kind;

use super::*;

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// A helper of this name that does this.
    fn helper(&self, name: &str, script: &str) {
        let path = self.path(&format!("bin/docker-credential-{name}"));
        self.write(&format!("bin/docker-credential-{name}"), &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn places(&self) -> Places {
        Places {
            named: None,
            docker: Some(self.path(".docker/config.json")),
            containers: vec![self.path("run/containers/auth.json")],
            programs: format!("relative:{}", self.path("bin").display()).into(),
        }
    }

    fn kept(&self) -> Kept {
        Kept::new(self.places())
    }
}

fn pair(user: &str, password: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"))
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn files_as_docker_and_podman_write_them() {
    let home = Home::new();
    let auth = |user: &str| format!(r#"{{"auth":"{}"}}"#, pair(user, "p:w"));
    let docker = format!(
        r#"{{"auths":{{"https://index.docker.io/v1/":{},"https://r.example":{},"plain:5000":{},"empty":{{}},
            "ident":{{"auth":"{}","identitytoken":"it"}},"tok":{{"registrytoken":"rt"}}}},"HttpHeaders":{{"a":"b"}}}}"#,
        auth("hub"),
        auth("r"),
        auth("plain"),
        pair("me", "")
    );
    home.write(".docker/config.json", &docker);
    let containers = format!(
        r#"{{"auths":{{"r.example":{},"q.example/team/app":{},"q.example/team":{},"q.example":{}}}}}"#,
        auth("other"),
        auth("app"),
        auth("team"),
        auth("all")
    );
    home.write("run/containers/auth.json", &containers);
    let kept = home.kept();
    let check = |host: &str, repository: &str, expected: Option<Credential>| {
        assert_eq!(kept.get(host, repository).unwrap(), expected, "{host} {repository}");
    };
    check("docker.io", "library/x", Some(password("hub", "p:w")));
    check("r.example", "x", Some(password("r", "p:w")));
    check("plain:5000", "x", Some(password("plain", "p:w")));
    check("plain", "x", None);
    check("empty", "x", None);
    let token = Secret::new("it");
    check("ident", "x", Some(Credential::IdentityToken { username: "me".into(), token }));
    check("tok", "x", Some(Credential::RegistryToken(Secret::new("rt"))));
    check("q.example", "team/app", Some(password("app", "p:w")));
    check("q.example", "team/app/more", Some(password("app", "p:w")));
    check("q.example", "team/other", Some(password("team", "p:w")));
    check("q.example", "teammate/x", Some(password("all", "p:w")));
    assert_eq!(kept.list().unwrap().len(), 8);

    // One that somebody named is the only one.
    home.write("named.json", &format!(r#"{{"auths":{{"n.example":{}}}}}"#, auth("n")));
    let named = Kept::new(Places { named: Some(home.path("named.json")), ..home.places() });
    assert_eq!(named.get("r.example", "x").unwrap(), None);
    assert_eq!(named.get("n.example", "x").unwrap(), Some(password("n", "p:w")));
}

#[test]
fn what_is_stored_is_read_again_and_the_rest_stays() {
    let home = Home::new();
    let kept = home.kept();
    let file = home.path(".docker/config.json");
    let stored = kept.store("r.example", &password("me", "hunter2")).unwrap();
    assert_eq!(stored, Stored::InFile(file.clone()));
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    home.write(".docker/config.json", r#"{"auths":{"http://docker.io":{}},"psFormat":"x","detachKeys":"a"}"#);
    kept.store("docker.io", &password("me", "p")).unwrap();
    let text = home.read(".docker/config.json");
    assert_eq!(text["psFormat"], "x");
    assert_eq!(text["auths"]["https://index.docker.io/v1/"]["auth"], pair("me", "p"));
    assert_eq!(text["auths"].as_object().unwrap().len(), 1);
    let identity = Credential::IdentityToken { username: "me".into(), token: Secret::new("it") };
    kept.store("i.example", &identity).unwrap();
    assert_eq!(kept.get("i.example", "").unwrap(), Some(identity));
    assert!(kept.erase("docker.io").unwrap() && !kept.erase("docker.io").unwrap());
    assert_eq!(home.read(".docker/config.json")["detachKeys"], "a");
    // A symlink stays one.
    std::fs::rename(&file, home.path("real.json")).unwrap();
    std::os::unix::fs::symlink(home.path("real.json"), &file).unwrap();
    kept.store("s.example", &password("me", "p")).unwrap();
    assert!(file.is_symlink() && home.read("real.json")["auths"]["s.example"].is_object());
    let nowhere = Kept::new(Places::default()).store("x", &password("me", "p")).unwrap_err();
    assert_eq!(nowhere.kind(), Kind::Unsupported);
}

#[test]
fn a_damaged_file_is_one_error_without_its_words() {
    let home = Home::new();
    for text in [
        "{\"auths\": hunter2",
        "[]",
        r#"{"auths":{"r":{"auth":"aHVudGVyMg=="}}}"#,
        r#"{"auths":{"r":{"auth":"hunter2!"}}}"#,
    ] {
        home.write(".docker/config.json", text);
        let error = home.kept().get("r", "x").unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{text}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }
    home.write(".docker/config.json", r#"{"auths":[],"credsStore":7}"#);
    assert_eq!(home.kept().get("r", "x").unwrap(), None);
}

#[test]
fn programs_keep_secrets() {
    let home = Home::new();
    // Keeps one secret for each key in a directory.
    let script = format!(
        r#"cd {}; mkdir -p secrets; input=$(cat)
case "$1" in
store) key=$(echo "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' | tr / _); echo "$input" >"secrets/$key";;
get) cat "secrets/$(echo "$input" | tr / _)" 2>/dev/null || {{ echo "credentials not found in native keychain"; exit 1; }};;
erase) rm "secrets/$(echo "$input" | tr / _)";;
list) echo '{{"l.example":"me"}}';;
esac"#,
        home.dir.path().display()
    );
    home.helper("mine", &script);
    home.write(".docker/config.json", r#"{"credsStore":"mine","credHelpers":{"other.example":"absent"}}"#);
    let kept = home.kept();
    assert_eq!(kept.get("r.example", "x").unwrap(), None);
    for (host, credential) in [
        ("r.example", password("me", "hunter2")),
        ("docker.io", password("me", "hunter3")),
        ("i.example", Credential::IdentityToken { username: String::new(), token: Secret::new("it") }),
    ] {
        let stored = kept.store(host, &credential).unwrap();
        assert_eq!(stored, Stored::WithHelper("docker-credential-mine".into()));
        assert_eq!(kept.get(host, "x").unwrap(), Some(credential));
    }
    let text = std::fs::read_to_string(home.path(".docker/config.json")).unwrap();
    assert!(!text.contains("hunter") && text.contains("https://index.docker.io/v1/"), "{text}");
    assert!(kept.list().unwrap().contains(&("l.example".into(), "me".into())));
    assert!(kept.erase("r.example").unwrap());
    assert_eq!(kept.get("r.example", "x").unwrap(), None);
    let absent = kept.get("other.example", "x").unwrap_err();
    assert_eq!(absent.to_string(), "the credential helper `docker-credential-absent` is not there");
    assert!(absent.hint().is_some());
}

#[test]
fn a_program_that_fails_is_one_clear_error_without_secrets() {
    let home = Home::new();
    home.write(".docker/config.json", r#"{"credsStore":"bad"}"#);
    let check = |script: &str, expected: &str| {
        home.helper("bad", script);
        let error = home.kept().get("r", "x").unwrap_err();
        let said = error.to_string();
        assert_eq!(said, format!("the credential helper `docker-credential-bad` failed to get: {expected}"));
    };
    check("echo 'the keyring is locked'; exit 1", "the keyring is locked");
    check("exit 3", "it doesn't say why");
    check("echo hunter2", "what it says is no credential");
    check("cat /dev/zero", "it says more than 1048576 bytes");
    home.write(".docker/config.json", r#"{"credsStore":"../../bin/sh"}"#);
    assert!(matches!(home.kept().get("r", "x"), Err(Error::NoHelper { .. })));
}
