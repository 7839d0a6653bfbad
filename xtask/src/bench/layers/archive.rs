//! What the bench of layers feeds everybody: a tree of many small files, and an image of it as others write them.
//!
//! Each has a stamp near its beginning: with another one it is a layer that nobody has yet.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::failure::{Context, Failure, Outcome};
use crate::machine;

/// Bytes of a header, and what everything else is filled up to.
const BLOCK: usize = 512;

/// A tar archive of a root file system: files in directories of twenty, and a shell.
pub struct Tree {
    path: PathBuf,
    stamps: u32,
}

impl Tree {
    /// Writes it to `path`: `files` of half to one and a half times `file_bytes`.
    pub fn new(path: PathBuf, files: usize, file_bytes: usize) -> Outcome<Self> {
        let mut out = BufWriter::new(File::create(&path).context("make the tree's archive")?);
        let program = machine::find_program("busybox").ok_or_else(|| Failure::new("no busybox inside"))?;
        let shell = std::fs::read(program).context("read busybox")?;
        let mut noise = Noise(42);
        entry(&mut out, "stamp", 0o644, &[0; BLOCK])?;
        for name in ["busybox", "sh", "mkdir", "head", "true"] {
            entry(&mut out, &format!("bin/{name}"), 0o755, &shell)?;
        }
        for number in 0..files {
            // Half of it can be compressed, as of programs.
            let mut bytes = vec![0; file_bytes / 2 + number % file_bytes];
            let half = bytes.len() / 2;
            noise.fill(&mut bytes[..half]);
            entry(&mut out, &format!("usr/share/d{}/file{number}", number / 20), 0o644, &bytes)?;
        }
        end(out)?;
        Ok(Self { path, stamps: 0 })
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it one that was never there.
    pub fn stamp(&mut self) -> Outcome {
        self.stamps += 1;
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().context("read the clock")?;
        let stamp = format!("{:>32} {:>8}", now.as_nanos(), self.stamps);
        let file = File::options().write(true).open(&self.path).context("open the tree's archive")?;
        file.write_all_at(stamp.as_bytes(), BLOCK as u64).context("stamp the tree's archive")
    }

    /// Writes an image of it to `path`: an OCI layout with Docker's `manifest.json`, its layer plain, as `docker save` does.
    pub fn image(&self, path: &Path, name: &str) -> Outcome {
        let layer = digest(&self.path)?;
        let size = std::fs::metadata(&self.path).context("look at the tree's archive")?.len();
        let config = json!({
            "architecture": architecture(), "os": "linux", "config": {"Cmd": ["/bin/sh"]},
            "created": "2025-01-01T00:00:00Z", "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
            "history": [{"created": "2025-01-01T00:00:00Z", "created_by": "bench"}],
        });
        let blob = |value: &serde_json::Value| -> Outcome<(String, String)> {
            let text = value.to_string();
            let file = path.with_extension("json");
            std::fs::write(&file, &text).context("write a document")?;
            Ok((digest(&file)?, text))
        };
        let descriptor = |kind: &str, digest: &str, size: usize| {
            json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{digest}"),
                "size": size})
        };
        let (config_digest, config) = blob(&config)?;
        let (manifest_digest, manifest) = blob(&json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &config_digest, config.len()),
            "layers": [descriptor("layer.v1.tar", &layer, size as usize)],
        }))?;
        let (_, tag) = name.rsplit_once(':').ok_or_else(|| Failure::new("a name without a tag"))?;
        let mut named = descriptor("manifest.v1+json", &manifest_digest, manifest.len());
        named["annotations"] =
            json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [named]});
        let archived =
            json!([{"Config": place(&config_digest), "RepoTags": [name], "Layers": [place(&layer)]}]);
        let mut out = BufWriter::new(File::create(path).context("make an image's archive")?);
        entry(&mut out, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        entry(&mut out, "index.json", 0o644, index.to_string().as_bytes())?;
        entry(&mut out, "manifest.json", 0o644, archived.to_string().as_bytes())?;
        entry(&mut out, &place(&config_digest), 0o644, config.as_bytes())?;
        entry(&mut out, &place(&manifest_digest), 0o644, manifest.as_bytes())?;
        header(&mut out, &place(&layer), 0o644, size)?;
        let mut tree = File::open(&self.path).context("open the tree's archive")?;
        std::io::copy(&mut tree, &mut out).context("write an image's archive")?;
        end(out)
    }
}

fn place(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// sha256sum(1)'s, in hexadecimal digits.
fn digest(path: &Path) -> Outcome<String> {
    let output = Command::new("sha256sum").arg(path).output().context("run sha256sum")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().next().map(str::to_owned).ok_or_else(|| Failure::new("sha256sum said nothing"))
}

/// An archive of `entries` empty files.
pub fn many(path: &Path, entries: usize) -> Outcome {
    let mut out = BufWriter::new(File::create(path).context("make an archive of many entries")?);
    for number in 0..entries {
        entry(&mut out, &format!("d{}/{number}", number / 1000), 0o644, b"")?;
    }
    end(out)
}

/// An archive of one file, whose content is a hole of the archive; on the other side it is written out.
pub fn large(path: &Path, bytes: u64) -> Outcome {
    let mut out = BufWriter::new(File::create(path).context("make an archive of one large file")?);
    header(&mut out, "large", 0o644, bytes)?;
    drop(out);
    let block = BLOCK as u64;
    let length = block + bytes.next_multiple_of(block) + 2 * block;
    File::options().write(true).open(path).and_then(|f| f.set_len(length)).context("extend it")
}

/// Bytes that don't compress, the same every time.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

fn entry(out: &mut impl Write, name: &str, mode: u32, bytes: &[u8]) -> Outcome {
    header(out, name, mode, bytes.len() as u64)?;
    let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
    out.write_all(bytes).and_then(|()| out.write_all(&vec![0; padding])).context("write an archive")
}

fn end(mut out: impl Write) -> Outcome {
    out.write_all(&[0; 2 * BLOCK]).and_then(|()| out.flush()).context("end an archive")
}

/// A header of the POSIX format; sizes from 8 GiB on have no room in it.
fn header(out: &mut impl Write, name: &str, mode: u32, size: u64) -> Outcome {
    let mut block = [0u8; BLOCK];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "14000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    out.write_all(&block).context("write an archive")
}
