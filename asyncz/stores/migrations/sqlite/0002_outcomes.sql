ALTER TABLE asyncz_runs ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
ALTER TABLE asyncz_runs ADD COLUMN trace_context TEXT;

CREATE INDEX asyncz_runs_ended ON asyncz_runs (ended) WHERE ended > 0;
CREATE INDEX asyncz_tasks_finished ON asyncz_tasks (id) WHERE next_due IS NULL AND "trigger" IS NOT NULL AND NOT removed;
CREATE INDEX asyncz_tasks_inactive ON asyncz_tasks (inactive_since) WHERE inactive_since IS NOT NULL;

ALTER TABLE asyncz_nodes ADD COLUMN listens INTEGER NOT NULL DEFAULT 0;

CREATE TABLE asyncz_programs (
    node TEXT PRIMARY KEY,
    task_ids TEXT NOT NULL,
    closed_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO asyncz_counters (name, value) VALUES ('outcomes', 0);
