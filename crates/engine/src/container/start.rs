//! Starting a container: plan, spawn the keeper, hand over.

use std::collections::BTreeSet;
use std::path::Path;

use corten_model::ContainerId;
use corten_model::capability::CapSet;
use corten_model::container::ContainerConfig;
use corten_model::health::HealthConfig;
use corten_model::idmap::{DEFAULT_RANGE, HIGH_IDS_MAX, IdMap};
use corten_model::image::ImageDefaults;
use corten_model::restart::RestartPolicy;
use corten_model::security::SecurityOpt;
use corten_model::user::IdOrName;
use corten_runtime::seccomp;
use corten_runtime::spec::{Device, NsKind};
use corten_storage::snapshot::Snapshot;
use corten_storage::tree::Hands;

use super::create;
use super::{CreateRequest, Started, binds, devices, join, logging, reconcile, spec, stop};
use crate::attach::AttachOptions;
use crate::call::Line;
use crate::db::containers::{self, Container};
use crate::db::images::Image;
use crate::db::{images, sandboxes, volumes};
use crate::engine::random_id;
use crate::error::{Doing, OnFile};
use crate::ids::registry::{self, Claim};
use crate::keeper::places;
use crate::keeper::protocol::{Join, Logging, Prepare, Reply, Request, Start, Watch};
use crate::volume::Data;
use crate::{Engine, Error, Result, ids};

/// The longest seccomp profile that is read.
const PROFILE_MAX_BYTES: u64 = 4 << 20;

/// Makes a container and starts it. If the start fails, it stays as `Created` unless it is `--rm`.
///
/// The keeper is made before the database is opened: it makes the cgroup while the image is looked up. Then it is given
/// the plan, if that needs no more than the image, and works on it while the rows are written: the container's program
/// waits for them.
pub fn run(engine: &mut Engine, request: CreateRequest, attach: Option<AttachOptions>) -> Result<Started> {
    let image_name = request.image.clone();
    let mut checked = create::check(request).doing("run", &image_name)?;
    let line = if checked.host_userns { Line::spawn()? } else { Line::make()? };
    engine.timings().mark("keeper made");
    create::complete(engine, &mut checked).doing("run", &image_name)?;
    let host_devices = devices::resolve(&checked.request.config).doing("run", &image_name)?;
    let id = ContainerId::from_bytes(random_id()?);
    // What it makes ready goes again if no row comes to be: we hang up then, and so we do if we are killed.
    line.say(&prepare(engine, &id, &host_devices, false)).map_err(Error::from)?;
    let mut draft = create::draft(engine, checked, Some(id.clone())).doing("run", &image_name)?;
    let mut warnings = Vec::new();
    let mut early = None;
    if draft.stands_alone() {
        let found = Found { range: draft.range, ..Found::default() };
        let planned = Planned { container: &draft.container, image: &draft.image, awaits_rows: true };
        let plan = plan(engine, planned, found, host_devices.nodes.clone(), attach, &mut warnings);
        early = Some(plan.and_then(|start| Ok(line.say(&Request::Start(start))?)));
        engine.timings().mark("plan");
        crate::steps::reached("cli.planned");
    }
    let written = create::write(engine, &mut draft);
    written.inspect_err(|_| engine.release_ids()).doing("run", &image_name)?;
    crate::steps::reached("cli.created");
    let (container, image) = (draft.container, draft.image);
    let (auto_remove, name) = (container.config.auto_remove, container.name.clone());
    let launched = match early {
        Some(Err(error)) => {
            // The keeper, which waits for the plan, lets its lock go.
            drop(line);
            Err(error)
        }
        Some(Ok(())) => {
            let request = Request::Go { name: name.clone() };
            launch(engine, &container, line, &request, attach, warnings)
        }
        None => look_up(engine, &container).and_then(|found| {
            let planned = Planned { container: &container, image: &image, awaits_rows: false };
            let start = plan(engine, planned, found, host_devices.nodes, attach, &mut warnings)?;
            launch(engine, &container, line, &Request::Start(start), attach, warnings)
        }),
    };
    match launched {
        Ok(started) => Ok(started),
        Err(error) => {
            engine.release_ids();
            give_up(engine, &id, auto_remove)?;
            Err(error).doing("start container", name.as_str())
        }
    }
}

/// Starts a container that is made or has ended.
pub fn start(engine: &mut Engine, target: &str, attach: Option<AttachOptions>) -> Result<Started> {
    let container = super::resolve(engine, target).doing("start container", target)?;
    let id = container.id.clone();
    let container = reconcile::reconcile(engine, container).doing("start container", target)?;
    let Some(container) = container else {
        return Err(Error::NoSuch { what: "container", name: target.to_owned() });
    };
    if container.state.status.is_alive() {
        return running_already(engine, target, id, attach);
    }
    match start_stopped(engine, container, attach) {
        Ok(Some(started)) => Ok(started),
        Ok(None) => running_already(engine, target, id, attach),
        Err(error) => {
            give_up(engine, &id, false)?;
            Err(error).doing("start container", target)
        }
    }
}

/// As Docker: starting what runs is no error; who wants its streams gets them.
fn running_already(
    engine: &mut Engine,
    target: &str,
    id: ContainerId,
    attach: Option<AttachOptions>,
) -> Result<Started> {
    let session = attach.map(|options| super::attach(engine, target, options)).transpose()?;
    Ok(Started { id, session: session.map(|(session, _)| session), warnings: Vec::new() })
}

/// `None`: somebody else started it at the same time.
fn start_stopped(
    engine: &mut Engine,
    container: Container,
    attach: Option<AttachOptions>,
) -> Result<Option<Started>> {
    let mut line = Line::spawn()?;
    let host_devices = devices::resolve(&container.config)?;
    // From its answer on the keeper holds the lock: the row and the ids that follow are ours alone to change.
    match line.ask(&prepare(engine, &container.id, &host_devices, true)) {
        Err(error) if error.kind() == corten_model::Kind::Conflict => return Ok(None),
        reply => drop(reply?),
    }
    let gone = || Error::NoSuch { what: "container", name: container.name.to_string() };
    if let Some(volumes) = engine.fold(&container.id)? {
        super::remove_bytes(engine, &container.id, &volumes)?;
        return Err(gone());
    }
    let container = containers::by_id(engine.database()?.read(), &container.id)?.ok_or_else(gone)?;
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let image = image.ok_or_else(|| Error::NoSuch { what: "image", name: container.image.clone() })?;
    let pool = pool(engine, &container)?;
    let mark = |transaction: &_| mark_wanted(transaction, &container, &image, pool.as_ref());
    let claim = engine.database()?.write(|transaction| mark(transaction))?;
    engine.hold_ids(claim);
    if container.config.auto_remove {
        // It is restarted: a mount that promised to sync nothing is refused a second one of the same directory until
        // the mark that it left is gone.
        let work = engine.store().container_dir(&container.id).join("work/work");
        crate::inside::remove_trees(engine.is_rootless(), &[work], Hands::One)?;
    }
    let found = look_up(engine, &container)?;
    let mut warnings = Vec::new();
    let planned = Planned { container: &container, image: &image, awaits_rows: false };
    let start = plan(engine, planned, found, host_devices.nodes, attach, &mut warnings)?;
    launch(engine, &container, line, &Request::Start(start), attach, warnings).map(Some)
}

/// Where the host ids of a container come from; `None`: it gets none of its own.
pub(super) fn pool(engine: &Engine, container: &Container) -> Result<Option<sandboxes::Pool>> {
    let host_userns = corten_model::power::decide(&container.config)?.0;
    if host_userns || engine.is_rootless() { Ok(None) } else { ids::pool(engine).map(Some) }
}

/// Finds host ids for a container whose sandbox has no row yet. The claim on them is held until the keeper holds it.
pub(super) fn take_ids(
    engine: &mut Engine,
    container: &Container,
    image: &Image,
) -> Result<Option<(u32, u32)>> {
    let Some(pool) = pool(engine, container)? else { return Ok(None) };
    let (range, claim) = find_ids(engine.database()?.read(), container, image, &pool)?;
    engine.hold_ids(claim);
    Ok(Some(range))
}

/// Notes that the container shall run, and gives its sandbox ids unless another container of it has them already. The
/// claim on new ones is held until the keeper holds it.
pub(super) fn mark_wanted(
    connection: &rusqlite::Connection,
    container: &Container,
    image: &Image,
    pool: Option<&sandboxes::Pool>,
) -> Result<Claim> {
    // What a crash left in the row may be another store's by now.
    sandboxes::release_range(connection, &container.sandbox)?;
    containers::set_wanted(connection, &container.id, true)?;
    let Some(pool) = pool else { return Ok(Claim::default()) };
    if sandboxes::range(connection, &container.sandbox)?.is_some() {
        return Ok(Claim::default());
    }
    let (range, claim) = find_ids(connection, container, image, pool)?;
    sandboxes::set_range(connection, &container.sandbox, range)?;
    Ok(claim)
}

fn find_ids(
    connection: &rusqlite::Connection,
    container: &Container,
    image: &Image,
    pool: &sandboxes::Pool,
) -> Result<((u32, u32), Claim)> {
    let high = high_ids(container, image);
    if high.len() > HIGH_IDS_MAX {
        let what = format!("an image with more than {HIGH_IDS_MAX} ids above 65,535");
        return Err(Error::Unsupported { what, when: "in a user namespace: use `--userns=host`" });
    }
    let ranges = if high.is_empty() { 1 } else { 2 };
    let registry = Path::new(registry::DIRECTORY);
    let claim = |ids| Claim::take(registry, ids).on("take host ids in", registry);
    let found = sandboxes::find_range(connection, &container.sandbox, ranges, pool, claim)?;
    found.ok_or(Error::NoIds(ranges * corten_model::idmap::DEFAULT_RANGE))
}

/// The ids above 65,535 that the container needs: of its files, and the ones that were typed.
fn high_ids(container: &Container, image: &Image) -> Vec<u32> {
    let typed = match &container.config.user {
        Some(user) => Some(user.clone()),
        None => image.config.config.user.parse().ok(),
    };
    let parts = typed.map(|user| [user.user, user.group]).into_iter().flatten().flatten();
    let typed = parts.filter_map(|part| match part {
        IdOrName::Id(id) if id >= DEFAULT_RANGE => Some(id),
        _ => None,
    });
    let all: BTreeSet<u32> = image.high_ids.iter().copied().chain(typed).collect();
    all.into_iter().collect()
}

/// After a start that failed: what its keeper left and the ids go back; a `--rm` container goes.
///
/// Not if it runs all the same: somebody else started it, or its keeper was killed after it had journalled the start.
fn give_up(engine: &mut Engine, id: &ContainerId, remove: bool) -> Result<()> {
    let run = engine.roots().run.clone();
    let dir = places::directory(&run, id);
    if !dir.exists() {
        return take_back(engine, id, remove).map(drop);
    }
    let Some(_lock) = places::lock(&run, id).on("take the lock of", &dir)? else { return Ok(()) };
    if take_back(engine, id, remove)? {
        // The lock made the directory, if the keeper had removed it.
        places::remove(&run, id);
    }
    Ok(())
}

/// `false`: it runs.
fn take_back(engine: &mut Engine, id: &ContainerId, remove: bool) -> Result<bool> {
    if let Some(volumes) = engine.fold(id)? {
        super::remove_bytes(engine, id, &volumes)?;
        return Ok(true);
    }
    let Some(container) = containers::by_id(engine.database()?.read(), id)? else { return Ok(true) };
    if container.state.status.is_alive() {
        return Ok(false);
    }
    if places::directory(&engine.roots().run, id).exists() {
        reconcile::clean_up(engine, id)?;
    }
    let gone = engine.database()?.write(|transaction| -> Result<Vec<volumes::Volume>> {
        if remove {
            return crate::fold::remove_rows(transaction, &container, true);
        }
        containers::set_wanted(transaction, id, false)?;
        sandboxes::release_range(transaction, &container.sandbox)?;
        Ok(Vec::new())
    })?;
    if remove {
        super::remove_bytes(engine, id, &gone)?;
    }
    Ok(true)
}

/// The first words to a new keeper.
fn prepare(engine: &Engine, id: &ContainerId, host_devices: &devices::Resolved, confirm: bool) -> Request {
    Request::Prepare(Prepare {
        id: id.clone(),
        data: engine.roots().data.clone(),
        run: engine.roots().run.clone(),
        rootless: engine.is_rootless(),
        resources: host_devices.resources.clone(),
        cgroup_parent: host_devices.cgroup_parent.clone(),
        devices: host_devices.rules.clone(),
        adopt: false,
        confirm,
    })
}

/// The conversation with the keeper, from the last word that it waits for to the running process.
fn launch(
    engine: &mut Engine,
    container: &Container,
    mut line: Line,
    request: &Request,
    attach: Option<AttachOptions>,
    mut warnings: Vec<String>,
) -> Result<Started> {
    let reply = line.ask(request);
    // The keeper holds them now, or nobody needs them.
    engine.release_ids();
    let reply = reply?;
    let Reply::Started { warnings: more, stamps, .. } = reply else {
        return Err(crate::call::Error::Nonsense(None).into());
    };
    engine.timings().add(stamps);
    engine.timings().mark("started");
    crate::steps::reached("cli.started");
    warnings.extend(more);
    let session = attach.map(|_| {
        let mut session = line.into_session(&engine.roots().run, &container.id);
        session.settles = container.config.auto_remove;
        session
    });
    if container.config.auto_remove && session.is_some() {
        // The app takes longer to begin than this, and its end is told that much sooner.
        crate::fold::prepare_removal(engine.database()?);
    }
    Ok(Started { id: container.id.clone(), session, warnings })
}

/// What a plan needs of other rows than the container's and the image's.
#[derive(Default)]
struct Found {
    /// Namespaces of others.
    join: Vec<Join>,
    /// The host ids of its sandbox.
    range: Option<(u32, u32)>,
    /// Volumes: target and the data's path.
    volumes: Vec<(String, Data)>,
    /// Where images are mounted, and the layers of each.
    images: (Vec<String>, Vec<Snapshot>),
}

fn look_up(engine: &mut Engine, container: &Container) -> Result<Found> {
    let join = join::joins(engine, container)?;
    let range = sandboxes::range(engine.database()?.read(), &container.sandbox)?;
    let volumes = binds::volumes(engine, container)?;
    let images = image_trees(engine, container)?;
    Ok(Found { join, range, volumes, images })
}

/// What is planned.
struct Planned<'a> {
    container: &'a Container,
    image: &'a Image,
    /// Its rows are still to be written.
    awaits_rows: bool,
}

/// Everything that the keeper needs to know.
fn plan(
    engine: &mut Engine,
    planned: Planned<'_>,
    found: Found,
    device_nodes: Vec<Device>,
    attach: Option<AttachOptions>,
    warnings: &mut Vec<String>,
) -> Result<Start> {
    let Planned { container, image, awaits_rows } = planned;
    let config = &container.config;
    binds::check(&config.mounts)?;
    let log = logging_of(engine, container)?;
    let map = id_map(engine, container, image, found.range, warnings)?;
    let (images, trees) = found.images;
    let profile = profile(engine, config)?;
    let generated = places::directory(&engine.roots().run, &container.id);
    let joined: Vec<NsKind> =
        found.join.iter().flat_map(|j| j.kinds.iter()).filter_map(|k| kind_of(k)).collect();
    let mut lowers = image::lowers_top_first(engine, image);
    if lowers.is_empty() {
        return Err(Error::Unsupported {
            what: format!("an image without layers ({})", container.image),
            when: "to run",
        });
    }
    lowers.push(engine.store().skeleton());
    Ok(Start {
        spec: spec::build(spec::Inputs {
            id: &container.id,
            config,
            image: &image.config.config,
            command: &container.command,
            map: map.as_ref(),
            generated: &generated.to_string_lossy(),
            volumes: &found.volumes,
            images: &images,
            devices: device_nodes,
            joined: &joined,
            size: attach.and_then(|a| a.size),
        })?,
        files: super::files::generate(container),
        snapshot: Snapshot {
            lowers,
            dir: engine.store().container_dir(&container.id),
            volatile: config.auto_remove,
            rootless: engine.is_rootless(),
            read_only: false,
        },
        trees,
        join: found.join,
        init: config.init == Some(true),
        open_stdin: config.open_stdin,
        seccomp: spec::seccomp(config, profile),
        auto_remove: config.auto_remove,
        log,
        attach,
        name: Some(container.name.clone()),
        term_is_ours: spec::term_is_ours(config, &image.config.config),
        watch: watch(config, &image.config.config, 0),
        awaits_rows,
    })
}

use crate::image;

/// The shell that runs a health check's text, unless the image has another.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// What its keeper does beside relaying; most containers want nothing.
pub(super) fn watch(config: &ContainerConfig, image: &ImageDefaults, restarts: u32) -> Option<Box<Watch>> {
    let restart = config.more.restart;
    let probe = health(config, image).and_then(|health| {
        let shell = image.shell.clone().unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
        health.probe(&shell)
    });
    if restart == RestartPolicy::No && probe.is_none() {
        return None;
    }
    Some(Box::new(Watch { restart, restarts, stop_signal: stop::signal_of(config, image).number(), probe }))
}

/// Its health check, completed by the image's.
pub(super) fn health(config: &ContainerConfig, image: &ImageDefaults) -> Option<HealthConfig> {
    // A check of the image that can't be understood is none.
    let images = image.healthcheck.as_ref().and_then(|check| serde_json::from_value(check.clone()).ok());
    match (&config.more.health, images) {
        (None, images) => images,
        (Some(own), None) => Some(own.clone()),
        (Some(own), Some(images)) => Some(own.clone().merged(images)),
    }
}

/// The same for one that runs already.
pub(super) fn watch_of(engine: &mut Engine, container: &Container) -> Result<Option<Box<Watch>>> {
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let defaults = image.map(|image| image.config.config).unwrap_or_default();
    Ok(watch(&container.config, &defaults, container.state.restarts))
}

/// What a start of a container that runs would be now: for a policy that it gets meanwhile.
pub(super) fn plan_anew(engine: &mut Engine, container: &Container) -> Result<Start> {
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let image = image.ok_or_else(|| Error::NoSuch { what: "image", name: container.image.clone() })?;
    let host_devices = devices::resolve(&container.config)?;
    let found = look_up(engine, container)?;
    let planned = Planned { container, image: &image, awaits_rows: false };
    plan(engine, planned, found, host_devices.nodes, None, &mut Vec::new())
}

/// What becomes of its output.
pub(super) fn logging_of(engine: &mut Engine, container: &Container) -> Result<Logging> {
    let limits = engine.config()?.log;
    let config = &container.config;
    if !logging::tells(&config.more.log) {
        return Ok(logging::logging(container, &[], &config.labels, limits)?);
    }
    let image = images::by_id(engine.database()?.read(), &container.image_id)?;
    let defaults = image.map(|image| image.config.config).unwrap_or_default();
    let env = spec::environment(&container.id, config, &defaults);
    let mut labels = defaults.labels.unwrap_or_default();
    labels.extend(config.labels.clone());
    Ok(logging::logging(container, &env, &labels, limits)?)
}

/// Where images are mounted, and the layers of each.
fn image_trees(engine: &mut Engine, container: &Container) -> Result<(Vec<String>, Vec<Snapshot>)> {
    let mounted = images::mounted_by(engine.database()?.read(), &container.id)?;
    let rootless = engine.is_rootless();
    let tree = |(image, target): (Image, String)| {
        let lowers = image::lowers_top_first(engine, &image);
        let dir = Default::default();
        (target, Snapshot { lowers, dir, volatile: false, rootless, read_only: true })
    };
    Ok(mounted.into_iter().map(tree).unzip())
}

fn kind_of(word: &str) -> Option<NsKind> {
    [NsKind::User, NsKind::Net, NsKind::Ipc, NsKind::Uts, NsKind::Pid].into_iter().find(|k| k.word() == word)
}

/// The text of the seccomp profile that was typed, else of the configured one; `None`: the built-in one, or none at all.
pub(super) fn profile(engine: &Engine, config: &ContainerConfig) -> Result<Option<String>> {
    let typed = config.security.iter().find_map(|option| match option {
        SecurityOpt::SeccompProfile(path) => Some(Some(Path::new(path))),
        SecurityOpt::SeccompUnconfined | SecurityOpt::SeccompBuiltin => Some(None),
        _ => None,
    });
    let path = match typed {
        Some(typed) => typed,
        None if config.privileged => None,
        None => engine.config()?.container.seccomp_profile.as_deref(),
    };
    path.map(read_profile).transpose()
}

fn read_profile(path: &Path) -> Result<String> {
    use std::io::Read;
    let file = std::fs::File::open(path).on("read the seccomp profile", path)?;
    let mut text = String::new();
    file.take(PROFILE_MAX_BYTES).read_to_string(&mut text).on("read the seccomp profile", path)?;
    // The keeper compiles it; here it is known which file is wrong.
    let compiled = seccomp::filter(None, &text, CapSet::ALL, (0, 0));
    compiled.map_err(|source| Error::Profile { path: path.to_owned(), source })?;
    Ok(text)
}

/// The maps of the container's user namespace; `None` in the host's.
fn id_map(
    engine: &Engine,
    container: &Container,
    image: &Image,
    range: Option<(u32, u32)>,
    warnings: &mut Vec<String>,
) -> Result<Option<IdMap>> {
    if engine.is_rootless() {
        let (map, warning) = ids::rootless_map()?;
        warnings.extend(warning);
        return Ok(Some(map));
    }
    if corten_model::power::decide(&container.config)?.0 {
        return Ok(None);
    }
    // Without ids it must not run at all: no map would mean the host's user namespace.
    let (base, count) = range.ok_or(Error::NoIds(DEFAULT_RANGE))?;
    // A sandbox that another container began may lack the second range: what runs in it has that map anyway.
    let high = if count > DEFAULT_RANGE { high_ids(container, image) } else { Vec::new() };
    Ok(Some(IdMap::with_high(base, &high)))
}
