//! `--mount type=bind,source=/a,target=/b,readonly`.

use std::collections::BTreeMap;

use super::fields::{once, split, switch, unknown};
use super::short::parse_id;
use super::{
    Bind, CONSISTENCIES, Flag, MountSource, MountSpec, Owner, PROPAGATIONS, Propagation, ReadOnlyBelow,
    Volume, clean_subpath, clean_target, propagation, volume_name,
};
use crate::Invalid;

/// All keys, for whoever mistyped one.
const KEYS: [&str; 26] = [
    "type",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "consistency",
    "bind-propagation",
    "bind-recursive",
    "bind-nonrecursive",
    "bind-create-src",
    "volume-nocopy",
    "volume-subpath",
    "volume-label",
    "volume-driver",
    "volume-opt",
    "tmpfs-size",
    "tmpfs-mode",
    "tmpfs-options",
    "image-subpath",
    "idmap",
    "uid",
    "gid",
    "rro",
];
/// What can be mounted.
const TYPES: [&str; 4] = ["bind", "volume", "tmpfs", "image"];

/// Parses `--mount type=bind,source=/a,target=/b,readonly`: each key known, and each once.
pub fn parse_mount(text: &str) -> Result<MountSpec, Invalid> {
    let bad = |why: String| {
        Invalid::new("mount", text, why)
            .hint("write `type=bind|volume|tmpfs|image,source=…,target=/PATH[,readonly]`")
    };
    let mut fields = Fields::default();
    for field in split(text).map_err(bad)? {
        let (key, value) = field.split_once('=').map_or((field.as_str(), None), |(k, v)| (k, Some(v)));
        fields.set(key, value).map_err(bad)?;
    }
    let target = fields.target.take().ok_or_else(|| bad("no target".into()))?;
    let target = clean_target(&target).map_err(|why| bad(why.into()))?;
    let kind = fields.kind.take().unwrap_or_else(|| "volume".to_owned());
    fields.check(&kind).map_err(bad)?;
    let (consistency, owner) = (fields.consistency.take(), fields.owner().map_err(bad)?);
    let read_only = fields.read_only.unwrap_or(kind == "image");
    let source = fields.source_of(&kind).map_err(bad)?;
    Ok(MountSpec { read_only, consistency, owner, ..MountSpec::new(source, target, Flag::Mount) })
}

/// The fields of a `--mount`, before it is known which kind it is.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    consistency: Option<String>,
    root: Option<bool>,
    uid: Option<u32>,
    gid: Option<u32>,
    bind: BindFields,
    volume: VolumeFields,
    tmpfs: TmpfsFields,
    image_subpath: Option<String>,
}

#[derive(Default, PartialEq)]
struct BindFields {
    propagation: Option<(Propagation, bool)>,
    recursive: Option<bool>,
    below: Option<ReadOnlyBelow>,
    create: Option<bool>,
}

#[derive(Default, PartialEq)]
struct VolumeFields {
    no_copy: Option<bool>,
    subpath: Option<String>,
    labels: BTreeMap<String, String>,
    driver: Option<String>,
    options: BTreeMap<String, String>,
}

#[derive(Default, PartialEq)]
struct TmpfsFields {
    size_bytes: Option<u64>,
    mode: Option<u32>,
    options: Option<Vec<String>>,
}

impl Fields {
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let text = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("`{key}` needs a value"));
        match key {
            "type" => once(&mut self.kind, key, text()?.to_lowercase()),
            "source" | "src" => once(&mut self.source, "source", text()?.to_owned()),
            "target" | "dst" | "destination" => once(&mut self.target, "target", text()?.to_owned()),
            "readonly" | "ro" => once(&mut self.read_only, "readonly", switch(key, value)?),
            "consistency" => {
                let word = text()?.to_lowercase();
                match CONSISTENCIES.contains(&word.as_str()) {
                    true => once(&mut self.consistency, key, word),
                    false => Err(unknown("consistency", &word, CONSISTENCIES.into_iter())),
                }
            }
            "idmap" => once(&mut self.root, key, switch(key, value)?),
            "uid" => once(&mut self.uid, key, parse_id(key, text()?)?),
            "gid" => once(&mut self.gid, key, parse_id(key, text()?)?),
            "image-subpath" => {
                once(&mut self.image_subpath, key, clean_subpath(text()?).map_err(|why| in_key(key, why))?)
            }
            _ if key.starts_with("bind-") || key == "rro" => self.bind.set(key, value),
            _ if key.starts_with("volume-") => self.volume.set(key, value),
            _ if key.starts_with("tmpfs-") => self.tmpfs.set(key, value),
            other => Err(unknown("key", other, KEYS.into_iter())),
        }
    }

    /// That no option of another type stands here.
    fn check(&self, kind: &str) -> Result<(), String> {
        match kind {
            "npipe" => return Err("named pipes (`npipe`) are mounted on Windows only".into()),
            "cluster" => return Err("`cluster` volumes belong to a swarm, which there is none of".into()),
            _ if !TYPES.contains(&kind) => return Err(unknown("type", kind, TYPES.into_iter())),
            _ => {}
        }
        for (prefix, given) in [
            ("bind", self.bind != BindFields::default()),
            ("volume", self.volume != VolumeFields::default()),
            ("tmpfs", self.tmpfs != TmpfsFields::default()),
            ("image", self.image_subpath.is_some()),
        ] {
            if given && prefix != kind {
                return Err(format!("`{prefix}-` options stand with the type `{kind}`"));
            }
        }
        let has_owner = self.root.is_some() || self.uid.is_some() || self.gid.is_some();
        if has_owner && !matches!(kind, "bind" | "volume") {
            return Err(format!("`idmap`, `uid` and `gid` stand with the type `{kind}`"));
        }
        Ok(())
    }

    fn owner(&self) -> Result<Owner, String> {
        match (self.root.unwrap_or(false), self.uid, self.gid) {
            (true, None, None) => Ok(Owner::ROOT),
            (true, ..) => Err("`idmap` and `uid` or `gid` exclude each other".into()),
            (false, None, None) => Ok(Owner::Plain),
            (false, uid, gid) => Ok(Owner::As { uid, gid }),
        }
    }

    fn source_of(self, kind: &str) -> Result<MountSource, String> {
        let read_only = self.read_only.unwrap_or(false);
        match kind {
            "bind" => {
                let path = self.source.ok_or("a bind needs a source")?;
                if !path.starts_with('/') && !path.starts_with('.') {
                    return Err(format!("the source `{path}` is a relative path: write `/…` or `./…`"));
                }
                self.bind.source(path, read_only)
            }
            "volume" => {
                let name = self.source.as_deref().map(volume_name).transpose()?;
                self.volume.source(name, read_only)
            }
            "image" => {
                let reference = self.source.ok_or("the image is missing: `source=IMAGE`")?;
                if self.read_only == Some(false) {
                    return Err(
                        "the files of an image can't be written to: leave out `readonly=false`".into()
                    );
                }
                Ok(MountSource::Image { reference, subpath: self.image_subpath })
            }
            _ if self.source.is_some() => Err("a tmpfs has no source".into()),
            _ => Ok(MountSource::Tmpfs {
                size_bytes: self.tmpfs.size_bytes,
                mode: self.tmpfs.mode,
                options: self.tmpfs.options.unwrap_or_default(),
            }),
        }
    }
}

fn in_key(key: &str, why: &str) -> String {
    format!("`{key}`: {why}")
}

impl BindFields {
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let text = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("`{key}` needs a value"));
        match key {
            "bind-propagation" => {
                let word = text()?.to_lowercase();
                let known = propagation(&word).ok_or_else(|| {
                    unknown("propagation", &word, PROPAGATIONS.iter().map(|(word, ..)| *word))
                });
                once(&mut self.propagation, key, known?)
            }
            "bind-nonrecursive" => once(&mut self.recursive, "bind-recursive", !switch(key, value)?),
            "bind-recursive" => {
                let (recursive, below) = match text()? {
                    "enabled" => (true, None),
                    "disabled" => (false, None),
                    "writable" => (true, Some(ReadOnlyBelow::Writable)),
                    "readonly" => (true, Some(ReadOnlyBelow::Forced)),
                    other => {
                        let words = "enabled, disabled, writable or readonly";
                        return Err(format!("`{key}` is {words}, not `{other}`"));
                    }
                };
                once(&mut self.recursive, key, recursive)?;
                below.map_or(Ok(()), |below| once(&mut self.below, key, below))
            }
            "rro" => match switch(key, value)? {
                true => once(&mut self.below, "bind-recursive", ReadOnlyBelow::Forced),
                false => Err("`rro` is left out where it isn't meant".into()),
            },
            "bind-create-src" => once(&mut self.create, key, switch(key, value)?),
            other => Err(unknown("key", other, KEYS.into_iter())),
        }
    }

    fn source(self, path: String, read_only: bool) -> Result<MountSource, String> {
        let (propagation, propagation_recursive) = self.propagation.unwrap_or((Propagation::Private, true));
        let recursive = self.recursive.unwrap_or(true);
        match self.below {
            Some(ReadOnlyBelow::Writable) if !read_only => {
                return Err("`bind-recursive=writable` goes with `readonly`".into());
            }
            Some(ReadOnlyBelow::Forced) if !read_only || !recursive => {
                return Err("`bind-recursive=readonly` goes with `readonly`".into());
            }
            Some(ReadOnlyBelow::Forced) if propagation != Propagation::Private => {
                // What is mounted later on the other side would be writable.
                return Err("`bind-recursive=readonly` goes with `bind-propagation=rprivate`".into());
            }
            _ => {}
        }
        let read_only_below = self.below.unwrap_or_default();
        let bind = Bind::new(path, self.create.unwrap_or(false));
        Ok(MountSource::Bind(Bind { recursive, propagation, propagation_recursive, read_only_below, ..bind }))
    }
}

impl VolumeFields {
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let text = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("`{key}` needs a value"));
        match key {
            "volume-nocopy" => once(&mut self.no_copy, key, switch(key, value)?),
            "volume-subpath" => {
                once(&mut self.subpath, key, clean_subpath(text()?).map_err(|why| in_key(key, why))?)
            }
            "volume-driver" => once(&mut self.driver, key, text()?.to_owned()),
            "volume-label" => pair(&mut self.labels, key, text()?),
            "volume-opt" => pair(&mut self.options, key, text()?),
            other => Err(unknown("key", other, KEYS.into_iter())),
        }
    }

    fn source(self, name: Option<crate::Name>, read_only: bool) -> Result<MountSource, String> {
        if name.is_none() && self.subpath.is_some() {
            return Err("a volume without a name is new and has no `volume-subpath`".into());
        }
        if name.is_none() && read_only {
            return Err("a volume without a name is new and empty: it can't be `readonly`".into());
        }
        Ok(MountSource::Volume(Volume {
            name,
            no_copy: self.no_copy.unwrap_or(false),
            subpath: self.subpath,
            labels: self.labels,
            driver: self.driver,
            options: self.options,
        }))
    }
}

fn pair(map: &mut BTreeMap<String, String>, key: &str, text: &str) -> Result<(), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err(format!("`{key}` is `{key}=NAME=VALUE`"));
    }
    match map.insert(name.to_owned(), value.to_owned()) {
        Some(_) => Err(format!("`{key}={name}` is given twice")),
        None => Ok(()),
    }
}

impl TmpfsFields {
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let text = || value.filter(|v| !v.is_empty()).ok_or_else(|| format!("`{key}` needs a value"));
        match key {
            "tmpfs-size" => {
                let size = crate::bytes::parse_size("tmpfs size", text()?).map_err(|e| e.to_string())?;
                once(&mut self.size_bytes, key, size)
            }
            "tmpfs-mode" => once(&mut self.mode, key, super::tmpfs::parse_mode(text()?)?),
            "tmpfs-options" => match text()? {
                word @ ("exec" | "noexec") => once(&mut self.options, key, vec![word.to_owned()]),
                other => Err(format!("`{key}` is exec or noexec, not `{other}`")),
            },
            other => Err(unknown("key", other, KEYS.into_iter())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> MountSpec {
        parse_mount(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn mounts_of_the_long_form() {
        let check = |text: &str, source: MountSource, read_only| {
            let got = parsed(text);
            assert_eq!((got.source, got.target.as_str(), got.read_only), (source, "/t", read_only), "{text}");
        };
        let bind = || MountSource::Bind(Bind::new("/a", false));
        check("type=bind,src=/a,dst=/t,readonly", bind(), true);
        check("type=BIND,source=/a,destination=/t,ro=0,consistency=cached", bind(), false);
        check(r#""source=/a","type=bind",target=/t"#, bind(), false);
        let volume = Volume { name: "db".parse().ok(), ..Volume::default() };
        check("source=db,target=/t", MountSource::Volume(volume.clone()), false);
        let labels = [("a".to_owned(), "b=c".to_owned())].into();
        let options = [("type".to_owned(), "tmpfs".to_owned()), ("o".to_owned(), "size=1m,uid=3".to_owned())];
        let all = Volume {
            no_copy: true,
            subpath: Some("x/y".into()),
            driver: Some("local".into()),
            labels,
            options: options.into(),
            ..volume
        };
        let text = "source=db,target=/t,volume-nocopy,volume-subpath=x//y,volume-label=a=b=c,volume-driver=local,\
            volume-opt=type=tmpfs,\"volume-opt=o=size=1m,uid=3\"";
        check(text, MountSource::Volume(all), false);
        let tmpfs = MountSource::Tmpfs { size_bytes: Some(1 << 20), mode: Some(0o700), options: vec![] };
        check("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700", tmpfs, false);
        let image = MountSource::Image { reference: "busybox".into(), subpath: Some("etc".into()) };
        check("type=image,source=busybox,target=/t,image-subpath=etc", image, true);
    }

    #[test]
    fn what_read_only_means_below() {
        let check = |text: &str, recursive: bool, below: ReadOnlyBelow| {
            let MountSource::Bind(bind) = parsed(&format!("type=bind,src=/a,dst=/t,{text}")).source else {
                panic!("{text}")
            };
            assert_eq!((bind.recursive, bind.read_only_below), (recursive, below), "{text}");
        };
        check("ro", true, ReadOnlyBelow::Default);
        check("bind-recursive=enabled", true, ReadOnlyBelow::Default);
        check("bind-recursive=disabled", false, ReadOnlyBelow::Default);
        check("bind-nonrecursive", false, ReadOnlyBelow::Default);
        check("ro,bind-recursive=writable", true, ReadOnlyBelow::Writable);
        check("ro,bind-recursive=readonly,bind-propagation=rprivate", true, ReadOnlyBelow::Forced);
        check("ro,rro", true, ReadOnlyBelow::Forced);
    }

    #[test]
    fn a_smuggled_or_doubled_option_is_refused() {
        for bad in [
            "",
            "type=bind,target=/t",
            "type=bind,source=a,target=/t",
            "type=bind,source=/a,target=/t,bind-propagation=evil",
            "type=bind,source=/a,target=/t,target=/u",
            "type=bind,source=/a,target=/t,dst=/u",
            "type=bind,source=/a,target=/t,tmpfs-size=1m",
            "type=volume,target=/t,bind-propagation=shared",
            "type=tmpfs,source=/a,target=/t",
            "type=tmpfs,target=/t,uid=1",
            "type=npipe,target=/t",
            "type=cluster,target=/t",
            "type=bind,source=/a,target=/t,readonly=maybe",
            "type=bind,source=/a,target=/t,",
            "type=bind,source=/a,target=/t,\"ro,rro\"",
            "type=bind,source=/a,target=/t,ro\"",
            "type=bind,source=/a,target=/t,bind-recursive=writable",
            "type=bind,source=/a,target=/t,bind-recursive=readonly",
            "type=bind,source=/a,target=/t,ro,bind-recursive=readonly,bind-propagation=rslave",
            "type=bind,source=/a,target=/t,bind-nonrecursive,bind-recursive=enabled",
            "type=bind,source=/a,target=/t,consistency=never",
            "type=bind,source=/a,target=/t,idmap,uid=3",
            "type=volume,target=/t,volume-subpath=x",
            "type=volume,target=/t,readonly",
            "type=volume,source=a,target=/t,volume-subpath=../x",
            "type=volume,source=a,target=/t,volume-subpath=/x",
            "type=volume,source=a,target=/t,volume-opt=o=1,volume-opt=o=2",
            "type=image,target=/t",
            "type=image,source=a,target=/t,ro=false",
            "type=image,source=a,target=/t,image-subpath=..",
            "type=image,source=a,target=/t,volume-subpath=x",
            "type=tmpfs,target=/t,tmpfs-mode=9",
        ] {
            assert!(parse_mount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_word_is_named() {
        let check = |text: &str, near: &str| {
            let error = parse_mount(text).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{near}`?")), "{error}");
        };
        check("type=bind,souce=/a,target=/t", "source");
        check("type=bnd,source=/a,target=/t", "bind");
        check("type=bind,source=/a,target=/t,bind-propagaton=rslave", "bind-propagation");
        check("type=bind,source=/a,target=/t,bind-propagation=rsalve", "rslave");
        check("type=volume,source=a,target=/t,volume-nocpy", "volume-nocopy");
    }
}
