"""Stores: tasks and runs that survive restarts and are shared by several schedulers.

Exports are imported on first use: only `PostgresStore` needs the extra `postgres`.
"""

from typing import TYPE_CHECKING

from asyncz._lazy import lazy_exports

__all__ = [
    "Codec",
    "ExistingTaskPolicy",
    "FinalRunState",
    "Firing",
    "Lease",
    "LostRunPolicy",
    "MemoryStore",
    "NodeLostError",
    "NodeRecord",
    "Outbox",
    "OutboxCall",
    "OutboxConnection",
    "Outcome",
    "PickleCodec",
    "PostgresStore",
    "Retention",
    "RunKind",
    "RunQuery",
    "RunRecord",
    "RunRecordState",
    "RunReport",
    "RunReporting",
    "SqliteStore",
    "StorableTrigger",
    "Store",
    "StoreClosedError",
    "StoreConnectionError",
    "StoreDataError",
    "StoreError",
    "StoreNews",
    "StoreOptions",
    "StoreSchemaError",
    "StoreSession",
    "StoreUnavailableError",
    "StoredTaskConflictError",
    "TaskRecord",
    "TaskRecordState",
    "UnreadableTaskError",
    "UnstorableTaskError",
    "stable_name",
]

if TYPE_CHECKING:
    from asyncz.stores._triggers import StorableTrigger as StorableTrigger
    from asyncz.stores.codecs import Codec as Codec, PickleCodec as PickleCodec
    from asyncz.stores.exceptions import (
        NodeLostError as NodeLostError,
        StoreClosedError as StoreClosedError,
        StoreConnectionError as StoreConnectionError,
        StoreDataError as StoreDataError,
        StoredTaskConflictError as StoredTaskConflictError,
        StoreError as StoreError,
        StoreSchemaError as StoreSchemaError,
        StoreUnavailableError as StoreUnavailableError,
        UnreadableTaskError as UnreadableTaskError,
        UnstorableTaskError as UnstorableTaskError,
    )
    from asyncz.stores.memory import MemoryStore as MemoryStore
    from asyncz.stores.names import stable_name as stable_name
    from asyncz.stores.options import (
        Retention as Retention,
        RunReporting as RunReporting,
        StoreOptions as StoreOptions,
    )
    from asyncz.stores.outbox import (
        Outbox as Outbox,
        OutboxCall as OutboxCall,
        OutboxConnection as OutboxConnection,
    )
    from asyncz.stores.postgres import PostgresStore as PostgresStore
    from asyncz.stores.protocol import Store as Store, StoreSession as StoreSession
    from asyncz.stores.records import (
        ExistingTaskPolicy as ExistingTaskPolicy,
        FinalRunState as FinalRunState,
        Firing as Firing,
        Lease as Lease,
        LostRunPolicy as LostRunPolicy,
        NodeRecord as NodeRecord,
        Outcome as Outcome,
        RunKind as RunKind,
        RunQuery as RunQuery,
        RunRecord as RunRecord,
        RunRecordState as RunRecordState,
        RunReport as RunReport,
        StoreNews as StoreNews,
        TaskRecord as TaskRecord,
        TaskRecordState as TaskRecordState,
    )
    from asyncz.stores.sqlite import SqliteStore as SqliteStore
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.stores._triggers": ("StorableTrigger",),
            "asyncz.stores.codecs": ("Codec", "PickleCodec"),
            "asyncz.stores.exceptions": (
                "NodeLostError",
                "StoreClosedError",
                "StoreConnectionError",
                "StoreDataError",
                "StoredTaskConflictError",
                "StoreError",
                "StoreSchemaError",
                "StoreUnavailableError",
                "UnreadableTaskError",
                "UnstorableTaskError",
            ),
            "asyncz.stores.memory": ("MemoryStore",),
            "asyncz.stores.names": ("stable_name",),
            "asyncz.stores.options": ("Retention", "RunReporting", "StoreOptions"),
            "asyncz.stores.outbox": ("Outbox", "OutboxCall", "OutboxConnection"),
            "asyncz.stores.postgres": ("PostgresStore",),
            "asyncz.stores.protocol": ("Store", "StoreSession"),
            "asyncz.stores.records": (
                "ExistingTaskPolicy",
                "FinalRunState",
                "Firing",
                "Lease",
                "LostRunPolicy",
                "NodeRecord",
                "Outcome",
                "RunKind",
                "RunQuery",
                "RunRecord",
                "RunRecordState",
                "RunReport",
                "StoreNews",
                "TaskRecord",
                "TaskRecordState",
            ),
            "asyncz.stores.sqlite": ("SqliteStore",),
        },
    )
