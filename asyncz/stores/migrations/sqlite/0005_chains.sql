ALTER TABLE asyncz_tasks ADD COLUMN upstream TEXT;
