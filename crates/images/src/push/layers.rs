//! The layers of an image on their way into a registry: each the cheapest way that there is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use corten_model::Digest;
use corten_storage::{Compression, Store, compress, steps};

use super::{Pushing, SharedTars};
use crate::document::{DOCKER_MANIFEST_TYPE, Descriptor, LAYER_TYPE, Manifest};
use crate::registry::{self, Cancel, Repository};
use crate::save::Image;
use crate::transfer::{BlobState, Progress, TransferError};
use crate::{Error, Layer};

/// Forms of one layer that are looked for in the registry.
const FORMS_MAX: usize = 4;
/// Other repositories that are asked for one blob.
const SOURCES_MAX: usize = 3;
const DOCKER_GZIP_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const DOCKER_PLAIN_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar";
const GZIP_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A form of a layer, and the repositories that have it.
struct Form {
    blob: Descriptor,
    repositories: Vec<String>,
}

/// A layer that is to go.
struct Going<'l> {
    layer: &'l Layer,
    /// What it may go as, the best first.
    forms: Vec<Form>,
    /// What it is called when it is compressed anew.
    new_type: &'static str,
    plain_bytes: u64,
}

/// What the threads that send have.
struct Sender<'s> {
    store: &'s Store,
    tars: &'s dyn SharedTars,
    remote: &'s Repository,
    progress: &'s dyn Progress,
    cancel: &'s Cancel,
    repository: &'s (dyn Fn(&str) -> Option<Repository> + Sync + 's),
    compression: Compression,
    name: &'s str,
}

impl Pushing<'_> {
    /// Sends the layers of an image; what each went as.
    pub(super) fn layers(
        &self,
        image: &Image,
        manifest: &Manifest,
    ) -> Result<Vec<Descriptor>, TransferError> {
        let options = self.options;
        let mut going = Vec::with_capacity(image.layers.len());
        for (depth, layer) in image.layers.iter().enumerate() {
            going.push(self.going(layer, manifest.layers.get(depth), manifest)?);
            options.progress.blob(&layer.diff_id, BlobState::Preparing);
        }
        let sender = Sender {
            store: self.store,
            tars: self.tars,
            remote: self.remote,
            progress: options.progress,
            cancel: options.cancel,
            repository: options.repository,
            compression: options.compression,
            name: options.name,
        };
        let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let went: Vec<Mutex<Option<Result<Descriptor, TransferError>>>> =
            going.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            while !over.load(Ordering::Relaxed) {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(layer) = going.get(place) else { return };
                let sent = sender.send(layer);
                if sent.is_err() {
                    over.store(true, Ordering::Relaxed);
                }
                *went[place].lock().unwrap_or_else(PoisonError::into_inner) = Some(sent);
                steps::reached("push.layer");
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..options.uploads.clamp(1, going.len().max(1)) {
                scope.spawn(work);
            }
        });
        let went = went.into_iter().map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner));
        let mut descriptors = Vec::with_capacity(going.len());
        let mut unsent = false;
        for sent in went {
            match sent {
                Some(sent) => descriptors.push(sent?),
                None => unsent = true,
            }
        }
        if unsent { Err(TransferError::Cancelled) } else { Ok(descriptors) }
    }

    /// What a layer may go as. One that came from nobody in its plain form goes compressed.
    fn going<'l>(
        &self,
        layer: &'l Layer,
        came: Option<&Descriptor>,
        manifest: &Manifest,
    ) -> Result<Going<'l>, TransferError> {
        let options = self.options;
        let docker = manifest.media_type == DOCKER_MANIFEST_TYPE;
        let new_type = match options.compression {
            Compression::Gzip if docker => DOCKER_GZIP_TYPE,
            Compression::Gzip => GZIP_TYPE,
            Compression::Zstd => ZSTD_TYPE,
        };
        let info = self.store.layers().info(&layer.chain_id).map_err(Error::LayerInfo)?;
        let plain_bytes = info.unpacked.tar_bytes;
        if options.recompress {
            return Ok(Going { layer, forms: Vec::new(), new_type, plain_bytes });
        }
        let known = options.known.get(&layer.diff_id).cloned().unwrap_or_default();
        let mut forms: Vec<Form> = Vec::new();
        if let Some(came) = came {
            forms.push(Form { blob: came.clone(), repositories: Vec::new() });
        }
        for known in known {
            match forms.iter_mut().find(|form| form.blob.digest == known.blob.digest) {
                Some(form) => form.repositories.push(known.repository),
                // Another manifest may have called it by a type that this one's readers don't know.
                None => {
                    let media_type = fitting_type(&known.blob.media_type, docker);
                    let blob = Descriptor { media_type, ..known.blob };
                    forms.push(Form { blob, repositories: vec![known.repository] });
                }
            }
        }
        let is_plain = |form: &Form| form.blob.digest == layer.diff_id && form.repositories.is_empty();
        forms.retain(|form| !is_plain(form));
        forms.truncate(FORMS_MAX);
        Ok(Going { layer, forms, new_type, plain_bytes })
    }
}

/// The type that a manifest of the other family gives to the same bytes.
fn fitting_type(media_type: &str, docker: bool) -> String {
    match (media_type, docker) {
        (DOCKER_GZIP_TYPE, false) => GZIP_TYPE,
        (GZIP_TYPE, true) => DOCKER_GZIP_TYPE,
        (DOCKER_PLAIN_TYPE, false) => LAYER_TYPE,
        (LAYER_TYPE, true) => DOCKER_PLAIN_TYPE,
        (other, _) => other,
    }
    .to_owned()
}

/// Whether registries keep only the name of it: whoever pushes it may not pass it on.
fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".foreign.") || media_type.contains(".nondistributable.")
}

/// The registry and the repository in a full name.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((name, ""))
}

impl Sender<'_> {
    fn send(&self, going: &Going<'_>) -> Result<Descriptor, TransferError> {
        for form in &going.forms {
            if self.cancel.is_cancelled() {
                return Err(TransferError::Cancelled);
            }
            if self.send_as(going, form)? {
                return Ok(form.blob.clone());
            }
        }
        self.send_new(going)
    }

    fn tell(&self, going: &Going<'_>, state: BlobState) {
        self.progress.blob(&going.layer.diff_id, state);
    }

    /// `false`: nobody has it any more.
    fn send_as(&self, going: &Going<'_>, form: &Form) -> Result<bool, TransferError> {
        let digest = &form.blob.digest;
        if is_foreign(&form.blob.media_type) || self.remote.has_blob(digest)? {
            self.tell(going, BlobState::InRegistry);
            return Ok(true);
        }
        let (registry, own) = parts(self.name);
        let neighbours = form.repositories.iter().map(|name| parts(name));
        for (_, repository) in
            neighbours.filter(|(at, path)| *at == registry && *path != own).take(SOURCES_MAX)
        {
            if self.remote.mount(digest, repository)? {
                self.tell(going, BlobState::Mounted(repository.to_owned()));
                return Ok(true);
            }
        }
        if self.store.blobs().is_sound(digest).unwrap_or(false) {
            let open = |offset| -> io::Result<Box<dyn Read + Send>> {
                let mut file: File = self.store.blobs().open(digest).map_err(io::Error::other)?;
                file.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(file))
            };
            if self.upload(going, form, &open)? {
                return Ok(true);
            }
        }
        for name in form.repositories.iter().filter(|name| *name != self.name).take(SOURCES_MAX) {
            let Some(source) = (self.repository)(name) else { continue };
            let open = |offset| -> io::Result<Box<dyn Read + Send>> {
                Ok(Box::new(source.blob(&form.blob, offset)?))
            };
            if self.upload(going, form, &open)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `false`: what was to be sent can't be read.
    fn upload(
        &self,
        going: &Going<'_>,
        form: &Form,
        open: &dyn Fn(u64) -> io::Result<Box<dyn Read + Send>>,
    ) -> Result<bool, TransferError> {
        self.tell(going, BlobState::Pushing { bytes: 0, of: form.blob.size });
        match self.remote.upload(&form.blob, open) {
            Ok(()) => {
                self.tell(going, BlobState::Pushed);
                Ok(true)
            }
            Err(registry::Error::Upload(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Compressed while it goes.
    fn send_new(&self, going: &Going<'_>) -> Result<Descriptor, TransferError> {
        let layer = going.layer;
        let failed = |source| Error::LayerTar { layer: layer.diff_id.clone(), source };
        let tar = self.tars.open(&layer.chain_id).map_err(failed)?;
        let counted = Counted { reader: tar, sender: self, going, bytes: 0, told: 0 };
        let mut compressed = compress(counted, self.compression).map_err(Error::Read)?;
        let (digest, size) = self.remote.upload_unsized(&mut compressed)?;
        self.tell(going, BlobState::Pushed);
        Ok(Descriptor::new(going.new_type, &digest, size))
    }
}

/// Bytes told at once.
const TELL_BYTES: u64 = 1 << 20;

/// A stream that tells how far it is, and ends when nobody wants it any more.
struct Counted<'c, R> {
    reader: R,
    sender: &'c Sender<'c>,
    going: &'c Going<'c>,
    bytes: u64,
    told: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.sender.cancel.is_cancelled() {
            return Err(registry::Error::Cancelled.into());
        }
        let count = self.reader.read(buffer)?;
        self.bytes += count as u64;
        if self.bytes >= self.told + TELL_BYTES {
            self.told = self.bytes;
            self.sender
                .tell(self.going, BlobState::Pushing { bytes: self.bytes, of: self.going.plain_bytes });
            steps::reached("push.part");
        }
        Ok(count)
    }
}

/// What a layer went as, by its diff id.
pub(super) fn learned(image: &Image, went: &[Descriptor]) -> Vec<(Digest, Descriptor)> {
    image.layers.iter().zip(went).map(|(layer, blob)| (layer.diff_id.clone(), blob.clone())).collect()
}
