"""A caller that holds every answer against the OpenAPI document of the service."""

import re
from typing import Any

import jsonschema
from fastapi import FastAPI
from httpx import Response
from starlette.testclient import TestClient


class DocumentedClient(TestClient):
    """Checks status, media type and body of each answer, and remembers which (path, method, status) it saw."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(app, base_url="http://127.0.0.1")
        self.document = super().request("GET", "/openapi.json").json()
        self.seen: set[tuple[str, str, int]] = set()

    def request(self, method: str, url: Any, **more: Any) -> Response:  # type: ignore[override]
        answer = super().request(method, url, **more)
        path = answer.request.url.path
        for template, methods in self.document.get("paths", {}).items() if hasattr(self, "seen") else ():
            if re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), path) and method.lower() in methods:
                self._check(template, method.lower(), answer)
        return answer

    def _check(self, path: str, method: str, answer: Response) -> None:
        said = self.document["paths"][path][method]["responses"].get(str(answer.status_code))
        assert said is not None, f"{method} {path} answered {answer.status_code}, which is not documented"
        kind = answer.headers["content-type"].split(";")[0]
        assert kind in said["content"], f"{method} {path} answered {kind}"
        if kind == "application/json":
            schema = said["content"][kind]["schema"] | {"components": self.document["components"]}
            jsonschema.validate(answer.json(), schema)
        self.seen.add((path, method, answer.status_code))
