CREATE TABLE asyncz_reports (
    run_id uuid NOT NULL REFERENCES asyncz_runs (id) ON DELETE CASCADE,
    fence integer NOT NULL,
    node text,
    progress text,
    details text,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, fence)
);

CREATE INDEX asyncz_reports_written ON asyncz_reports (written_at);
