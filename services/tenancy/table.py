"""Which route a request is for, and what that route asks."""

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope as Connection

from services.tenancy.scopes import Access, access_of


class AccessTable:
    """The routes of the Gateway with what each asks for.

    Args:
        routers: All that the app includes.
    """

    def __init__(self, routers: Sequence[APIRouter]) -> None:
        self.routes = [
            (route, access_of(route.endpoint))
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
        ]

    def find(self, connection: Connection) -> tuple[bool, Access | None]:
        """Whether there is a route for a path and method, and what it asks for.

        A known path with another method counts as no route: the app answers 405 and tells nothing else.
        """
        for route, access in self.routes:
            match, _ = route.matches(connection)
            if match is Match.FULL:
                return True, access
        return False, None
