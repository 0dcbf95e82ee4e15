"""The API's description of itself (OpenAPI 3.1), from the table of routes and the nouns."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.responses import JSONResponse

from sekisho.api.access import OPEN
from sekisho.api.bodies import reader
from sekisho.api.problems import MEDIA, Problem
from sekisho.api.routes import Route, Routes

DESCRIPTION = Routes()

REF = "#/components/schemas/{model}"
PROBLEM = {
    "description": "A problem document.",
    "content": {MEDIA: {"schema": {"$ref": REF.format(model="Problem")}}},
}
NO_NEWS: dict[str, Any] = {"description": "No news within `wait` seconds."}


@DESCRIPTION.add("GET", "/v1/openapi.json", OPEN)
async def openapi(request: Request) -> Response:
    """Describe this API."""
    return JSONResponse(describe(request.app))


def of_route(route: Route) -> dict[str, Any]:
    """Describe what FastAPI cannot see: bodies, problems, and who may ask."""
    responses: dict[int | str, dict[str, Any]] = {"default": PROBLEM}
    if route.waits:
        responses[304] = NO_NEWS
    extra: dict[str, Any] = {}
    if route.roles:
        extra["security"] = [{"bearer": []}, {"keystone": []}]
        extra["x-roles"] = sorted(route.roles)
    if route.body is str:
        extra["requestBody"] = {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}
    elif route.body is not None:
        schema = TypeAdapter(route.body).json_schema(ref_template=REF)
        schema = {k: v for k, v in schema.items() if k != "$defs"}
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"responses": responses, "openapi_extra": extra, "operation_id": route.endpoint.__name__}


def describe(app: FastAPI) -> dict[str, Any]:
    """Describe the whole API; written once, kept with the app."""
    if app.openapi_schema is None:
        whole = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            separate_input_output_schemas=False,
        )
        parts = whole.setdefault("components", {})
        parts.setdefault("schemas", {}).update(_definitions(app.state.routes))
        parts["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "keystone": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
        }
        app.openapi_schema = whole
    return app.openapi_schema


def _definitions(routes: tuple[Route, ...]) -> dict[str, Any]:
    """Give the schema of every noun that a body names, and of the problem document."""
    found: dict[str, Any] = {"Problem": TypeAdapter(Problem).json_schema(ref_template=REF)}
    for route in routes:
        if route.body not in (None, str):
            found |= reader(route.body).json_schema(ref_template=REF).get("$defs", {})
    found.pop("Body", None)
    return found
