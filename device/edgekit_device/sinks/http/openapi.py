"""The JSON interface, described for other programs: https://spec.openapis.org/oas/v3.1.1.html"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from edgekit import __version__
from edgekit_device.sinks.http.operation import BODY_LIMIT, JSON, Answer, Operation, refusal

_SCHEMAS = "#/components/schemas/{name}"
_TOKEN: list[dict[str, list[str]]] = [{"token": []}]
# What any operation may answer.
_ALWAYS = {
    400: refusal("It is no HTTP."),
    401: refusal("It needs the token."),
    403: refusal("It was asked for by another name than this machine's own, which needs a token."),
    413: refusal("It has a body that is too long, or none is expected."),
    429: refusal("Too many wrong tokens came from this address."),
    431: refusal("Its header is too long."),
}
_CHANGING = {
    403: refusal("Another site asks for it."),
    413: refusal(f"It has more than {BODY_LIMIT} bytes."),
}
_WITH_BODY = {
    415: refusal(f"It is no {JSON}."),
    422: refusal("It is not what is wanted."),
}


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """The description of operations, as what becomes JSON."""
    operations = list(operations)
    types = [kind for operation in operations for kind in _types(operation)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    schema_of = dict(zip(map(_key, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _describe(operation, schema_of)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edgekit",
            "version": __version__,
            "description": "What a camera sees, how its daemon is, and what it can be asked for.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": _TOKEN,
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of [http]; none where there is none, on the device.",
                }
            },
        },
    }


def _describe(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"summary": operation.text}
    parameters = [
        {
            "name": each.name,
            "in": "path" if (in_path := f"{{{each.name}}}" in operation.path) else "query",
            "required": in_path,
            "description": each.text,
            "schema": schema_of[_key(each.type)],
        }
        for each in operation.parameters
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {JSON: {"schema": schema_of[_key(operation.body)]}}
        described["requestBody"] = {"required": False, "content": content}
    if operation.public:
        described["security"] = [{}, *_TOKEN]
    described["responses"] = _responses(operation, schema_of)
    return described


def _responses(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    # The operation's own words, beside what others say under the same status in another form.
    groups: Sequence[Any] = [operation.answers, _ALWAYS]
    if operation.method != "GET":
        groups = [operation.answers, _CHANGING, _ALWAYS]
    if operation.method == "POST":
        groups = [operation.answers, _WITH_BODY, _CHANGING, _ALWAYS]
    responses: dict[str, Any] = {}
    for group in groups:
        for status, answer in group.items():
            response = responses.setdefault(
                str(status), {"description": answer.text, "content": {}}
            )
            response["content"].setdefault(answer.media, _content(answer, schema_of))
    return dict(sorted(responses.items()))


def _content(answer: Answer, schema_of: dict[str, Any]) -> dict[str, Any]:
    if answer.type is None:
        return {}
    kinds = [schema_of[_key(kind)] for kind in _alternatives(answer)]
    return {"schema": kinds[0] if len(kinds) == 1 else {"anyOf": kinds}}


def _alternatives(answer: Answer) -> tuple[Any, ...]:
    if answer.type is None:
        return ()
    return answer.type if isinstance(answer.type, tuple) else (answer.type,)


def _types(operation: Operation) -> Iterable[Any]:
    for answer in operation.answers.values():
        yield from _alternatives(answer)
    yield from (parameter.type for parameter in operation.parameters)
    if operation.body is not None:
        yield operation.body


def _key(kind: Any) -> str:
    """What tells types apart, of which some cannot be hashed."""
    return repr(kind)
