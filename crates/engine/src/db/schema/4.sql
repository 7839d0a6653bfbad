-- Version 4: where registries have the blobs of layers, and which of them are kept here.

CREATE TABLE layer_blobs (
    -- the layer's plain archive
    diff_id     TEXT NOT NULL,
    -- what it is compressed to
    digest      TEXT NOT NULL,
    size_bytes  INTEGER NOT NULL,
    media_type  TEXT NOT NULL,
    -- registry and repository that have it
    repository  TEXT NOT NULL,
    seen_ns     INTEGER NOT NULL,
    PRIMARY KEY (diff_id, digest, repository)
) STRICT;
CREATE INDEX layer_blobs_digest ON layer_blobs (digest);

-- compressed layers among the blobs
CREATE TABLE kept_blobs (
    image_id    TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    digest      TEXT NOT NULL,
    PRIMARY KEY (image_id, digest)
) STRICT;
