-- A node of the schema before does not know the column: if it changes a downstream task, it stores an upstream task of
-- NULL. If it finishes a run of an upstream task, it stores no run of a downstream task.
-- Chains are to be added when no such node is left.
ALTER TABLE asyncz_tasks ADD COLUMN upstream TEXT;
