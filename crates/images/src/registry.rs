//! Registries (distribution-spec): a client library that reads and writes repositories. Synchronous, for threads.
//!
//! ```text
//! client.rs       what all requests share          repository.rs  manifests; which blobs there are
//! settings.rs     configuration as values          blob.rs        a blob as a stream that survives
//! endpoint.rs     mirrors, rewrites, the registry  upload.rs      blobs on their way up
//! request.rs      redirects, logins, tries         retry.rs       pauses
//! auth.rs         who we are, tokens               challenge.rs   how a registry asks for it
//! http.rs         one exchange                     login.rs       whether a registry takes a password
//! resolver.rs     names of hosts → addresses       tls.rs         whom a connection trusts
//! credentials.rs  where logins are kept            secret.rs      what is never shown
//! url.rs          addresses                        lists.rs       tags, referrers
//! search.rs       Docker Hub's index, catalogs
//! ```
//!
//! A registry is a stranger: everything that it says is bounded in size, time and number, and nothing that it says
//! leads credentials to anybody else. Neither environment nor terminal is read here.
//! Deliberately not here: what becomes of manifests and layers, and names of the store.

mod auth;
mod blob;
mod cancel;
mod challenge;
mod client;
pub mod credentials;
mod endpoint;
mod error;
mod http;
mod lists;
mod login;
mod repository;
mod request;
mod resolver;
mod retry;
mod search;
mod secret;
pub mod settings;
mod tls;
mod upload;
mod url;

pub use blob::BlobReader;
pub use cancel::Cancel;
pub use client::Client;
pub use credentials::{Anonymous, Credential, Credentials, Stored};
pub use error::Error;
pub use lists::Referrer;
pub use repository::{At, Fetched, Head, MANIFEST_TYPES, Repository};
pub use search::{Found, SEARCH_LIMIT};
pub use secret::Secret;
pub use settings::{Settings, ShortNames};

use endpoint::Endpoint;
