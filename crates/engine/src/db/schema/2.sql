-- Version 2: a tag names an index or a manifest, several platforms hang below it, leases keep what has no name yet.

ALTER TABLE images ADD COLUMN os TEXT NOT NULL DEFAULT 'linux';
ALTER TABLE images ADD COLUMN architecture TEXT NOT NULL DEFAULT '';
ALTER TABLE images ADD COLUMN variant TEXT NOT NULL DEFAULT '';
-- JSON: full references with a digest under which a registry gave it
ALTER TABLE images ADD COLUMN repo_digests TEXT NOT NULL DEFAULT '[]';
-- whether the layers' blobs are kept too, as the manifest names them
ALTER TABLE images ADD COLUMN blobs_kept INTEGER NOT NULL DEFAULT 0;
UPDATE images SET
    os = coalesce(config ->> '$.os', 'linux'),
    architecture = coalesce(config ->> '$.architecture', ''),
    variant = coalesce(config ->> '$.variant', '');

-- manifests and indexes whose exact bytes are among the blobs
CREATE TABLE manifests (
    digest      TEXT PRIMARY KEY,
    media_type  TEXT NOT NULL,
    -- the image that the manifest describes; NULL: an index
    image_id    TEXT REFERENCES images (id)
) STRICT;
CREATE INDEX manifests_image ON manifests (image_id);
-- what is here of an index; its bytes may name more
CREATE TABLE index_manifests (
    index_digest TEXT NOT NULL REFERENCES manifests (digest) ON DELETE CASCADE,
    manifest     TEXT NOT NULL REFERENCES manifests (digest),
    -- where the index names it
    position     INTEGER NOT NULL,
    PRIMARY KEY (index_digest, manifest)
) STRICT;
CREATE INDEX index_manifests_manifest ON index_manifests (manifest);
INSERT INTO manifests (digest, media_type, image_id)
    SELECT manifest, 'application/vnd.oci.image.manifest.v1+json', id FROM images;

ALTER TABLE tags RENAME TO tags_1;
CREATE TABLE tags (
    reference   TEXT PRIMARY KEY,
    -- the index or manifest
    target      TEXT NOT NULL REFERENCES manifests (digest),
    -- the image below it that is for this machine: what `run` takes, in one read
    image_id    TEXT NOT NULL REFERENCES images (id),
    -- NULL: before version 2
    tagged_ns   INTEGER
) STRICT;
INSERT INTO tags (reference, target, image_id)
    SELECT reference, manifest, image_id FROM tags_1 JOIN images ON image_id = id;
DROP TABLE tags_1;
CREATE INDEX tags_image ON tags (image_id);
CREATE INDEX tags_target ON tags (target);

-- who is making or using something that no name reaches yet
CREATE TABLE leases (
    id          TEXT PRIMARY KEY,
    -- in words: `load`, `pull docker.io/library/debian`
    owner       TEXT NOT NULL,
    created_ns  INTEGER NOT NULL,
    -- NULL: until it is removed
    expires_ns  INTEGER
) STRICT;
CREATE INDEX leases_expire ON leases (expires_ns) WHERE expires_ns IS NOT NULL;
CREATE TABLE lease_refs (
    lease       TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE,
    -- `image`, `manifest`, `blob` or `layer`, which is named by its chain id
    kind        TEXT NOT NULL,
    digest      TEXT NOT NULL,
    PRIMARY KEY (lease, kind, digest)
) STRICT;
CREATE INDEX lease_refs_digest ON lease_refs (digest);
