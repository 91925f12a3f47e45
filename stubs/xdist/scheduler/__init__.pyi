from collections import OrderedDict

import pytest

class LoadGroupScheduling:
    config: pytest.Config
    workqueue: OrderedDict[str, dict[str, bool]]
    def __init__(self, config: pytest.Config, log: object = None) -> None: ...
    def _split_scope(self, nodeid: str) -> str: ...
    def _assign_work_unit(self, node: object) -> None: ...
