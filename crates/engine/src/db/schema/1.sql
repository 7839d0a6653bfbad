-- Version 1: what the first release has. Never changed: databases of it are out there.

CREATE TABLE sandboxes (
    id          TEXT PRIMARY KEY,
    -- first host id and number of ids while it lives; NULL: none, or the host's user namespace
    uid_base    INTEGER,
    uid_count   INTEGER,
    created_ns  INTEGER NOT NULL
) STRICT;
CREATE INDEX sandboxes_range ON sandboxes (uid_base) WHERE uid_base IS NOT NULL;

CREATE TABLE images (
    id          TEXT PRIMARY KEY,
    manifest    TEXT NOT NULL,
    config      TEXT NOT NULL,
    layers      TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    -- JSON: uids and gids of its files above 65,535
    high_ids    TEXT NOT NULL,
    created_ns  INTEGER NOT NULL
) STRICT;
CREATE TABLE layers (
    chain_id    TEXT PRIMARY KEY,
    diff_id     TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL
) STRICT;
CREATE TABLE tags (
    reference   TEXT PRIMARY KEY,
    image_id    TEXT NOT NULL REFERENCES images (id)
) STRICT;
CREATE INDEX tags_image ON tags (image_id);

CREATE TABLE containers (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL UNIQUE,
    image           TEXT NOT NULL,
    image_id        TEXT NOT NULL REFERENCES images (id),
    sandbox         TEXT NOT NULL REFERENCES sandboxes (id),
    config          TEXT NOT NULL,
    command         TEXT NOT NULL,
    labels          TEXT NOT NULL,
    mounts          TEXT NOT NULL,
    host_powers     TEXT NOT NULL,
    -- what is wanted and what was last learned are columns of their own
    wanted          TEXT NOT NULL,
    status          TEXT NOT NULL,
    stopped_by      TEXT,
    restart_count   INTEGER NOT NULL DEFAULT 0,
    boot_id         TEXT,
    pid             INTEGER,
    pid_start_ticks INTEGER,
    exit_code       INTEGER,
    oom_killed      INTEGER NOT NULL DEFAULT 0,
    error           TEXT,
    project         TEXT,
    depends_on      TEXT,
    created_ns      INTEGER NOT NULL,
    started_ns      INTEGER,
    finished_ns     INTEGER,
    external        TEXT,
    journal_offset  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX containers_alive ON containers (status) WHERE status IN ('running', 'paused', 'restarting');
CREATE INDEX containers_image ON containers (image_id);
CREATE INDEX containers_sandbox ON containers (sandbox);

CREATE TABLE volumes (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    labels      TEXT NOT NULL,
    anonymous   INTEGER NOT NULL,
    created_ns  INTEGER NOT NULL
) STRICT;
CREATE TABLE container_volumes (
    container   TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    volume      TEXT NOT NULL REFERENCES volumes (id),
    target      TEXT NOT NULL,
    PRIMARY KEY (container, target)
) STRICT;
CREATE INDEX container_volumes_volume ON container_volumes (volume);

CREATE TABLE execs (
    id          TEXT PRIMARY KEY,
    container   TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    command     TEXT NOT NULL,
    started_ns  INTEGER NOT NULL,
    exit_code   INTEGER
) STRICT;
CREATE INDEX execs_container ON execs (container);

CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    time_ns     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    action      TEXT NOT NULL,
    object      TEXT NOT NULL,
    attributes  TEXT NOT NULL
) STRICT;
