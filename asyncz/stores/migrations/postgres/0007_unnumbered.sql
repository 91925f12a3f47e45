-- Runs whose outcomes were stored in transactions of users, which must not lock the counter of outcomes.
CREATE TABLE asyncz_unnumbered (
    run_id uuid PRIMARY KEY
);
