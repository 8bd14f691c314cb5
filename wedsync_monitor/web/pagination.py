"""Pagination by page number or cursor that leaves the specification's envelopes as they are."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response

LARGEST_PAGE = 1000


class _StrictSize:
    """Refuses a `?page_size=` that is none, where DRF would take its own silently."""

    page_size: int | None = 100
    max_page_size: int | None = LARGEST_PAGE
    page_size_query_param: str | None = "page_size"

    def get_page_size(self, request: Request) -> int | None:
        raw = request.query_params.get("page_size")
        if raw is None:
            return self.page_size
        if not (raw.isdecimal() and len(raw) < 10 and 1 <= int(raw) <= LARGEST_PAGE):
            raise ValidationError({"page_size": f"send a whole number from 1 to {LARGEST_PAGE}"})
        return int(raw)


class EnvelopePagination(_StrictSize, PageNumberPagination):
    """Pages by `?page=` and `?page_size=`; totals and neighbours travel in headers.

    The body is the view's own envelope. X-Total-Count is the number of rows in all pages, and Link (RFC 8288)
    names the next and previous page.
    """

    def headers(self) -> dict[str, str]:
        links = {"next": self.get_next_link(), "prev": self.get_previous_link()}
        link = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items() if url)
        assert self.page is not None
        return {"X-Total-Count": str(self.page.paginator.count)} | ({"Link": link} if link else {})

    def get_paginated_response(self, data: Any) -> Response:
        return Response(data, headers=self.headers())


class CursorEnvelopePagination(_StrictSize, CursorPagination):
    """Pages by `?cursor=`, for tables that only grow: nothing is counted; Link names the next and previous page."""

    ordering = ("-at", "-id")

    def get_paginated_response(self, data: Any) -> Response:
        links = {"next": self.get_next_link(), "prev": self.get_previous_link()}
        link = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items() if url)
        return Response(data, headers={"Link": link} if link else {})
