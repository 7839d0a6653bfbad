//! Who the client says that it is, and to whom.

use corten_images::registry::MANIFEST_TYPES;
use corten_model::Kind;
use corten_tests::registry::{Fault, INDEX, Login, Registry, Setup, When};

use super::*;

fn closed(login: Login) -> Registry {
    let registry = Registry::with(Setup { login, ..Setup::default() });
    registry.put_manifest("a", Some("1"), INDEX, b"{}");
    registry
}

fn pull(client: &Client, registry: &Registry) -> Result<(), Error> {
    repository(client, registry, "a").manifest(&tag("1"), &MANIFEST_TYPES).map(drop)
}

#[test]
fn a_password_is_said_when_it_is_asked_for() {
    let registry = closed(Login::basic("me", "hunter2"));
    let client = client_with(settings(), Kept::password(&registry.host(), "me", "hunter2"));
    pull(&client, &registry).unwrap();
    pull(&client, &registry).unwrap();
    let said: Vec<bool> =
        registry.seen_with("GET", "manifests").iter().map(|r| r.header("authorization").is_some()).collect();
    assert_eq!(said, [false, true, true], "it is remembered");
    let wrong = client_with(settings(), Kept::password(&registry.host(), "me", "no"));
    let error = pull(&wrong, &registry).unwrap_err();
    assert!(matches!(error, Error::PullDenied { .. }), "{error:?}");
    assert!(matches!(pull(&super::client(), &registry), Err(Error::PullDenied { .. })));
}

#[test]
fn tokens_are_for_one_use_and_kept_until_they_end() {
    let login = Login::Bearer {
        user: "me".into(),
        password: "hunter2".into(),
        strangers_pull: true,
        expires_in: Some(300),
        realm: None,
    };
    let registry = closed(login);
    let stranger = client();
    pull(&stranger, &registry).unwrap();
    pull(&stranger, &registry).unwrap();
    let asked = registry.seen_with("GET", "/token");
    assert_eq!(asked.len(), 1, "a token is used again");
    assert_eq!(
        (asked[0].query("service"), asked[0].query("scope")),
        (vec!["test".into()], vec!["repository:a:pull".into()])
    );
    let push =
        |client: &Client| repository(client, &registry, "a").put_manifest(&tag("2"), INDEX, b"{}").map(drop);
    assert!(matches!(push(&stranger), Err(Error::PushDenied { .. })));

    let me = client_with(settings(), Kept::password(&registry.host(), "me", "hunter2"));
    push(&me).unwrap();
    let asked = registry.seen_with("GET", "/token").pop().unwrap();
    assert_eq!(asked.query("scope")[0], "repository:a:pull,push");
    // The server forgot it: the next is asked for without a word.
    registry.revoke_tokens();
    push(&me).unwrap();
    let wrong = client_with(settings(), Kept::password(&registry.host(), "me", "no"));
    let error = push(&wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: unauthorized: incorrect username or password", registry.host())
    );
}

#[test]
fn a_token_that_has_ended_is_not_sent() {
    let registry = closed(Login::Bearer {
        user: "me".into(),
        password: "hunter2".into(),
        strangers_pull: true,
        expires_in: Some(0),
        realm: None,
    });
    let client = client();
    pull(&client, &registry).unwrap();
    corten_tests::wait_until("the token ends", || {
        pull(&client, &registry).unwrap();
        (registry.seen_with("GET", "/token").len() > 1).then_some(())
    });
}

#[test]
fn an_identity_token_is_kept_instead_of_the_password() {
    let registry = closed(Login::bearer("me", "hunter2"));
    let client = client();
    let kept = client.login(&registry.host(), password("me", "hunter2")).unwrap();
    let Credential::IdentityToken { username, token } = &kept else { panic!("{kept:?}") };
    assert_eq!(username, "me");
    assert!(!token.is_empty());
    let credentials = Kept::default();
    credentials.store(&registry.host(), &kept).unwrap();
    pull(&client_with(settings(), credentials), &registry).unwrap();
    let asked = registry.seen_with("POST", "/token").pop().unwrap();
    assert_eq!(asked.form("grant_type"), ["refresh_token"]);
    assert_eq!(asked.form("scope"), ["repository:a:pull"]);
    let error = client.login(&registry.host(), password("me", "no")).unwrap_err();
    assert!(error.to_string().ends_with("unauthorized: incorrect username or password"), "{error}");
    assert_eq!(error.kind(), Kind::Denied);
}

#[test]
fn logging_in_where_passwords_are_enough_and_where_nobody_asks() {
    let registry = closed(Login::basic("me", "hunter2"));
    let client = client();
    let given = password("me", "hunter2");
    assert_eq!(client.login(&registry.host(), given.clone()).unwrap(), given);
    assert!(matches!(
        client.login(&registry.host(), password("me", "no")),
        Err(Error::BadCredentials { .. })
    ));
    let open = Registry::new();
    assert_eq!(client.login(&open.host(), given.clone()).unwrap(), given);
    open.fail(When::target("/v2/"), Fault::status(404), 9);
    assert!(matches!(client.login(&open.host(), given), Err(Error::NotARegistry { .. })));
}
