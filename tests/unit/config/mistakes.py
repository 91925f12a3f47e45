"""Mistakes in configurations, each with its expected report."""

from __future__ import annotations

from typing import NamedTuple


class Wrong(NamedTuple):
    """A mistake, and the expected message."""

    text: str
    line: int
    key: str
    explanation: str
    known_to_schema: bool = True


ONE = '[tasks.one]\ncall = "some_jobs:outer"\n'


WRONG = [
    # Keys
    Wrong("executor = {}", 1, "executor", "no such key; did you mean 'executors'? allowed: executors, defaults, tasks"),
    Wrong("task = 3", 1, "task", "did you mean 'tasks'?"),
    Wrong(f"{ONE}max_instance = 3", 3, "tasks.one.max_instance", "did you mean 'max_instances'?"),
    Wrong('[tasks.one]\nfunc = "some_jobs:outer"', 1, "tasks.one.call", "it is missing"),
    Wrong(f"{ONE}\n[tasks.one.retry]\nattempt = 3\nattempts = 3", 5, "tasks.one.retry.attempt", "mean 'attempts'?"),
    Wrong("[defaults]\nexecutor = 3", 2, "defaults.executor", "allowed: max_instances, misfire_grace_time, coalesce"),
    Wrong(
        '[executors.io]\ntype = "pool"\nworkers = 3',
        3,
        "executors.io.workers",
        "'max_workers'? allowed: type, max_w",
    ),
    Wrong('[executors.io]\ntype = "debug"\nmax_workers = 3', 3, "executors.io.max_workers", "allowed: type"),
    Wrong(
        '[executors.io]\ntype = "threadpool"\npool_kwargs.mp_context = "spawn"',
        3,
        "executors.io.pool_kwargs.mp_context",
        "there is no such key; allowed: initializer, initargs, thread_name_prefix",
    ),
    Wrong(f'{ONE}[tasks.one.trigger]\ntype="interval"\nminuts=5', 5, "tasks.one.trigger.minuts", "mean 'minutes'?"),
    # Kinds
    Wrong('[executors.io]\ntype = "threadpol"', 2, "executors.io.type", "no such executor; did you mean 'threadpool'?"),
    Wrong("[executors.io]\nmax_workers = 3", 1, "executors.io.type", "it is missing; allowed: asyncio, "),
    Wrong(
        f'{ONE}trigger = {{ type = "intervall" }}',
        3,
        "tasks.one.trigger.type",
        "did you mean 'interval'?",
    ),
    Wrong("[executors.io]\ntype = 3", 2, "executors.io.type", "there is no such executor; allowed: asyncio"),
    Wrong(f"{ONE}trigger.minutes = 3", 3, "tasks.one.trigger.type", "it is missing; allowed:"),
    Wrong(
        '[executors.io]\ntype = "processpool"\npool_kwargs = { mp_context = "spwan" }',
        3,
        "executors.io.pool_kwargs.mp_context",
        "did you mean 'spawn'? allowed: fork, forkserver, spawn",
    ),
    # Values
    Wrong("tasks = 3", 1, "tasks", "a table is needed"),
    Wrong("[tasks]\none = 3", 2, "tasks.one", "a table is needed"),
    Wrong("[executors]\nio = 3", 2, "executors.io", "a table is needed, such as"),
    Wrong(f'{ONE}max_instances = "3"', 3, "tasks.one.max_instances", "a whole number is needed"),
    Wrong(f"{ONE}max_instances = 1.5", 3, "tasks.one.max_instances", "a whole number is needed"),
    Wrong(f"{ONE}max_instances = 0", 3, "tasks.one.max_instances", "it must be more than 0"),
    Wrong(f"{ONE}timeout = 0", 3, "tasks.one.timeout", "it must be more than 0"),
    Wrong(f"{ONE}timeout = nan", 3, "tasks.one.timeout", "it must be more than 0", False),
    Wrong(
        f"{ONE}retry = {{ attempts = 2, delay = inf }}", 3, "tasks.one.retry.delay", "a finite number is needed", False
    ),
    Wrong(f'{ONE}timeout = "1 s"', 3, "tasks.one.timeout", "a number is needed"),
    Wrong(f"{ONE}timeout = true", 3, "tasks.one.timeout", "a number is needed"),
    Wrong(f"{ONE}misfire_grace_time = -1", 3, "tasks.one.misfire_grace_time", "it must be at least 0"),
    Wrong(f'{ONE}coalesce = "yes"', 3, "tasks.one.coalesce", "true or false is needed"),
    Wrong(f"{ONE}overlap = 'queue'", 3, "tasks.one.overlap", "allowed: skip, queue_one, queue_all, cancel_running"),
    Wrong(f"{ONE}paused = 1", 3, "tasks.one.paused", "true or false is needed"),
    Wrong(f"{ONE}existing = 'skip'", 3, "tasks.one.existing", "allowed: update, keep, replace, refuse"),
    Wrong(f'{ONE}args = "folder"', 3, "tasks.one.args", "a list is needed"),
    Wrong(f"{ONE}kwargs = [1]", 3, "tasks.one.kwargs", "a table is needed"),
    Wrong(f"{ONE}executor = 3", 3, "tasks.one.executor", "a text is needed"),
    Wrong(f'{ONE}executor = ""', 3, "tasks.one.executor", "a text that is not empty is needed"),
    Wrong(f"{ONE}retry.attempts = 0", 3, "tasks.one.retry.attempts", "it must be more than 0"),
    Wrong(f"{ONE}retry = {{ attempts = 2, backoff = 0.5 }}", 3, "tasks.one.retry.backoff", "it must be at least 1"),
    Wrong(f'{ONE}retry = {{ attempts = 2, on = "OSError" }}', 3, "tasks.one.retry.on", "a list is needed"),
    Wrong(f"{ONE}trigger = {{ type = 'date', run_at = 3 }}", 3, "tasks.one.trigger.run_at", "a date and time"),
    Wrong(f"{ONE}trigger = {{ type = 'date', run_at = 'soon' }}", 3, "tasks.one.trigger.run_at", "a date", False),
    Wrong(f"{ONE}trigger = {{ type = 'interval', hours = -1 }}", 3, "tasks.one.trigger.hours", "it must be at least 0"),
    Wrong('[executors.io]\ntype = "pool"\nmax_workers = 0', 3, "executors.io.max_workers", "it must be more than 0"),
    Wrong('[executors.io]\ntype = "pool"\nmax_queue = -1', 3, "executors.io.max_queue", "it must be at least 0"),
    Wrong('[executors.io]\ntype = "pool"\npool_kwargs = 3', 3, "executors.io.pool_kwargs", "a table is needed"),
    Wrong('[tasks.one]\ncall = "some_jobs.outer"', 2, "tasks.one.call", 'the form "package.module:name" is needed'),
    # Problems that only the imported objects show
    Wrong('[tasks.one]\ncall = "some job:outer"', 2, "tasks.one.call", 'the form "package.module:name"'),
    Wrong('[tasks.one]\ncall = "some_jobs:1"', 2, "tasks.one.call", 'the form "package.module:name"', False),
    Wrong('[tasks.one]\ncall = "no_jobs:outer"', 2, "tasks.one.call", "ModuleNotFoundError: No module named", False),
    Wrong('[tasks.one]\ncall = "broken_jobs:run"', 2, "tasks.one.call", "ZeroDivisionError: division by zero", False),
    Wrong('[tasks.one]\ncall = "leaving_jobs:run"', 2, "tasks.one.call", "cannot be imported: SystemExit: 3", False),
    Wrong('[tasks.one]\ncall = "some_jobs:claen"', 2, "tasks.one.call", "has no 'claen'; did you mean 'clean'?", False),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:Kind.mak"',
        2,
        "tasks.one.call",
        "Kind has no 'mak'; did you mean",
        False,
    ),
    Wrong('[tasks.one]\ncall = "some_jobs:number"', 2, "tasks.one.call", "type int, which cannot be called", False),
    Wrong('[tasks.one]\ncall = "some_jobs:clean"', 2, "tasks.one.call", "missing a required argument: 'folder'", False),
    Wrong('[tasks.one]\ncall = "some_jobs:outer"\nargs = [1]', 3, "tasks.one.args", "too many positional", False),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:clean"\nargs = [""]\nkwargs = { older_then = 3 }',
        4,
        "tasks.one.kwargs.older_then",
        "clean has no such parameter; did you mean 'older_than'? allowed: folder, older_than",
        False,
    ),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:clean"\nargs = [""]\nkwargs = { folder = "" }',
        3,
        "tasks.one.args",
        "multiple values for argument 'folder'",
        False,
    ),
    Wrong(f'{ONE}executor = "threads"', 3, "tasks.one.executor", "did you mean 'threadpool'? allowed: asyncio,", False),
    Wrong(
        '[executors.own]\ntype = "debug"\n[tasks.one]\ncall = "some_jobs:outer"\nexecutor = "onw"',
        5,
        "tasks.one.executor",
        "did you mean 'own'?",
        False,
    ),
    Wrong(
        '[tasks.one]\ncall = "some_jobs:inner"\nexecutor = "processpool"',
        1,
        "tasks.one",
        "cannot be sent to another process",
        False,
    ),
    Wrong(
        f'{ONE}retry = {{ attempts = 2, on = ["OSError", "OSErr"] }}',
        3,
        "tasks.one.retry.on[1]",
        "has no 'OSErr'; did you mean 'OSError'?",
        False,
    ),
    Wrong(
        "[defaults]\nretry = { attempts = 2, on = ['abs'] }", 2, "defaults.retry.on[0]", "not an exception class", False
    ),
    Wrong(f'{ONE}trigger = {{ type = "interval" }}', 3, "tasks.one.trigger", "it must be more than zero", False),
    Wrong(
        f"{ONE}trigger = {{ type = 'date', run_at = 2030-01-01T00:00:00 }}",
        3,
        "tasks.one.trigger.run_at",
        "it has no time zone",
        False,
    ),
    Wrong(
        f"{ONE}trigger = {{ type = 'date', run_at = '2030-01-01', timezone = 'Berlin' }}",
        3,
        "tasks.one.trigger.timezone",
        "an IANA name such as 'Europe/Berlin'",
        False,
    ),
    Wrong(f"{ONE}trigger = {{ type = 'cron' }}", 3, "tasks.one.trigger.expression", "it is missing"),
    Wrong(f"{ONE}trigger = {{ type = 'calendar', days = 1, hour = 24 }}", 3, "tasks.one.trigger.hour", "at most 23"),
    Wrong(f"{ONE}trigger = {{ type = 'calendar', end_date = 3 }}", 3, "tasks.one.trigger.end_date", "a date"),
    Wrong(
        f"{ONE}trigger = {{ type = 'and', triggers = [] }}", 3, "tasks.one.trigger.triggers", "list that is not empty"
    ),
    Wrong(
        f"{ONE}trigger = {{ type = 'or', triggers = [{{ type = 'date' }}, {{ type = 'cron', expresion = '' }}] }}",
        3,
        "tasks.one.trigger.triggers[1].expresion",
        "there is no such key; did you mean 'expression'?",
    ),
    Wrong(
        f"{ONE}trigger = {{ type = 'or', triggers = [{{ type = 'crom' }}] }}",
        3,
        "tasks.one.trigger.triggers[0].type",
        "there is no such trigger; did you mean 'cron'?",
    ),
    Wrong(f"{ONE}trigger = {{ type = 'cron', expression = '* *' }}", 3, "tasks.one.trigger.expression", "five", False),
    Wrong('[executors.io]\ntype = "nowhere:Pool"', 1, "executors.io", "No module named 'nowhere'", False),
    Wrong(
        '[executors.io]\ntype = "builtins:dict"',
        1,
        "executors.io",
        "missing executor members: state, start, shutdown, submit",
        False,
    ),
    Wrong(
        '[executors.io]\ntype = "some_jobs:Named"', 1, "executors.io", "missing executor members: state, start", False
    ),
    Wrong(
        '[executors.io]\ntype = "pool"\npool_kwargs.initializer = "some_jobs:gone"',
        3,
        "executors.io.pool_kwargs.initializer",
        "has no 'gone'",
        False,
    ),
    Wrong(
        f'{ONE}trigger = {{ type = "builtins:dict" }}',
        3,
        "tasks.one.trigger",
        "missing trigger member: next_due_time",
        False,
    ),
    Wrong('[executors.""]\ntype = "debug"', 1, 'executors.""', "it must be a text that is not empty", False),
    Wrong('[tasks.""]\ncall = "some_jobs:outer"', 1, 'tasks.""', "it must be a text that is not empty", False),
]
