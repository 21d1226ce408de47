"""deploy/grafana/edgekit.json: Grafana's schema knows all of it, and queries read what is there.

Grafana itself is not installed by CI: none has drawn it here.
"""

import json
import re
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from docs import generate_dashboard
from tests.deploy.exported import TARGET_LABELS, exported_metrics
from tests.deploy.queries import misuses, names

BOARD = json.loads(generate_dashboard.PATH.read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
KINDS = {"timeseries": timeseries, "stat": stat, "table": table, "state-timeline": statetimeline}
VARIABLES = [variable["name"] for variable in BOARD["templating"]["list"]]


def as_grafana_has_it(model: Any) -> Any:
    """An object of Grafana's schema as JSON."""
    return json.loads(JSONEncoder(sort_keys=True).encode(model))


def lost(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Places of what is ours and their schema does not know; it may add what it has by default."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        # What is null in ours may be left out in theirs.
        known = dict.fromkeys(key for key, value in ours.items() if value is None) | theirs
        places = [f"{path}.{key}" for key in ours if key not in known]
        for key in ours.keys() & known.keys():
            places += lost(ours[key], known[key], f"{path}.{key}")
        return places
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [place for i, (a, b) in pairs for place in lost(a, b, f"{path}[{i}]")]
    return [] if ours == theirs else [path]


def filled(text: str) -> str:
    """A query as Grafana sends it, with everything chosen."""
    text = text.replace("$__rate_interval", "5m")
    return re.sub(r"\$\{?(\w+)\}?", lambda found: dict.fromkeys(VARIABLES, ".*")[found[1]], text)


def queries() -> list[tuple[str, str]]:
    return [
        (f"{panel['title']} {target['refId']}", filled(target["expr"]))
        for panel in PANELS
        for target in panel["targets"]
    ]


def test_it_is_fresh() -> None:
    written = generate_dashboard.PATH.read_text(encoding="utf-8")
    assert written == generate_dashboard.render(), "run `make docs`"


def test_grafanas_schema_knows_all_of_it() -> None:
    assert lost(BOARD, as_grafana_has_it(Dashboard.from_json(BOARD))) == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_grafanas_schema_knows_all_of_a_panel(panel: dict[str, Any]) -> None:
    """Only panels that Grafana brings along: no plugin is needed."""
    kind = KINDS[panel["type"]]
    assert lost(panel["options"], as_grafana_has_it(kind.Options.from_json(panel["options"]))) == []
    custom = panel["fieldConfig"]["defaults"]["custom"]
    if custom:
        assert lost(custom, as_grafana_has_it(kind.FieldConfig.from_json(custom))) == []
    for target in panel["targets"]:
        assert lost(target, as_grafana_has_it(prometheus.Dataquery.from_json(target))) == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_is_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z`].{8,}\.", panel["description"]), panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"] in {
        "short", "s", "bytes", "percentunit", "celsius",
    }  # fmt: skip


def test_what_the_schema_does_not_know_is_found() -> None:
    board = BOARD | {"colour": "red"}
    assert lost(board, as_grafana_has_it(Dashboard.from_json(board))) == [".colour"]


@pytest.mark.parametrize(("place", "query"), queries())
def test_what_a_query_reads_is_there(place: str, query: str) -> None:
    assert misuses(query, exported_metrics()) == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_legends_and_columns_name_labels_that_are_there(panel: dict[str, Any]) -> None:
    known = exported_metrics()
    for target in panel["targets"]:
        read = names(filled(target["expr"]))
        labels = TARGET_LABELS | {label for name in read for label in known[name]} | {"Value"}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
        for step in panel["transformations"]:
            assert set(step["options"]["includeByName"]) <= labels


def test_variables_that_are_used_are_there_and_the_other_way_round() -> None:
    text = json.dumps(BOARD).replace("$__rate_interval", "").replace("$__all", "")
    assert set(re.findall(r"\$\{?(\w+)", text)) == set(VARIABLES)


def test_values_of_variables_are_asked_of_labels_that_are_there() -> None:
    known = exported_metrics()
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert found
            query = filled(found[1])
            assert misuses(query, known) == []
            (name,) = names(query)
            assert found[2] in known[name]


def test_panels_lie_beside_each_other_and_have_a_number_each() -> None:
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_each_thing_that_matters_is_on_it() -> None:
    read = {name for _, query in queries() for name in names(query)}
    ours = {name for name in exported_metrics() if name.startswith("edgekit_")}
    # What is told in another way, or is of interest to few.
    assert ours - read == {
        "edgekit_device_info", "edgekit_uptime_seconds", "edgekit_inference_age_seconds",
        "edgekit_control_requests_total", "edgekit_events_total", "edgekit_folded_labels",
        "edgekit_filesystem_size_bytes", "edgekit_sink_up",
        # It is a problem of the part `mqtt`.
        "edgekit_sink_takeovers_total",
    }  # fmt: skip
