//! Making a container: everything is checked first, then one transaction makes it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use corten_model::container::{ContainerConfig, MoreConfig};
use corten_model::health::HealthConfig;
use corten_model::namespace::{IpcMode, NetworkMode, PidMode, UtsMode};
use corten_model::restart::RestartPolicy;
use corten_model::security::SecurityOpt;
use corten_model::{ContainerId, Digest, Invalid, Name, SandboxId, VolumeId, power};

use super::{CreateRequest, Created, defaults, logging, mounts, names, spec};
use crate::db::containers::{self, Container, State};
use crate::db::images::Image;
use crate::db::{events, images, sandboxes, volumes};
use crate::engine::random_id;
use crate::error::{Doing, OnFile};
use crate::ids::registry::Claim;
use crate::{Engine, Error, Result, image, journal};

/// How many random names are tried.
const NAME_TRIES: u32 = 32;

/// What is known of a container before anything is looked up: pure.
pub(super) struct Checked {
    pub request: CreateRequest,
    pub host_userns: bool,
    pub powers: Vec<power::Power>,
}

/// Checks what can be checked without the image, the host and the database.
pub(super) fn check(request: CreateRequest) -> Result<Checked> {
    let config = &request.config;
    config.resources.validate()?;
    let (host_userns, powers) = power::decide(config)?;
    mounts::check(config)?;
    for option in &config.security {
        if let SecurityOpt::Label(label) = option
            && label != "disable"
        {
            return Err(Error::Unsupported { what: format!("--security-opt label={label}"), when: "yet" });
        }
    }
    if let Some(dir) = &config.working_dir
        && !dir.starts_with('/')
    {
        return Err(Invalid::new("working directory", dir, "it is an absolute path").into());
    }
    check_more(config)?;
    if let Some(name) = &config.hostname {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        if name.is_empty() || name.len() > 63 || !name.bytes().all(good) || name.starts_with('-') {
            return Err(Invalid::new("hostname", name, "1 to 63 of `a-z A-Z 0-9 - .`").into());
        }
        if config.uts == UtsMode::Host {
            let why = "with `--uts host` the container has the host's name";
            return Err(Invalid::new("hostname", name, why).into());
        }
    }
    Ok(Checked { request, host_userns, powers })
}

/// The longest domain name that the kernel takes.
const DOMAIN_MAX_BYTES: usize = 64;

/// The same for what only some containers ask for.
fn check_more(config: &ContainerConfig) -> Result<()> {
    let more = &config.more;
    if *more == MoreConfig::default() {
        return Ok(());
    }
    logging::check(&more.log)?;
    more.health.as_ref().map(HealthConfig::validate).transpose()?;
    if more.restart != RestartPolicy::No && config.auto_remove {
        return Err(Error::Conflict { what: "--restart", with: "--rm" });
    }
    if let Some(domain) = &more.domainname {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if domain.is_empty() || domain.len() > DOMAIN_MAX_BYTES || !domain.bytes().all(good) {
            return Err(Invalid::new("domain name", domain, "1 to 64 of `a-z A-Z 0-9 - . _`").into());
        }
        if config.uts == UtsMode::Host {
            let why = "with `--uts host` the container has the host's name";
            return Err(Invalid::new("domain name", domain, why).into());
        }
    }
    if let Some(isolation) = more.isolation.as_deref()
        && !isolation.eq_ignore_ascii_case("default")
    {
        return Err(Invalid::new("isolation", isolation, "linux only supports `default`").into());
    }
    if matches!(config.network, NetworkMode::Container(_)) {
        let asked = [
            (!more.dns.is_empty() || !more.dns_search.is_empty() || !more.dns_options.is_empty(), "dns"),
            (!more.extra_hosts.is_empty(), "custom host-to-IP mapping"),
            (!more.exposed_ports.is_empty(), "port exposing"),
        ];
        if let Some((_, what)) = asked.iter().find(|(asked, _)| *asked) {
            return Err(Error::Conflict { what, with: "the container type network mode" });
        }
    }
    Ok(())
}

/// Makes a container.
pub fn create(engine: &mut Engine, request: CreateRequest) -> Result<Created> {
    let image_name = request.image.clone();
    let mut checked = check(request).doing("create a container of", &image_name)?;
    complete(engine, &mut checked).doing("create a container of", &image_name)?;
    let drafted = draft(engine, checked, None).and_then(|mut draft| {
        write(engine, &mut draft)?;
        Ok(draft.container)
    });
    let container = drafted.doing("create a container of", &image_name)?;
    Ok(Created { id: container.id, name: container.name, warnings: Vec::new() })
}

/// Fills in what the configuration says of containers that don't say it themselves.
pub(super) fn complete(engine: &mut Engine, checked: &mut Checked) -> Result<()> {
    defaults::fill(&mut checked.request.config, &engine.config()?.container);
    Ok(())
}

/// A container that is about to be made: everything is looked up, nothing is written.
pub(super) struct Draft {
    pub container: Container,
    pub image: Image,
    /// The host ids of its own sandbox, if it is started.
    pub range: Option<(u32, u32)>,
    own_sandbox: bool,
    typed_name: bool,
    /// Where its id is written.
    id_file: Option<Arc<File>>,
    volumes: Vec<mounts::Wanted>,
    /// Images that are mounted, and where.
    mounted_images: Vec<(Digest, String)>,
    starts: bool,
}

impl Draft {
    /// Whether its plan needs no row but the image's: then a keeper may work on it while the rows are written.
    pub fn stands_alone(&self) -> bool {
        self.own_sandbox && self.volumes.is_empty() && self.mounted_images.is_empty()
    }
}

/// Looks up what the rows need. With `starting`, the id under which a keeper waits for it already, a sandbox of its own
/// gets its host ids.
pub(super) fn draft(engine: &mut Engine, checked: Checked, starting: Option<ContainerId>) -> Result<Draft> {
    let Checked { mut request, host_userns, powers } = checked;
    let image = image::for_container(engine, &request.image, request.platform.as_ref())?;
    mounts::inherit(engine, &mut request.config)?;
    let command = spec::command(&request.config, &image.config.config);
    if command.is_empty() {
        return Err(Error::NoCommand(request.image));
    }
    let starts = starting.is_some();
    let id = starting.map_or_else(|| random_id().map(ContainerId::from_bytes), Ok)?;
    let sandbox = sandbox_of(engine, &request.config)?;
    let own_sandbox = sandbox.is_none();
    let container = Container {
        sandbox: sandbox.map_or_else(|| random_id().map(SandboxId::from_bytes), Ok)?,
        name: request.name.clone().unwrap_or_else(|| names::for_id(&id, 0)),
        id,
        image: request.image,
        image_id: image.id.clone(),
        command,
        host_powers: powers.iter().map(power::Power::asked_by).collect(),
        config: request.config,
        state: State::created(),
        created_ns: journal::now_ns(),
        journal_offset: 0,
    };
    let volumes = mounts::wanted_volumes(engine, &container.config, &image)?;
    let mounted_images = mounts::wanted_images(engine, &container.config)?;
    let range = match starts && own_sandbox && !host_userns {
        true => super::start::take_ids(engine, &container, &image)?,
        false => None,
    };
    Ok(Draft {
        container,
        image,
        range,
        own_sandbox,
        typed_name: request.name.is_some(),
        id_file: request.id_file,
        volumes,
        mounted_images,
        starts,
    })
}

/// Writes the rows, in one transaction. The container may get another name than the draft had, unless it was typed.
pub(super) fn write(engine: &mut Engine, draft: &mut Draft) -> Result<()> {
    // Bytes before rows; what has no row in the end goes again.
    let has_new = draft.volumes.iter().any(|wanted| wanted.is_new);
    let _writing = if has_new || draft.volumes.iter().any(|wanted| wanted.copies) {
        Some(engine.store().writing()?)
    } else {
        None
    };
    mounts::make_data(engine, &draft.image, &draft.volumes)?;
    let pool = match draft.starts && !draft.own_sandbox {
        true => super::start::pool(engine, &draft.container)?,
        false => None,
    };
    let mut superfluous = Vec::new();
    let made = engine.database()?.write(|transaction| -> Result<Claim> {
        let written = write_rows(transaction, draft, &mut superfluous);
        if written.is_err() {
            check_still_there(transaction, &draft.container, draft.own_sandbox)?;
        }
        written?;
        match draft.starts && !draft.own_sandbox {
            true => super::start::mark_wanted(transaction, &draft.container, &draft.image, pool.as_ref()),
            false => Ok(Claim::default()),
        }
    });
    if has_new && (made.is_err() || !superfluous.is_empty()) {
        let new = draft.volumes.iter().filter(|wanted| wanted.is_new).map(|wanted| &wanted.volume);
        crate::volume::remove_data(engine, new.filter(|v| made.is_err() || superfluous.contains(&v.id)))?;
    }
    engine.timings().mark("container row");
    let claim = made?;
    tell_id(draft.id_file.as_deref(), &draft.container.id)?;
    engine.hold_ids(claim);
    Ok(())
}

/// Writes the id where somebody waits for it.
fn tell_id(file: Option<&File>, id: &ContainerId) -> Result<()> {
    let Some(mut file) = file else { return Ok(()) };
    file.write_all(id.as_str().as_bytes()).on("write the container's id to", Path::new("--cidfile"))
}

fn write_rows(
    connection: &rusqlite::Connection,
    draft: &mut Draft,
    superfluous: &mut Vec<VolumeId>,
) -> Result<()> {
    let now = draft.container.created_ns;
    if draft.own_sandbox {
        sandboxes::insert(connection, &draft.container.sandbox, draft.range, now)?;
    }
    insert_named(connection, draft)?;
    for wanted in &draft.volumes {
        let id = volume_row(connection, &wanted.volume, superfluous)?;
        volumes::attach(connection, &draft.container.id, &id, &wanted.target)?;
    }
    mounts::hold_images(connection, &draft.container, &draft.mounted_images)?;
    events::of_container(connection, now, "create", &draft.container, &[]).map_err(Into::into)
}

/// What was looked up before the transaction may be gone; a foreign key says no more than that one failed.
fn check_still_there(
    connection: &rusqlite::Connection,
    container: &Container,
    own_sandbox: bool,
) -> Result<()> {
    if !images::exists(connection, &container.image_id)? {
        return Err(Error::NoSuch { what: "image", name: container.image.clone() });
    }
    if !own_sandbox && !sandboxes::exists(connection, &container.sandbox)? {
        let target = joined(&container.config).into_iter().flatten().next().cloned().unwrap_or_default();
        return Err(Error::NoSuch { what: "container", name: target });
    }
    Ok(())
}

/// The row of a volume that the container mounts: the one that is there under its name, even if another command made
/// it since we looked; else a new one. Data that was made for nothing is noted.
fn volume_row(
    connection: &rusqlite::Connection,
    volume: &volumes::Volume,
    superfluous: &mut Vec<VolumeId>,
) -> Result<VolumeId> {
    match volumes::by_name(connection, volume.name.as_str())? {
        Some(known) if known.id == volume.id => Ok(known.id),
        Some(other) => {
            superfluous.push(volume.id.clone());
            Ok(other.id)
        }
        None => {
            volumes::insert(connection, volume)?;
            Ok(volume.id.clone())
        }
    }
}

/// Inserts the row under its name, or under the next random one that is free.
fn insert_named(connection: &rusqlite::Connection, draft: &mut Draft) -> Result<()> {
    for attempt in 1..NAME_TRIES {
        // What joins a sandbox is marked when that is put right.
        if containers::insert(connection, &draft.container, draft.starts && draft.own_sandbox)? {
            return Ok(());
        }
        if draft.typed_name {
            break;
        }
        draft.container.name = names::for_id(&draft.container.id, attempt);
    }
    Err(name_in_use(connection, &draft.container.name)?)
}

/// The error that tells who has the name.
pub(super) fn name_in_use(connection: &rusqlite::Connection, name: &Name) -> Result<Error> {
    let by = containers::matching(connection, name.as_str())?;
    let by = by.first().map(|c| c.id.short().to_owned()).unwrap_or_default();
    Ok(Error::NameInUse { name: name.to_string(), by })
}

/// The containers whose namespaces are joined, as they were typed.
fn joined(config: &ContainerConfig) -> [Option<&String>; 3] {
    let network = match &config.network {
        NetworkMode::Container(target) => Some(target),
        _ => None,
    };
    let ipc = match &config.ipc {
        IpcMode::Container(target) => Some(target),
        _ => None,
    };
    let pid = match &config.pid {
        PidMode::Container(target) => Some(target),
        _ => None,
    };
    [network, ipc, pid]
}

/// The sandbox of the container whose namespaces are joined, if any.
fn sandbox_of(engine: &mut Engine, config: &ContainerConfig) -> Result<Option<SandboxId>> {
    let mut found: Option<SandboxId> = None;
    for target in joined(config).into_iter().flatten() {
        let sandbox = super::resolve(engine, target)?.sandbox;
        if found.as_ref().is_some_and(|f| *f != sandbox) {
            let why = "a container belongs to one sandbox, and these are of different ones";
            return Err(Invalid::new("container to join", target, why).into());
        }
        found = Some(sandbox);
    }
    Ok(found)
}
