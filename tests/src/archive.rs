//! Archives of images as others write them, and as nobody should: lists of files that tests reorder, spoil and pack.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::tar::Tar;

/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The hex digits of the digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A descriptor of `bytes`.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
}

/// A layer: its plain archive, and the bytes that travel.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The plain archive.
    pub plain: Vec<u8>,
    /// As it is in the blob.
    pub blob: Vec<u8>,
}

impl Layer {
    /// One that travels as it is.
    pub fn plain(tar: Tar) -> Self {
        let plain = tar.bytes();
        Self { blob: plain.clone(), plain }
    }

    /// One that `program` has compressed.
    pub fn compressed(tar: Tar, program: &str) -> Self {
        let plain = tar.bytes();
        Self { blob: crate::image::filter(program, &plain), plain }
    }
}

/// Files of an archive or a directory, in order.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    /// Names and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A config of these layers for this machine.
pub fn config(layers: &[Layer]) -> Value {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    config_for(architecture, layers)
}

/// The same for another one.
pub fn config_for(architecture: &str, layers: &[Layer]) -> Value {
    let diff_ids: Vec<String> =
        layers.iter().map(|layer| format!("sha256:{}", sha256(&layer.plain))).collect();
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

impl Archive {
    /// Adds a blob; its descriptor.
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let name = format!("blobs/sha256/{}", sha256(bytes));
        if !self.files.iter().any(|(known, _)| *known == name) {
            self.files.push((name, bytes.to_vec()));
        }
        descriptor(media_type, bytes)
    }

    /// Adds an image; its manifest's descriptor.
    pub fn image(&mut self, config: &Value, layers: &[Layer]) -> Value {
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(LAYER, &layer.blob)).collect();
        let config = self.blob(CONFIG, config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    /// Adds an index over `manifests`; its descriptor.
    pub fn index(&mut self, manifests: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        self.blob(INDEX, index.to_string().as_bytes())
    }

    /// Ends an OCI layout: `index.json` and `oci-layout` come last, as most write them.
    #[must_use]
    pub fn layout(mut self, named: &[(Value, Option<&str>)]) -> Self {
        let manifests: Vec<Value> = named
            .iter()
            .map(|(descriptor, name)| {
                let mut descriptor = descriptor.clone();
                if let Some(name) = name {
                    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
                }
                descriptor
            })
            .collect();
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        self.files.push(("index.json".into(), index.to_string().into_bytes()));
        self.files.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        self
    }

    /// A whole OCI layout of one image.
    pub fn oci(config: &Value, layers: &[Layer], name: &str) -> Self {
        let mut archive = Self::default();
        let manifest = archive.image(config, layers);
        archive.layout(&[(manifest, Some(name))])
    }

    /// A whole archive in Docker's old format.
    pub fn docker(config: &Value, layers: &[Layer], names: &[&str]) -> Self {
        let mut archive = Self::default();
        let mut places = Vec::new();
        for (number, layer) in layers.iter().enumerate() {
            places.push(format!("layer{number}/layer.tar"));
            archive.files.push((format!("layer{number}/VERSION"), b"1.0".to_vec()));
            archive.files.push((places[number].clone(), layer.blob.clone()));
        }
        let bytes = config.to_string().into_bytes();
        let name = format!("{}.json", sha256(&bytes));
        archive.files.push((name.clone(), bytes));
        let manifest = json!([{"Config": name, "RepoTags": names, "Layers": places}]);
        archive.files.push(("manifest.json".into(), manifest.to_string().into_bytes()));
        archive
    }

    /// The same files, the documents first.
    #[must_use]
    pub fn documents_first(mut self) -> Self {
        self.files.sort_by_key(|(_, bytes)| bytes.first() != Some(&b'{'));
        self
    }

    /// Spoils the file called `name`.
    #[must_use]
    pub fn with(mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let file = self.files.iter_mut().find(|(known, _)| known == name).expect("there is such a file");
        change(&mut file.1);
        self
    }

    /// Without the file called `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.files.retain(|(known, _)| known != name);
        self
    }

    /// As a tar under construction.
    pub fn tar(&self) -> Tar {
        self.files.iter().fold(Tar::new(), |tar, (name, bytes)| tar.file(name, 0o644, bytes))
    }

    /// As the bytes of a tar.
    pub fn bytes(&self) -> Vec<u8> {
        self.tar().bytes()
    }

    /// As files below `directory`.
    pub fn write(&self, directory: &std::path::Path) {
        for (name, bytes) in &self.files {
            let path = directory.join(name);
            std::fs::create_dir_all(path.parent().expect("it is below")).expect("our own directory");
            std::fs::write(path, bytes).expect("our own directory");
        }
    }
}
