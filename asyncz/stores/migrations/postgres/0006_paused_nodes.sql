ALTER TABLE asyncz_nodes ADD COLUMN paused boolean NOT NULL DEFAULT false;
