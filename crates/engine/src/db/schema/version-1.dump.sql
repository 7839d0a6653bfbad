PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE sandboxes (
    id          TEXT PRIMARY KEY,
    -- first host id and number of ids while it lives; NULL: none, or the host's user namespace
    uid_base    INTEGER,
    uid_count   INTEGER,
    created_ns  INTEGER NOT NULL
) STRICT;
INSERT INTO sandboxes VALUES('03a8f2f9490cc177e17f57e7e5499d3d9c0100df3b2dd6d2baeb3c4fe28b0a60',NULL,NULL,1795314114351735656);
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
INSERT INTO images VALUES('sha256:bc298007969338c4a67696375e5d759ef73047542c4231007555a97a53dc7026','sha256:27f81dbf12a945cecce1e34828691810199388b8d1688314c9999aac026edb05','{"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux","config":{"Entrypoint":["/corten-hello"]},"rootfs":{"type":"layers","diff_ids":["sha256:c3dc82c208165076653a3c738c804feee6d21e33f57f044fbefd64e7299450be"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"COPY corten-hello /"}]}','[{"diff_id":"sha256:c3dc82c208165076653a3c738c804feee6d21e33f57f044fbefd64e7299450be","chain_id":"sha256:c3dc82c208165076653a3c738c804feee6d21e33f57f044fbefd64e7299450be","size_bytes":8179262}]',8179262,'[]',1795314114309987614);
INSERT INTO images VALUES('sha256:53bc444f3bbc2d43dbe0d261c4b21a8cb28bb152d1f9995f2ce2cd2deee973de','sha256:4cef396c3deb08d48e5a94266eb55a24e592486032432a9482f0dbce67b424e6','{"created":"2026-11-22T02:21:54.334441133Z","architecture":"amd64","os":"linux","config":{"Volumes":{"/data":{}},"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66"]},"history":[{"created":"2026-11-22T02:21:54.334441133Z","comment":"Imported from -"}]}','[{"diff_id":"sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66","chain_id":"sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66","size_bytes":1982256}]',1982256,'[]',1795314114342124885);
INSERT INTO images VALUES('sha256:2cfe45bd139495e238c57f19eab2ef3da259aef6ed6297ea92091869139fe305','sha256:fb4555cd0f1b31c7c465f6f231f55e5b3cb64d6c1c4da8f9586e1deddda61188','{"created":"2026-11-22T02:21:54.344680696Z","architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sh","-c","true"]},"rootfs":{"type":"layers","diff_ids":["sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66"]},"history":[{"created":"2026-11-22T02:21:54.344680696Z","comment":"Imported from -"}]}','[{"diff_id":"sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66","chain_id":"sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66","size_bytes":1982256}]',1982256,'[]',1795314114348472973);
CREATE TABLE layers (
    chain_id    TEXT PRIMARY KEY,
    diff_id     TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL
) STRICT;
INSERT INTO layers VALUES('sha256:c3dc82c208165076653a3c738c804feee6d21e33f57f044fbefd64e7299450be','sha256:c3dc82c208165076653a3c738c804feee6d21e33f57f044fbefd64e7299450be',8179262);
INSERT INTO layers VALUES('sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66','sha256:4a4062adfc160479841ed99fca2f6a540b6ec2c6e29fd0a7f95792fd19fdee66',1982256);
CREATE TABLE tags (
    reference   TEXT PRIMARY KEY,
    image_id    TEXT NOT NULL REFERENCES images (id)
) STRICT;
INSERT INTO tags VALUES('corten/hello:latest','sha256:bc298007969338c4a67696375e5d759ef73047542c4231007555a97a53dc7026');
INSERT INTO tags VALUES('docker.io/library/one:1','sha256:53bc444f3bbc2d43dbe0d261c4b21a8cb28bb152d1f9995f2ce2cd2deee973de');
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
INSERT INTO containers VALUES(1,'9d554c34f10f2dfcaa0fe0e30e3b1c44628b29c2d68e7551d015135bd1cedab6','web','one:1','sha256:53bc444f3bbc2d43dbe0d261c4b21a8cb28bb152d1f9995f2ce2cd2deee973de','03a8f2f9490cc177e17f57e7e5499d3d9c0100df3b2dd6d2baeb3c4fe28b0a60','{"version":1,"cmd":["sh","-c","sleep 1"],"entrypoint":null,"env":[],"working_dir":null,"user":null,"hostname":null,"tty":false,"open_stdin":false,"attach":false,"auto_remove":false,"init":false,"labels":{},"mounts":[],"read_only":false,"cap_add":[],"cap_drop":[],"privileged":false,"security":[],"resources":{"memory_bytes":null,"memory_swap_bytes":null,"nano_cpus":null,"cpuset_cpus":null,"pids_limit":null},"ulimits":[],"shm_size_bytes":67108864,"sysctls":{},"devices":[],"network":"none","pid":"private","ipc":"private","uts":"private","userns":"default","cgroupns":"private","stop_signal":null,"stop_timeout_s":null}','["sh","-c","sleep 1"]','{}','[]','[]','stopped','exited',NULL,0,'f10c6bc4-abf3-49a3-8ae1-82d4bf169c22',NULL,NULL,0,0,NULL,NULL,NULL,1795314114351735656,1795314114356058196,1795314115359459869,'[{"Bind":{"destination":"/etc/resolv.conf","source":"/tmp/images-x/run/c/9d554c34f10f/resolv.conf"}},{"Bind":{"destination":"/etc/hostname","source":"/tmp/images-x/run/c/9d554c34f10f/hostname"}},{"Bind":{"destination":"/etc/hosts","source":"/tmp/images-x/run/c/9d554c34f10f/hosts"}},{"Bind":{"destination":"/data","source":"/tmp/images-x/root/volumes/f7875e12d6f0c34f0c03dfa3649fc47afa7a9ba33f191ead7537d271a69ef927/data"}},{"Fd":{"number":0,"what":"/dev/null"}},{"Fd":{"number":1,"what":"/tmp/images-x/run/c/9d554c34f10f/out"}},{"Fd":{"number":2,"what":"/tmp/images-x/run/c/9d554c34f10f/err"}}]',819);
CREATE TABLE volumes (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    labels      TEXT NOT NULL,
    anonymous   INTEGER NOT NULL,
    created_ns  INTEGER NOT NULL
) STRICT;
INSERT INTO volumes VALUES('f7875e12d6f0c34f0c03dfa3649fc47afa7a9ba33f191ead7537d271a69ef927','f7875e12d6f0c34f0c03dfa3649fc47afa7a9ba33f191ead7537d271a69ef927','{}',1,1795314114351740547);
INSERT INTO volumes VALUES('4cf5a0247947f6bf1c613220990157c2e53e22500be4312301ad9528e64e6c56','vol','{}',0,1795314114358886850);
CREATE TABLE container_volumes (
    container   TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    volume      TEXT NOT NULL REFERENCES volumes (id),
    target      TEXT NOT NULL,
    PRIMARY KEY (container, target)
) STRICT;
INSERT INTO container_volumes VALUES('9d554c34f10f2dfcaa0fe0e30e3b1c44628b29c2d68e7551d015135bd1cedab6','f7875e12d6f0c34f0c03dfa3649fc47afa7a9ba33f191ead7537d271a69ef927','/data');
CREATE TABLE execs (
    id          TEXT PRIMARY KEY,
    container   TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    command     TEXT NOT NULL,
    started_ns  INTEGER NOT NULL,
    exit_code   INTEGER
) STRICT;
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY,
    time_ns     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    action      TEXT NOT NULL,
    object      TEXT NOT NULL,
    attributes  TEXT NOT NULL
) STRICT;
INSERT INTO events VALUES(1,1795314114309987614,'image','pull','sha256:bc298007969338c4a67696375e5d759ef73047542c4231007555a97a53dc7026','{"name":"corten/hello:latest"}');
INSERT INTO events VALUES(2,1795314114310456003,'container','create','f8b12ac67269a700e0c5f4d16d39ba2012f804b63aead66728c0ae17128507ac','{"image":"hello","name":"modest_indium"}');
INSERT INTO events VALUES(3,1795314114316181135,'container','start','f8b12ac67269a700e0c5f4d16d39ba2012f804b63aead66728c0ae17128507ac','{"image":"hello","name":"modest_indium"}');
INSERT INTO events VALUES(4,1795314114316810428,'container','die','f8b12ac67269a700e0c5f4d16d39ba2012f804b63aead66728c0ae17128507ac','{"exitCode":"0","image":"hello","name":"modest_indium"}');
INSERT INTO events VALUES(5,1795314114317134932,'container','destroy','f8b12ac67269a700e0c5f4d16d39ba2012f804b63aead66728c0ae17128507ac','{"image":"hello","name":"modest_indium"}');
INSERT INTO events VALUES(6,1795314114342124885,'image','import','sha256:53bc444f3bbc2d43dbe0d261c4b21a8cb28bb152d1f9995f2ce2cd2deee973de','{"name":"one:1"}');
INSERT INTO events VALUES(7,1795314114348472973,'image','import','sha256:2cfe45bd139495e238c57f19eab2ef3da259aef6ed6297ea92091869139fe305','{"name":""}');
INSERT INTO events VALUES(8,1795314114351735656,'container','create','9d554c34f10f2dfcaa0fe0e30e3b1c44628b29c2d68e7551d015135bd1cedab6','{"image":"one:1","name":"web"}');
INSERT INTO events VALUES(9,1795314114356058196,'container','start','9d554c34f10f2dfcaa0fe0e30e3b1c44628b29c2d68e7551d015135bd1cedab6','{"image":"one:1","name":"web"}');
INSERT INTO events VALUES(10,1795314114358886850,'volume','create','vol','{"driver":"local"}');
INSERT INTO events VALUES(11,1795314115359459869,'container','die','9d554c34f10f2dfcaa0fe0e30e3b1c44628b29c2d68e7551d015135bd1cedab6','{"exitCode":"0","image":"one:1","name":"web"}');
CREATE INDEX sandboxes_range ON sandboxes (uid_base) WHERE uid_base IS NOT NULL;
CREATE INDEX tags_image ON tags (image_id);
CREATE INDEX containers_alive ON containers (status) WHERE status IN ('running', 'paused', 'restarting');
CREATE INDEX containers_image ON containers (image_id);
CREATE INDEX containers_sandbox ON containers (sandbox);
CREATE INDEX container_volumes_volume ON container_volumes (volume);
CREATE INDEX execs_container ON execs (container);
COMMIT;
