//! Whom a connection trusts: the system's CAs, those of a registry's directory, and our own certificate for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::Error;

/// Where distributions keep the CAs that the machine trusts.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];
/// Bytes of a file of certificates.
const FILE_MAX: u64 = 4 << 20;
/// Files of one registry's directory.
const FILES_MAX: usize = 64;

/// The directories of `certs_dirs` that say something about `authority`.
pub(crate) fn directories(certs_dirs: &[PathBuf], authority: &str) -> Vec<PathBuf> {
    if authority.contains(['/', '\0']) || authority.starts_with('.') {
        return Vec::new();
    }
    certs_dirs.iter().map(|dir| dir.join(authority)).filter(|dir| dir.is_dir()).collect()
}

/// How a connection is made that trusts the system, and what is in `directories`.
pub(crate) fn config(host: &str, directories: &[PathBuf], unverified: bool) -> Result<TlsConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = Vec::new();
    let mut client = None;
    for directory in directories {
        read_directory(host, directory, &mut roots, &mut client)?;
    }
    let builder = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .disable_verification(unverified)
        .client_cert(client);
    if unverified {
        return Ok(builder.root_certs(RootCerts::Specific(Arc::default())).build());
    }
    let system = system_roots();
    if system.is_empty() && roots.is_empty() {
        return Ok(builder.root_certs(RootCerts::WebPki).build());
    }
    roots.extend(system);
    Ok(builder.root_certs(RootCerts::Specific(Arc::new(roots))).build())
}

/// The first bundle that the machine has.
fn system_roots() -> Vec<Certificate<'static>> {
    let bundle = BUNDLES.iter().find_map(|path| read(Path::new(path)).ok());
    bundle.map(|pem| certificates(&pem)).unwrap_or_default()
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem).filter_map(Result::ok);
    items
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// `*.crt` are CAs; `x.cert` is our certificate and `x.key` its key.
fn read_directory(
    host: &str,
    directory: &Path,
    roots: &mut Vec<Certificate<'static>>,
    client: &mut Option<ClientCert>,
) -> Result<(), Error> {
    let bad = |path: &Path, why: String| Error::Certificate { path: path.display().to_string(), why };
    let entries = std::fs::read_dir(directory).map_err(|error| bad(directory, error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).take(FILES_MAX).collect();
    paths.sort();
    for path in &paths {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("crt") => {
                let pem = read(path).map_err(|why| bad(path, why))?;
                let found = certificates(&pem);
                if found.is_empty() {
                    return Err(bad(path, "there is no certificate in it".into()));
                }
                roots.extend(found);
            }
            Some("cert") => {
                let key = path.with_extension("key");
                if !paths.contains(&key) {
                    return Err(bad(path, format!("its key `{}` is missing", key.display())));
                }
                *client = Some(identity(path, &key).map_err(|why| bad(path, why))?);
            }
            Some("key") if !paths.contains(&path.with_extension("cert")) => {
                return Err(bad(path, format!("there is no certificate beside it for {host}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A certificate with its key: checked here, because the HTTP library takes only what fits together.
fn identity(cert: &Path, key: &Path) -> Result<ClientCert, String> {
    let chain = certificates(&read(cert)?);
    if chain.is_empty() {
        return Err("there is no certificate in it".into());
    }
    let pem = read(key)?;
    let unreadable = || "there is no key beside it that can be read".to_owned();
    let key_der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unreadable())?;
    let key = PrivateKey::from_pem(&pem).map_err(|_| unreadable())?;
    let der: Vec<CertificateDer<'static>> =
        chain.iter().map(|certificate| CertificateDer::from(certificate.der().to_vec())).collect();
    let provider = rustls::crypto::ring::default_provider();
    rustls::sign::CertifiedKey::from_der(der, key_der, &provider)
        .map_err(|error| format!("it and its key don't belong together: {error}"))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(format!("it has more than {FILE_MAX} bytes"));
    }
    Ok(bytes)
}
