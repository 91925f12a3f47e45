"""Pages of the dashboard, rendered from the states that the JSON API returns."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from asyncz._text import escape_surrogates
from asyncz.dashboard import _charts, _texts, _views
from asyncz.dashboard._api import info_for
from asyncz.dashboard._http import Endpoint, parse_query
from asyncz.dashboard._reader import Reader, RunSelection
from asyncz.dashboard._security import User
from asyncz.dashboard._static import version
from asyncz.dashboard.requests import (
    EventQuery,
    IdQuery,
    NoQuery,
    RunPageQuery,
    RunQueryParameters,
    TaskQuery,
    TimelineQuery,
    run_selection_of,
    selection_of,
)
from asyncz.dashboard.states import PERMISSIONS
from asyncz.triggers._cron_words import trigger_words

_FILTERS: Final = ("scheduled", "running", "paused", "failing", "idle")
_OUTCOMES: Final = ("running", "executed", "error", "missed", "cancelled")
_STORED_STATES: Final = ("waiting", *_OUTCOMES)
_WINDOWS: Final = ((5, "10 min"), (30, "1 h"), (180, "6 h"), (720, "24 h"))
_SHOWN_RUNS: Final = 60


def address(path: str, **values: object) -> str:
    """Return a relative address with parameters; a parameter is left out if it is None or empty."""
    given = {name: f"{value}" for name, value in values.items() if value is not None and value != ""}
    return f"{path}?{urlencode(given, errors='surrogatepass')}" if given else path


_HELPERS: Final[Mapping[str, object]] = {
    "address": address,
    "run_link": _charts.run_link,
    "task_link": _charts.task_link,
    "lane_chart": _charts.lane,
    "axis_chart": _charts.axis,
    "duration_chart": _charts.duration_chart,
    "lateness_chart": _charts.lateness_chart,
    "badges": _views.task_badges,
    "state": _views.state_badge,
    "outcome_words": _views.OUTCOME_WORDS,
    "duration": _texts.duration_text,
    "short_id": _texts.short_id,
    "breakable": _views.breakable,
    "trigger_words": trigger_words,
    "permissions": PERMISSIONS,
}


@functools.cache
def _environment() -> Environment:
    """Return the environment of the templates. Dashboards share it, so each template is compiled once."""
    return Environment(
        loader=PackageLoader("asyncz.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Pages:
    """Pages as endpoints, by path.

    Args:
        model: Source of the states.
        other: Relative address of the pages of the other scope; empty if there is none.
    """

    def __init__(self, model: Reader, other: str = "") -> None:
        self._model = model
        self._other = other

    def endpoints(self) -> Mapping[str, Endpoint]:
        """Return the endpoints of all pages by path."""
        return {
            "/tasks": self.tasks,
            "/task": self.task,
            "/runs": self.runs,
            "/run": self.run,
            "/timeline": self.timeline,
            "/executors": self.executors,
            "/events": self.events,
        }

    async def tasks(self, request: Request, user: User) -> Response:
        """Return the page of all tasks."""
        query = parse_query(request, TaskQuery, of_form=True)
        page = await self._model.tasks(selection_of(query))
        counts = await self._model.counts()
        aliases = self._model.aliases()
        return await self._rendered(
            "tasks", user, query=query, page=page, counts=counts, filters=_FILTERS, aliases=aliases
        )

    async def task(self, request: Request, user: User) -> Response:
        """Return the page of a task."""
        query = parse_query(request, IdQuery, of_form=True)
        detail = await self._model.task(query.id)
        runs = await self._model.runs(RunSelection(task_id=query.id, limit=_SHOWN_RUNS))
        return await self._rendered("task", user, detail=detail, task=detail.task, runs=runs.runs, more=runs.next_key)

    async def runs(self, request: Request, user: User) -> Response:
        """Return the page of runs."""
        query = parse_query(request, RunQueryParameters, of_form=True)
        page = await self._model.runs(run_selection_of(query))
        has_store = self._model.stores_runs and not self._other
        outcomes = _STORED_STATES if self._model.scope == "cluster" or (has_store and query.stored) else _OUTCOMES
        return await self._rendered("runs", user, query=query, page=page, outcomes=outcomes, has_store=has_store)

    async def run(self, request: Request, user: User) -> Response:
        """Return the page of a run."""
        query = parse_query(request, RunPageQuery, of_form=True)
        detail = await self._model.run(query.id)
        logs = _views.ordered_logs(detail.logs, query.logs)
        can_cancel = self._model.can_cancel(detail.run)
        return await self._rendered(
            "run", user, query=query, detail=detail, run=detail.run, logs=logs, can_cancel=can_cancel
        )

    async def timeline(self, request: Request, user: User) -> Response:
        """Return the page with past and coming runs."""
        query = parse_query(request, TimelineQuery, of_form=True)
        timeline = await self._model.timeline(timedelta(minutes=query.past), timedelta(minutes=query.future))
        return await self._rendered("timeline", user, query=query, timeline=timeline, windows=_WINDOWS)

    async def executors(self, request: Request, user: User) -> Response:
        """Return the page of executors and nodes."""
        parse_query(request, NoQuery, of_form=True)
        page = await self._model.executors()
        return await self._rendered("executors", user, page=page, has_store=self._model.stores_runs)

    async def events(self, request: Request, user: User) -> Response:
        """Return the page of events."""
        query = parse_query(request, EventQuery, of_form=True)
        return await self._rendered(
            "events", user, query=query, page=await self._model.events(query.before, query.limit)
        )

    def problem(self, status: int, message: str, user: User | None) -> Response:
        """Return the page for a request that was rejected; it names the scheduler for users only."""
        if user is not None:
            return self._page("problem", user, {"message": message, "code": status}, status)
        page = _environment().get_template("rejected.html").render(message=message, code=status)
        return _html(page, status)

    async def _rendered(self, name: str, user: User, **values: object) -> Response:
        """Return a page, rendered in another thread: if it has many rows, that takes too long for the event loop."""
        await self._model.refresh()
        return await asyncio.to_thread(lambda: self._page(name, user, values))

    def _page(self, name: str, user: User, values: Mapping[str, object], status: int = 200) -> Response:
        template = _environment().get_template(f"{name}.html")
        now = self._model.now

        def time(at: object, kind: str = "relative") -> object:
            return _views.time_element(_views.as_time(at), now, kind)

        shown: dict[str, object] = {**_HELPERS, "version": version(), "time": time, "active": name, **values}
        page = template.render(shown, info=info_for(self._model, user), other=self._other)
        return _html(page, status)


def _html(page: str, status: int) -> Response:
    """Return a page as a response. Ids and names of files may have lone surrogates, which UTF-8 cannot encode."""
    return Response(escape_surrogates(page), status, media_type="text/html; charset=utf-8")
