"""Connections of a Dask executor: TLS, and addresses to which other machines cannot connect."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pytest
import trustme

from asyncz import AsyncIOScheduler, ClusterConnectionError, ConfigurationError, DaskExecutor, InvalidInputError
from asyncz.executors.dask._client_protocol import DaskSecurity
from tests.helpers import payloads
from tests.helpers.dask_client import cluster_state
from tests.helpers.executors import start_run
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("cluster"), pytest.mark.slow]


class _MakesSecurity(Protocol):
    def __call__(self, **options: object) -> DaskSecurity: ...


def security_of(folder: Path, name: str) -> DaskSecurity:
    """Return the certificates of an authority of its own."""
    authority, certificate, key = (str(folder / f"{name}-{part}.pem") for part in ("ca", "cert", "key"))
    ca = trustme.CA()
    ca.cert_pem.write_to_path(authority)
    issued = ca.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(certificate)
    make: _MakesSecurity = import_module("distributed").Security
    files: dict[str, object] = {"tls_ca_file": authority, "require_encryption": True}
    for role in ("client", "scheduler", "worker"):
        files |= {f"tls_{role}_cert": certificate, f"tls_{role}_key": key}
    return make(**files)


async def test_dask_security_protects_cluster(tmp_path: Path) -> None:
    """Run with certificates of the same authority; reject a connection without them, and one of another authority."""
    known, unknown = security_of(tmp_path, "known"), security_of(tmp_path, "unknown")
    owner = DaskExecutor(security=known, cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
    async with AsyncIOScheduler(executors={"under_test": owner}) as scheduler:
        assert await start_run(scheduler, payloads.add, 1, 2) == 3
        address = cluster_state(scheduler).address
        assert address.startswith("tls://127.0.0.1:")
        async with AsyncIOScheduler(executors={"under_test": DaskExecutor(address, security=known)}) as guest:
            assert await start_run(guest, payloads.add, 3, 4) == 7
        for stranger in (DaskExecutor(address, security=unknown), DaskExecutor(address)):
            with pytest.raises(ClusterConnectionError):
                await AsyncIOScheduler(executors={"under_test": stranger}).start()


async def test_dask_security_of_config_protects_cluster(tmp_path: Path) -> None:
    """Certificates by path, for the cluster that is started and for its clients."""
    _ = security_of(tmp_path, "known"), security_of(tmp_path, "unknown")

    def config(name: str, **options: object) -> dict[str, object]:
        files = {f"{part}_file": str(tmp_path / f"{name}-{part}.pem") for part in ("ca", "cert", "key")}
        return {"executors": {"under_test": {"type": "dask", "security": files, **options}}}

    owner = config("known", cluster_kwargs={"n_workers": 1, "threads_per_worker": 1})
    async with AsyncIOScheduler.from_config(owner) as scheduler:
        assert await start_run(scheduler, payloads.add, 1, 2) == 3
        address = cluster_state(scheduler).address
        assert address.startswith("tls://127.0.0.1:")
        async with AsyncIOScheduler.from_config(config("known", address=address)) as guest:
            assert await start_run(guest, payloads.add, 3, 4) == 7
        with pytest.raises(ClusterConnectionError):
            await AsyncIOScheduler.from_config(config("unknown", address=address)).start()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"ca_file": "none.pem", "cert_file": "none.pem", "key_file": "none.pem"}, "no such file"),
        ({"ca_file": "none.pem"}, "cert_file"),
        ({"ca_file": 3, "cert_file": "", "key_file": ""}, "ca_file"),
        ({"certificate": "none.pem"}, "certificate"),
        ("none.pem", "security"),
    ],
)
def test_dask_security_of_config_is_checked(files: object, expected: str) -> None:
    config = {"executors": {"under_test": {"type": "dask", "security": files}}}
    with pytest.raises(ConfigurationError, match=expected):
        AsyncIOScheduler.from_config(config)


async def test_dask_cluster_listens_on_loopback_only() -> None:
    executor = DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"})
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        await start_run(scheduler, payloads.add, 1, 2)
        listening = listening_addresses()
    assert listening
    assert listening <= {"0100007F", "00000000000000000000000001000000"}


def listening_addresses() -> set[str]:
    """Return the addresses at which this process and its descendants listen, as the kernel writes them."""
    parents: dict[str, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[stat.parent.name] = stat.read_text().rpartition(")")[2].split()[1]
    family = {f"{os.getpid()}"}
    while new := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= new
    inodes: set[str] = set()
    for pid in family:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(f"{link.readlink()}".removeprefix("socket:[").removesuffix("]"))
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes}


async def test_dask_test_process_ends_with_parent() -> None:
    """A killed test run leaves no part of a cluster behind."""
    program = (
        "import os\n"
        "from tests.helpers.cluster import Part\n"
        "part = Part('scheduler')\n"
        "print(part.process.pid, part.address(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    result = await asyncio.to_thread(run_program, program)
    assert result.returncode == -signal.SIGKILL, result.stderr
    pid = int(result.stdout.split()[0])
    await until(lambda: not is_alive(pid))


def run_program(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_dask_security_with_client_is_rejected(tmp_path: Path) -> None:
    class Client:
        asynchronous = True

    with pytest.raises(InvalidInputError, match="security"):
        DaskExecutor(client=Client(), security=security_of(tmp_path, "known"))
