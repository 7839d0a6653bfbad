-- Version 5: what is known of a container's health.

-- JSON; NULL: nobody checks
ALTER TABLE containers ADD COLUMN health TEXT;
