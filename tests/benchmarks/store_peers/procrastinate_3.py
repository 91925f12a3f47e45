"""procrastinate with PostgreSQL."""

import asyncio
import sys

import procrastinate
from measuring import Meter


async def main(url, runs):
    meter = Meter(runs)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name="nothing")
    async def nothing():
        meter.count()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await nothing.batch_defer_async(*({} for _ in range(runs)))
        meter.start()
        await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        meter.end()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
