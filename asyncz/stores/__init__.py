"""Stores: tasks and runs that survive restarts and are shared by several schedulers."""

from asyncz.stores.exceptions import (
    StoreClosedError as StoreClosedError,
    StoreConnectionError as StoreConnectionError,
    StoredTaskConflictError as StoredTaskConflictError,
    StoreError as StoreError,
    StoreSchemaError as StoreSchemaError,
)
from asyncz.stores.memory import MemoryStore as MemoryStore, MemoryStoreSession as MemoryStoreSession
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
    TaskRecord as TaskRecord,
    TaskRecordState as TaskRecordState,
)
from asyncz.stores.sqlite import SqliteStore as SqliteStore
