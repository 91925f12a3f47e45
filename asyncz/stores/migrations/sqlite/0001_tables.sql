CREATE TABLE asyncz_tasks (
    id TEXT PRIMARY KEY,
    function TEXT NOT NULL,
    arguments TEXT NOT NULL,
    "trigger" TEXT,
    executor TEXT NOT NULL,
    options TEXT NOT NULL,
    declaration TEXT NOT NULL,
    app_version INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    next_due INTEGER,
    started_at INTEGER,
    state TEXT NOT NULL,
    problem TEXT NOT NULL,
    inactive_since INTEGER,
    removed INTEGER NOT NULL,
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX asyncz_tasks_revision ON asyncz_tasks (revision);
CREATE INDEX asyncz_tasks_due ON asyncz_tasks (next_due) WHERE next_due IS NOT NULL;

CREATE TABLE asyncz_runs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL,
    executor TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    not_before INTEGER,
    on_lost TEXT NOT NULL,
    arguments TEXT,
    missed INTEGER NOT NULL,
    node TEXT,
    fence INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    result TEXT,
    error TEXT NOT NULL,
    traceback TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX asyncz_runs_due_time ON asyncz_runs (task_id, scheduled_at, kind) WHERE kind <> 'submitted';
CREATE INDEX asyncz_runs_waiting ON asyncz_runs (executor, sequence) WHERE state = 'waiting';
CREATE INDEX asyncz_runs_running ON asyncz_runs (node) WHERE state = 'running';
CREATE INDEX asyncz_runs_of_task ON asyncz_runs (task_id, sequence);
CREATE INDEX asyncz_runs_finished ON asyncz_runs (state, finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE asyncz_nodes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    app_version INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE asyncz_counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO asyncz_counters (name, value) VALUES ('revision', 0);
