"""Models of the configuration: executors, triggers, tasks, and the scheduler that they form.

Validation imports no module that a configuration names. `AsyncIOScheduler.from_config` and `asyncz check` do, because
they have to check that the named objects exist.
"""

from asyncz.config.models.executors import (
    BUILTIN_EXECUTOR_CONFIGS as BUILTIN_EXECUTOR_CONFIGS,
    AsyncIOExecutorConfig as AsyncIOExecutorConfig,
    CustomExecutorConfig as CustomExecutorConfig,
    DaskClusterKwargsConfig as DaskClusterKwargsConfig,
    DaskExecutorConfig as DaskExecutorConfig,
    DaskSecurityConfig as DaskSecurityConfig,
    DebugExecutorConfig as DebugExecutorConfig,
    ExecutorConfig as ExecutorConfig,
    ProcessPoolExecutorConfig as ProcessPoolExecutorConfig,
    ProcessPoolKwargsConfig as ProcessPoolKwargsConfig,
    ThreadPoolExecutorConfig as ThreadPoolExecutorConfig,
    ThreadPoolKwargsConfig as ThreadPoolKwargsConfig,
)
from asyncz.config.models.store import (
    ReportingConfig as ReportingConfig,
    RetentionConfig as RetentionConfig,
    StoreConfig as StoreConfig,
)
from asyncz.config.models.tasks import (
    ConfigSource as ConfigSource,
    LimitsConfig as LimitsConfig,
    RetryConfig as RetryConfig,
    SchedulerConfig as SchedulerConfig,
    TaskConfig as TaskConfig,
)
from asyncz.config.models.triggers import (
    BUILTIN_TRIGGER_CONFIGS as BUILTIN_TRIGGER_CONFIGS,
    AndTriggerConfig as AndTriggerConfig,
    CalendarIntervalTriggerConfig as CalendarIntervalTriggerConfig,
    CronTriggerConfig as CronTriggerConfig,
    CustomTriggerConfig as CustomTriggerConfig,
    DateTriggerConfig as DateTriggerConfig,
    IntervalTriggerConfig as IntervalTriggerConfig,
    OnDemandConfig as OnDemandConfig,
    OrTriggerConfig as OrTriggerConfig,
    TriggerConfig as TriggerConfig,
)
