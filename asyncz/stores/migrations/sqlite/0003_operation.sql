CREATE INDEX asyncz_runs_unsuccessful ON asyncz_runs (state, sequence) WHERE state IN ('error', 'missed', 'cancelled');

CREATE TABLE asyncz_commands (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL,
    task_id TEXT NOT NULL,
    run BLOB,
    detail TEXT NOT NULL,
    operator TEXT NOT NULL,
    node TEXT,
    created_at INTEGER NOT NULL,
    done_at INTEGER,
    failure TEXT NOT NULL
) STRICT;

CREATE INDEX asyncz_commands_created ON asyncz_commands (created_at, sequence);
