"""Import of the job stores of APScheduler 3."""
