"""How every route is set up. Routes are added to the app as they are: including a router builds each of them a second time."""

from fastapi import APIRouter, Depends, FastAPI

from headrace.api.openapi import PROBLEMS
from headrace.api.parameters import check_address

API = "/api/v1"


def router_of(tag: str, prefix: str = API) -> APIRouter:
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        dependencies=[Depends(check_address)],
        responses=PROBLEMS,
        generate_unique_id_function=lambda route: route.name,
    )


def add_routes(app: FastAPI, *routers: APIRouter) -> None:
    for router in routers:
        app.router.routes.extend(router.routes)
