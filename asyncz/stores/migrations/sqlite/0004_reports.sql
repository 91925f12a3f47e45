CREATE TABLE asyncz_reports (
    run_id BLOB NOT NULL,
    fence INTEGER NOT NULL,
    node TEXT,
    progress TEXT,
    details TEXT,
    written_at INTEGER NOT NULL,
    PRIMARY KEY (run_id, fence)
) STRICT;

CREATE INDEX asyncz_reports_written ON asyncz_reports (written_at);

CREATE TRIGGER asyncz_reports_of_deleted_run AFTER DELETE ON asyncz_runs BEGIN
    DELETE FROM asyncz_reports WHERE run_id = old.id;
END;
