"""Configuration: the options of the built-in executors for type checkers and editors, and schedulers as data."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __all__: list[str]

    from asyncz._aliases import (
        ClusterAlias as ClusterAlias,
        LoopAlias as LoopAlias,
        PoolAlias as PoolAlias,
        TriggerAlias as TriggerAlias,
    )
    from asyncz.config.models import (
        AndTriggerConfig as AndTriggerConfig,
        AsyncIOExecutorConfig as AsyncIOExecutorConfig,
        CalendarIntervalTriggerConfig as CalendarIntervalTriggerConfig,
        ConfigSource as ConfigSource,
        CronTriggerConfig as CronTriggerConfig,
        CustomExecutorConfig as CustomExecutorConfig,
        CustomTriggerConfig as CustomTriggerConfig,
        DaskClusterKwargsConfig as DaskClusterKwargsConfig,
        DaskExecutorConfig as DaskExecutorConfig,
        DaskSecurityConfig as DaskSecurityConfig,
        DateTriggerConfig as DateTriggerConfig,
        DebugExecutorConfig as DebugExecutorConfig,
        ExecutorConfig as ExecutorConfig,
        IntervalTriggerConfig as IntervalTriggerConfig,
        LimitsConfig as LimitsConfig,
        OnDemandConfig as OnDemandConfig,
        OrTriggerConfig as OrTriggerConfig,
        ProcessPoolExecutorConfig as ProcessPoolExecutorConfig,
        ProcessPoolKwargsConfig as ProcessPoolKwargsConfig,
        RetryConfig as RetryConfig,
        SchedulerConfig as SchedulerConfig,
        TaskConfig as TaskConfig,
        ThreadPoolExecutorConfig as ThreadPoolExecutorConfig,
        ThreadPoolKwargsConfig as ThreadPoolKwargsConfig,
        TriggerConfig as TriggerConfig,
    )
    from asyncz.config.options import (
        DaskClusterKwargs as DaskClusterKwargs,
        DaskOptions as DaskOptions,
        Initializer as Initializer,
        PoolKwargs as PoolKwargs,
        PoolOptions as PoolOptions,
        ProcessPoolKwargs as ProcessPoolKwargs,
        ThreadPoolKwargs as ThreadPoolKwargs,
    )
else:
    from asyncz._lazy import lazy_exports

    # Imported on first use: building the models takes longer than importing the rest of the package.
    __all__, __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz._aliases": ("ClusterAlias", "LoopAlias", "PoolAlias", "TriggerAlias"),
            "asyncz.config.models": (
                "AndTriggerConfig",
                "AsyncIOExecutorConfig",
                "CalendarIntervalTriggerConfig",
                "ConfigSource",
                "CronTriggerConfig",
                "CustomExecutorConfig",
                "CustomTriggerConfig",
                "DaskClusterKwargsConfig",
                "DaskExecutorConfig",
                "DaskSecurityConfig",
                "DateTriggerConfig",
                "DebugExecutorConfig",
                "ExecutorConfig",
                "IntervalTriggerConfig",
                "LimitsConfig",
                "OnDemandConfig",
                "OrTriggerConfig",
                "ProcessPoolExecutorConfig",
                "ProcessPoolKwargsConfig",
                "RetryConfig",
                "SchedulerConfig",
                "TaskConfig",
                "ThreadPoolExecutorConfig",
                "ThreadPoolKwargsConfig",
                "TriggerConfig",
            ),
            "asyncz.config.options": (
                "DaskClusterKwargs",
                "DaskOptions",
                "Initializer",
                "PoolKwargs",
                "PoolOptions",
                "ProcessPoolKwargs",
                "ThreadPoolKwargs",
            ),
        },
    )
