"""Pages of records on their way to the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from typing_extensions import TypeVar

from asyncz.stores.exceptions import StoreDataError

ItemT = TypeVar("ItemT")


async def store_page(
    page: Sequence[ItemT],
    store: Callable[[Sequence[ItemT]], Awaitable[object]],
    reject: Callable[[ItemT, Exception], object],
    *,
    rejections: tuple[type[Exception], ...] = (StoreDataError,),
) -> None:
    """Store the items of a page. If the store does not accept some of them, the others are stored.

    Args:
        page: The items.
        store: Function that stores some items, or raises and changes nothing.
        reject: Function that is called with each item that the store does not accept.
        rejections: Classes of the exceptions by which the store rejects a page.
    """
    if not page:
        return
    try:
        _ = await store(page)
    except rejections as error:
        if len(page) == 1:
            reject(page[0], error)
            return
    else:
        return
    middle = len(page) // 2
    for half in (page[:middle], page[middle:]):
        await store_page(half, store, reject, rejections=rejections)
