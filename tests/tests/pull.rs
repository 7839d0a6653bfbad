//! `pull`, and what `run` and `create` do when an image isn't here.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corten_tests::Host;

#[test]
fn the_built_in_image_needs_no_registry() {
    let host = Host::new();
    let pulled = host.run(["pull", "hello"]);
    pulled.success().stdout_has("Using default tag: latest");
    pulled.stdout_has("Status: Image is up to date for corten/hello:latest");
    assert_eq!(host.run(["pull", "--quiet", "hello"]).success().text(), "corten/hello:latest");
}

#[test]
fn who_pulls_never_gets_what_is_here_or_an_error() {
    let host = Host::with_busybox();
    host.run(["run", "--rm", "--pull", "never", "busybox", "true"]).success();
    let refused = host.run(["run", "--rm", "--pull=never", "localhost:1/none", "true"]);
    refused.fails(125).stderr_has("no such image: `localhost:1/none`");
    host.run(["create", "--pull", "sometimes", "busybox"]).fails(125).stderr_has("no such policy");
}
