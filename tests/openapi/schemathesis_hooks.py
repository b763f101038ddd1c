"""What a schema cannot say of good input. Bad input stays as it is generated."""

import os
import unicodedata

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.modes import GenerationMode

# `cursor` is good only as an answer gave it, `fields` takes names of the answer's keys, and `label_columns` names of labels,
# of a row an experiment only: all have tests of their own among the integration tests.
NOT_GUESSED = ("cursor", "fields", "label_columns")


def can_be_seen(name):
    return all(char == " " or unicodedata.category(char)[0] in "LMNPS" for char in name)


@schemathesis.hook
def filter_case(context, case):
    # A header that a server does not know is passed over (RFC 9110, 5.1), and is no bad input.
    return not any("schemathesis-unknown-property" in name.lower() for name in case.headers or {})


@schemathesis.hook
def before_call(context, case, kwargs):
    # An empty one is none, as some event sources begin; a bad one is refused.
    if case.headers and case.headers.get("Last-Event-ID", 0) in ("", [], {}):
        case.headers["Last-Event-ID"] = "none"
    query = case.query or {}
    # A longer wait is the same and takes longer.
    wait = str(query.get("wait", ""))
    if wait.isdecimal() and 1 < int(wait) <= 300:
        query["wait"] = 1
    # One that is completed, so that there are results to look at.
    path = case.meta.components.get(ParameterLocation.PATH) if case.meta is not None else None
    if case.method == "GET" and "id" in (case.path_parameters or {}) and path is not None:
        if path.mode == GenerationMode.POSITIVE and len(query) % 2 == 0:
            case.path_parameters["id"] = os.environ["COMPLETED"]
    mutated = case.meta.components.get(ParameterLocation.QUERY) if case.meta is not None else None
    if mutated is not None and mutated.mode != GenerationMode.POSITIVE:
        return
    for name in NOT_GUESSED:
        query.pop(name, None)
    # Of CSV only.
    if query.get("format", "csv") != "csv":
        query.pop("spreadsheet", None)
    # The released pattern of a label lets a NUL through, and a narrower one would break clients; no label has one.
    if isinstance(query.get("label"), list):
        query["label"] = [label for label in query["label"] if "\0" not in str(label)]
    # A time of the end goes with an order by it.
    if "finished_after" in query or "finished_before" in query:
        query.pop("sort", None)
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta is not None else None
    # A name's characters can all be seen, and which can is for Unicode to say, not for a pattern.
    if case.method == "PATCH" and isinstance(case.body, dict) and body is not None and body.mode == GenerationMode.POSITIVE:
        case.body = {name: text for name, text in case.body.items() if can_be_seen(name)}
