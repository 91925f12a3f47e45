ALTER TABLE asyncz_runs ADD COLUMN ended bigint NOT NULL DEFAULT 0;
ALTER TABLE asyncz_runs ADD COLUMN trace_context text;

CREATE INDEX asyncz_runs_ended ON asyncz_runs (ended) WHERE ended > 0;
CREATE INDEX asyncz_tasks_finished ON asyncz_tasks (id) WHERE next_due IS NULL AND "trigger" IS NOT NULL AND NOT removed;
CREATE INDEX asyncz_tasks_inactive ON asyncz_tasks (inactive_since) WHERE inactive_since IS NOT NULL;

ALTER TABLE asyncz_nodes ADD COLUMN listens boolean NOT NULL DEFAULT false;

CREATE TABLE asyncz_programs (
    node text PRIMARY KEY,
    task_ids text NOT NULL,
    closed_at timestamptz
);

INSERT INTO asyncz_counters (name, value) VALUES ('outcomes', 0);
