-- Version 3: volumes that something else than their directory holds the data of; images that containers mount.

-- JSON: the options of the driver: `type`, `device`, `o`
ALTER TABLE volumes ADD COLUMN options TEXT NOT NULL DEFAULT '{}';

-- images that are mounted into containers made of others; those stay as long
CREATE TABLE container_images (
    container   TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    image_id    TEXT NOT NULL REFERENCES images (id),
    target      TEXT NOT NULL,
    PRIMARY KEY (container, target)
) STRICT;
CREATE INDEX container_images_image ON container_images (image_id);
