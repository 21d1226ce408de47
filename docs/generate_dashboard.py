"""Write deploy/grafana/edgekit.json, the dashboard; tests compare it.

A panel is a line in `ROWS`. Its queries need metrics alone, none of the recording rules: whoever
imports the dashboard into a Grafana of theirs need not change their Prometheus.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[1] / "deploy" / "grafana" / "edgekit.json"
# The columns of Grafana's grid, and the rows of a panel in it.
_COLUMNS, _HEIGHT, _STAT_HEIGHT = 24, 8, 4
# Read by Grafana 10.4 and later, which bring it up to their own.
_SCHEMA = 39
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What panels are of.
_ALL = 'job=~"$job", group=~"$group"'
_SOME = f'{_ALL}, instance=~"$instance"'
_STATES = {
    "running": "green", "degraded": "yellow", "paused": "blue", "starting": "light-blue",
    "stalled": "red", "stopping": "purple",
}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        kind: of Grafana's own: `timeseries`, `stat`, `table`, `state-timeline`.
        title, description: for people.
        queries: in PromQL, each with its legend, as Grafana fills it in.
        unit: as Grafana calls it.
        width: in columns.
        custom: how fields are drawn.
        defaults: further settings of fields.
        options: of the panel.
        transformations: of what the queries gave.
    """

    kind: str
    title: str
    description: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    width: int = 8
    custom: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    transformations: Sequence[dict[str, Any]] = ()

    @property
    def height(self) -> int:
        """In rows of the grid."""
        return _STAT_HEIGHT if self.kind == "stat" else _HEIGHT

    def render(self, number: int, x: int, y: int) -> dict[str, Any]:
        """As Grafana reads it."""
        targets = [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": self.kind in ("stat", "table"),
                "range": self.kind not in ("stat", "table"),
                "format": "table" if self.kind == "table" else "time_series",
            }
            for index, (expression, legend) in enumerate(self.queries)
        ]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": _SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": targets,
            "fieldConfig": {
                "defaults": {"unit": self.unit, "custom": self.custom, **self.defaults},
                "overrides": [],
            },
            "options": self.options,
            "transformations": list(self.transformations),
        }


def _series(
    title: str, description: str, *queries: tuple[str, str], unit: str = "short", width: int = 8,
    stacked: bool = False, steps: bool = False, maximum: float | None = None,
) -> Panel:  # fmt: skip
    """Lines over time, from 0."""
    custom: dict[str, Any] = {
        "lineWidth": 1,
        "fillOpacity": 60 if stacked else 5,
        "showPoints": "never",
        "lineInterpolation": "stepAfter" if steps else "linear",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    limits = {"min": 0} | ({} if maximum is None else {"max": maximum})
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, description, queries, unit, width, custom, limits, options)


def _number(
    title: str, description: str, query: str, *,
    bad_above: float | None = None, good_above: float | None = None,
) -> Panel:  # fmt: skip
    """A number of now; red from one limit on, or below another, where it has one."""
    steps: list[dict[str, Any]] = [{"color": "text", "value": None}]
    if bad_above is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": bad_above}]
    if good_above is not None:
        steps = [{"color": "red", "value": None}, {"color": "text", "value": good_above}]
    thresholds = {"thresholds": {"mode": "absolute", "steps": steps}}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "value",
        "orientation": "auto",
    }  # fmt: skip
    return Panel("stat", title, description, [(query, "")], width=3, defaults=thresholds,
                 options=options)  # fmt: skip


def _table(
    title: str, description: str, query: str, columns: dict[str, str], width: int, unit: str
) -> Panel:
    """A table of what a query gives now: of its labels, and its `Value`, those that are named."""
    organize = {
        "id": "organize",
        "options": {
            "includeByName": dict.fromkeys(columns, True),
            "indexByName": {name: index for index, name in enumerate(columns)},
            "renameByName": columns,
        },
    }
    options = {"showHeader": True, "cellHeight": "sm"}
    return Panel("table", title, description, [(query, "")], unit, width,
                 {"filterable": True}, {}, options, [organize])  # fmt: skip


def _timeline(
    title: str, description: str, query: str, values: dict[int, tuple[str, str]]
) -> Panel:
    """For each device a band, in colours that mean something; a gap is a device that is gone."""
    shown = {str(value): {"text": text, "color": color, "index": value}
             for value, (text, color) in values.items()}  # fmt: skip
    mappings = {"mappings": [{"type": "value", "options": shown}]}
    options = {
        "mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }  # fmt: skip
    return Panel("state-timeline", title, description, [(query, "{{instance}}")], width=12,
                 custom={"lineWidth": 0, "fillOpacity": 80}, defaults=mappings,
                 options=options)  # fmt: skip


def _state() -> Panel:
    numbers = {number: (state, color) for number, (state, color) in enumerate(_STATES.items())}
    terms = [
        f'edgekit_state{{{_SOME}, edgekit_state="{state}"}} * {number}'
        for number, (state, _) in numbers.items()
    ]
    return _timeline(
        "State", "How each daemon is. A gap: it does not answer Prometheus.",
        f"sum by (instance) ({' or '.join(terms)})", numbers,
    )  # fmt: skip


_BY_DEVICE = "{{instance}}"
_RATE = "$__rate_interval"
_CAME = (
    f"(rate(edgekit_dropped_frames_total{{{_SOME}}}[{_RATE}])"
    f" + rate(edgekit_frames_total{{{_SOME}}}[{_RATE}]) > 0)"
)
_LATENCY = f'edgekit_inference_latency_seconds{{{_SOME}, quantile="%s"}}'

ROWS: dict[str, list[Panel]] = {
    "Fleet": [
        _number("Devices", "Those that Prometheus knows; without one, all else here means nothing.",
                f"count(up{{{_ALL}}}) or vector(0)", good_above=1),
        _number("Gone", "Do not answer Prometheus.",
                f"count(up{{{_ALL}}} == 0) or vector(0)", bad_above=1),
        _number("No answers", "Run, but answer no frames.",
                'count(max by (job, instance) '
                f'(edgekit_state{{{_ALL}, edgekit_state=~"starting|stalled"}}) == 1)'
                " or vector(0)", bad_above=1),
        _number("With problems", "Something is not as it should be; frames may be answered.",
                f"count(count by (job, instance) (edgekit_problem{{{_ALL}}} == 1)) or vector(0)",
                bad_above=1),
        _number("Drift", "See what their model was not converted for.",
                f"count(max by (job, instance) (edgekit_drift{{{_ALL}}}) == 1) or vector(0)",
                bad_above=1),
        _number("Models", "Different models that run.",
                f"count(count by (sha256) (edgekit_model_info{{{_ALL}}})) or vector(0)"),
        _number("Versions", "Different versions of edgekit that run.",
                f"count(count by (version) (edgekit_build_info{{{_ALL}}})) or vector(0)"),
        _number("Alerts", "Alerts of deploy/prometheus that fire; 0 without its rules, too.",
                f'count(ALERTS{{{_ALL}, alertname=~"Edgekit.+", alertstate="firing"}})'
                " or vector(0)", bad_above=1),
    ],
    "Devices": [
        _state(),
        _table("What runs", "Version, model and what runs it, by device.",
               f"edgekit_build_info{{{_SOME}}} * on (job, instance) group_left (model, sha256, "
               f"signer, runtime, accelerator) edgekit_model_info{{{_SOME}}}",
               {"instance": "device", "group": "group", "version": "version", "model": "model",
                "sha256": "hash", "signer": "signer", "runtime": "runtime",
                "accelerator": "accelerator"}, 12, "short"),
        _table("Gone", "Those that do not answer Prometheus, whichever devices are chosen.",
               f"up{{{_ALL}}} == 0", {"instance": "device", "group": "group"}, 8, "short"),
        _series("Frames per second", "Frames answered.",
                (f"rate(edgekit_frames_total{{{_SOME}}}[{_RATE}])", _BY_DEVICE)),
        _series("Age of the newest frame", "Time since the camera gave one.",
                (f"edgekit_frame_age_seconds{{{_SOME}}}", _BY_DEVICE), unit="s"),
        _series("Problems", "Parts that are not as they should be; health says what is wrong.",
                (f"edgekit_problem{{{_SOME}}}", "{{instance}} {{part}}"), steps=True,
                stacked=True),
        # One that never had a model is of none that can be chosen.
        _table("Not running", "Those that are in any other state, whichever devices are chosen.",
               f'edgekit_state{{{_ALL}, edgekit_state!="running"}} == 1',
               {"instance": "device", "group": "group", "edgekit_state": "state"}, 8, "short"),
    ],
    "Labels": [
        _series("Share of each label", "Of the answered frames of all devices that are chosen.",
                (f"sum by (label) (rate(edgekit_label_frames_total{{{_SOME}}}[{_RATE}]))"
                 f" / on () group_left () (sum(rate(edgekit_label_frames_total{{{_SOME}}}"
                 f"[{_RATE}])) > 0)", "{{label}}"),
                unit="percentunit", width=12, stacked=True, maximum=1),
        _series("Changes to each label per hour", "Of the decided label, on all devices chosen.",
                (f"sum by (label) (rate(edgekit_label_changes_total{{{_SOME}}}[{_RATE}])) * 3600",
                 "{{label}}"), width=12),
        _table("Now", "The label that is decided now, and its smoothed score. `other`: see the "
               "documentation.", f"edgekit_decision_score{{{_SOME}}}",
               {"instance": "device", "label": "label", "Value": "score"}, 12, "percentunit"),
        _series("Score", "Smoothed score of the label that is decided.",
                (f"max by (instance) (edgekit_decision_score{{{_SOME}}})", _BY_DEVICE),
                unit="percentunit", width=12, maximum=1),
    ],
    "Latency": [
        _series("Latency, middle", "Preprocessing plus inference: half of the frames take less.",
                (_LATENCY % "0.5", _BY_DEVICE), unit="s"),
        _series("Latency, 99th percentile", "One frame in a hundred takes longer.",
                (_LATENCY % "0.99", _BY_DEVICE), unit="s"),
        _series("Latency, mean of all devices", "Over all frames of the devices chosen.",
                (f"sum(rate(edgekit_inference_latency_seconds_sum{{{_SOME}}}[{_RATE}])) / "
                 f"(sum(rate(edgekit_inference_latency_seconds_count{{{_SOME}}}[{_RATE}])) > 0)",
                 "mean"), unit="s"),
    ],
    "Drops and losses": [
        _series("Dropped frames", "Of the frames that came. A camera that is faster than the "
                "model drops some always.",
                (f"rate(edgekit_dropped_frames_total{{{_SOME}}}[{_RATE}]) / {_CAME}", _BY_DEVICE),
                unit="percentunit", maximum=1),
        _series("Damaged frames", "Of the frames that came.",
                (f"rate(edgekit_damaged_frames_total{{{_SOME}}}[{_RATE}]) / {_CAME}", _BY_DEVICE),
                unit="percentunit"),
        _series("Messages lost per hour", "Given up by each output.",
                (f'rate(edgekit_sink_messages_total{{{_SOME}, outcome="dropped"}}[{_RATE}])'
                 " * 3600", "{{instance}} {{sink}}")),
        _series("Messages that wait", "For each output.",
                (f"edgekit_sink_queue{{{_SOME}}}", "{{instance}} {{sink}}")),
        _series("Pictures lost per hour", "Their events went without them.",
                (f"rate(edgekit_sink_dropped_pictures_total{{{_SOME}}}[{_RATE}]) * 3600",
                 "{{instance}} {{sink}}"),
                (f"rate(edgekit_failed_pictures_total{{{_SOME}}}[{_RATE}]) * 3600",
                 "{{instance}} not made")),
        _series("Clients refused per hour", "Of the web server, by reason.",
                (f"rate(edgekit_sink_refused_total{{{_SOME}}}[{_RATE}]) * 3600",
                 "{{instance}} {{reason}}")),
    ],
    "Drift": [
        _timeline("Drift", "Whether pictures and answers are as when the model was converted. A "
                  "gap: nothing is compared.", f"max by (instance) (edgekit_drift{{{_SOME}}})",
                  {0: ("as then", "green"), 1: ("drift", "orange")}),
        _series("Devices that drift, by figure", "What it is that differs.",
                (f"sum by (figure) (edgekit_drift{{{_SOME}}})", "{{figure}}"), width=12,
                steps=True, stacked=True),
    ],
    "Models and versions": [
        _series("Devices by model", "A roll-out is seen here.",
                (f"count by (model, sha256) (edgekit_model_info{{{_SOME}}})",
                 "{{model}} {{sha256}}"), steps=True, stacked=True),
        _series("Devices by version", "Of edgekit.",
                (f"count by (version) (edgekit_build_info{{{_SOME}}})", "{{version}}"),
                steps=True, stacked=True),
        _series("Upgrades rolled back", "Since the service was installed.",
                (f"edgekit_model_rollbacks_total{{{_SOME}}}", _BY_DEVICE),
                (f"edgekit_configuration_rollbacks_total{{{_SOME}}}",
                 "{{instance}} configuration"), steps=True),
    ],
    "Machines": [
        _series("Temperature", "Of the processor.",
                (f"edgekit_temperature_celsius{{{_SOME}}}", _BY_DEVICE), unit="celsius"),
        _series("Processor", "Cores that the daemon keeps busy.",
                (f"rate(process_cpu_seconds_total{{{_SOME}}}[{_RATE}])", _BY_DEVICE)),
        _series("Memory", "Resident memory of the daemon.",
                (f"process_resident_memory_bytes{{{_SOME}}}", _BY_DEVICE), unit="bytes"),
        _series("Free disk", "Where history and clips are kept.",
                (f"edgekit_filesystem_avail_bytes{{{_SOME}}}", "{{instance}} {{kept}}"),
                unit="bytes"),
        _series("Slowed down", "Why the processor is not as fast as it could be.",
                (f"edgekit_throttled{{{_SOME}}}", "{{instance}} {{reason}}"), steps=True),
        _series("Restarts per hour", "Parts that were opened again.",
                (f"rate(edgekit_restarts_total{{{_SOME}}}[{_RATE}]) * 3600",
                 "{{instance}} {{part}}")),
    ],
}  # fmt: skip


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    """One whose values Prometheus knows; all of them are chosen at first."""
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {
        "name": name, "label": label, "type": "query", "datasource": _SOURCE,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor"},
        "multi": True, "includeAll": True, "current": everything,
        "options": [], "refresh": 2, "sort": 1, "regex": "", "hide": 0, "skipUrlSync": False,
    }  # fmt: skip


def _variables() -> Iterable[dict[str, Any]]:
    yield {
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        "options": [], "refresh": 1, "regex": "", "hide": 0, "multi": False,
        "includeAll": False, "skipUrlSync": False,
    }  # fmt: skip
    yield _variable("job", "Job", "label_values(edgekit_build_info, job)")
    # Devices of no group have no such label, where nobody gives them one.
    group = _variable("group", "Group", 'label_values(edgekit_build_info{job=~"$job"}, group)')
    yield group | {"allValue": ".*"}
    yield _variable("model", "Model", f"label_values(edgekit_model_info{{{_ALL}}}, model)")
    # Those of the models that are chosen.
    chosen = f'label_values(edgekit_model_info{{{_ALL}, model=~"$model"}}, instance)'
    yield _variable("instance", "Device", chosen)


def _panels() -> Iterable[dict[str, Any]]:
    number = y = 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": y},
        }  # fmt: skip
        x, y = 0, y + 1
        height = 0
        for panel in panels:
            if x + panel.width > _COLUMNS:
                x, y = 0, y + height
            number += 1
            yield panel.render(number, x, y)
            x, height = x + panel.width, panel.height
        y += height


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    return {
        "uid": "edgekit",
        "title": "edgekit",
        "description": "Cameras with edgekit, as their Prometheus sees them.",
        "tags": ["edgekit"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": list(_variables())},
        "panels": list(_panels()),
    }


def render() -> str:
    """The file as it should be."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
