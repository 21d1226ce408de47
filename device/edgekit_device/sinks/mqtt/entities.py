"""What the device is in Home Assistant: a table of entities.

A template that looks at a value that is absent, or null, makes Home Assistant warn with each
message and keep the value before. So every template begins with `_V`, by which a message that is no
JSON is an empty one, and gives `none`, which Home Assistant shows as unknown, where there is
nothing to show.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from edgekit.inference.events import UNKNOWN, State

NOT_SURE = "not sure"
"""The label while no class is sure enough: `unknown` is Home Assistant's own word, for no value."""
OPTIONS_LIMIT = 1 << 16
"""Bytes of options that are announced; of more labels, the sensor is one of any text."""

_V = "{% set v = value_json | default({}, true) %}"


@dataclass(frozen=True)
class Facts:
    """What decides which entities there are.

    Attributes:
        labels: of the model, by class index; None before it has answered.
        temperature: whether the processor tells its own.
        drift: whether drift can be told.
        pictures: whether pictures of changes are published.
        control: whether commands are taken.
        models: names of those that may be chosen.
        update: whether it is known which of them is the newest.
        page: address of the device's own page, where others reach it.
    """

    labels: Sequence[str] | None = None
    temperature: bool = False
    drift: bool = False
    pictures: bool = False
    control: bool = False
    models: Sequence[str] = ()
    update: bool = False
    page: str | None = None


@dataclass(frozen=True)
class Entity:
    """One entity.

    Attributes:
        key: in its topic and its unique id, which never change: history hangs on them.
        name: for people.
        component: what it is for Home Assistant.
        topics: names of the device's own topics, by the key that takes them.
        config: what else is announced.
        made_of: more of that, as the facts are.
        wanted: whether it is to be there; None while that is not known, which leaves it as it is.
        seeing: whether it says something of what is seen, which nothing does while no frame is
            answered: a label that stays is no longer true then.
        optional: whether users have to enable it.
        diagnostic: whether it is about the device, not about what it sees.
    """

    key: str
    name: str
    component: str
    topics: dict[str, str]
    config: dict[str, Any] = field(default_factory=dict)
    made_of: Callable[[Facts], dict[str, Any]] = lambda facts: {}
    wanted: Callable[[Facts], bool | None] = lambda facts: True
    seeing: bool = False
    optional: bool = False
    diagnostic: bool = False


def label_names(labels: Sequence[str]) -> dict[str, str]:
    """Home Assistant's names for labels where they differ, by label.

    A class that is itself called `not sure` gets ` (class)`, as `edgekit.model.labels` does it.
    """
    names = {UNKNOWN: NOT_SURE}
    for label in labels:
        if label.casefold() == NOT_SURE:
            names[label] = f"{label} (class)"
            while names[label] in labels:
                names[label] += " (class)"
    return names


def _named(expression: str, labels: Sequence[str]) -> str:
    names = json.dumps(label_names(labels), ensure_ascii=False)
    return f"({names}.get({expression}, {expression}) if {expression} is string else none)"


def _label(facts: Facts) -> dict[str, Any]:
    labels = facts.labels or ()
    names = label_names(labels)
    options = [names.get(label, label) for label in labels] + [NOT_SURE]
    config: dict[str, Any] = {"value_template": f"{_V}{{{{ {_named('v.label', labels)} }}}}"}
    if len(json.dumps(options, ensure_ascii=False).encode()) <= OPTIONS_LIMIT:
        config |= {"device_class": "enum", "options": options}
    return config


def _change(facts: Facts) -> dict[str, Any]:
    # A connection that broke sends again what was not acknowledged: the same id is the same event.
    labels = facts.labels or ()
    label, previous = _named("v.label", labels), _named("v.previous", labels)
    return {
        "value_template": (
            f"{_V}{{% if v.event | default(none) == 'change' and v.id | default('') != "
            "this.attributes.get('id', none) %}{{ {"
            f"'event_type': 'change', 'label': {label}, 'previous': {previous}, "
            "'score': v.score | default(none), 'id': v.id | default(none), "
            "'time': v.ts | default(none)"
            "} | tojson }}{% endif %}"
        )
    }


def _choice(facts: Facts) -> dict[str, Any]:
    models = list(facts.models)
    template = f"v.model if v.model | default(none) in {json.dumps(models)} else none"
    return {"options": models, "value_template": f"{_V}{{{{ {template} }}}}"}


def _button(key: str, name: str, icon: str, payload: str = "PRESS") -> Entity:
    return Entity(
        key, name, "button", {"command_topic": f"command/{key}"},
        {"payload_press": payload, "icon": icon}, wanted=lambda facts: facts.control,
    )  # fmt: skip


_HEALTH = {"state_topic": "health", "json_attributes_topic": "health"}

ENTITIES = (
    Entity(
        "label", "Label", "sensor", {"state_topic": "state"},
        {"icon": "mdi:image-search"},
        made_of=_label, wanted=lambda facts: facts.labels is not None or None, seeing=True,
    ),
    Entity(
        "confidence", "Confidence", "sensor", {"state_topic": "state"},
        {
            "value_template": (
                f"{_V}{{{{ (v.score * 100) | round(1) if v.score is number else none }}}}"
            ),
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "icon": "mdi:percent",
        },
        seeing=True,
    ),
    Entity(
        "change", "Change", "event", {"state_topic": "event"},
        {"event_types": ["change"], "icon": "mdi:swap-horizontal"},
        made_of=_change, wanted=lambda facts: facts.labels is not None or None, seeing=True,
    ),
    Entity(
        "picture", "Picture", "image", {"image_topic": "picture"},
        {"content_type": "image/jpeg"}, wanted=lambda facts: facts.pictures, seeing=True,
    ),
    Entity(
        "health", "Health", "sensor", _HEALTH,
        {
            "value_template": f"{_V}{{{{ v.state | default(none) }}}}",
            "json_attributes_template": (
                f"{_V}{{{{ {{'problems': v.problems | default([], true)}} | tojson }}}}"
            ),
            "device_class": "enum",
            "options": list(get_args(State)),
        },
        diagnostic=True,
    ),
    Entity(
        "problem", "Problem", "binary_sensor", _HEALTH,
        {
            "value_template": (
                f"{_V}{{{{ none if v.state is not defined else 'ON' if v.problems | "
                "default([], true) or v.state in ['degraded', 'stalled'] else 'OFF' }}"
            ),
            "json_attributes_template": (
                f"{_V}{{{{ {{'problems': v.problems | default([], true)}} | tojson }}}}"
            ),
            "device_class": "problem",
        },
        diagnostic=True,
    ),
    Entity(
        "drift", "Drift", "binary_sensor", _HEALTH,
        {
            # Unknown while nothing is compared: a model without a profile has taken the place of
            # one.
            "value_template": (
                f"{_V}{{{{ 'ON' if v.drift is mapping "
                "else 'OFF' if v.drift_figures is defined else none }}"
            ),
            "json_attributes_template": (
                f"{_V}{{% if v.drift is mapping %}}{{{{ {{"
                "'what': v.drift.signs | map(attribute='text') | join(', '), "
                "'since': v.drift.since, 'advice': v.drift.advice"
                "} | tojson }}{% else %}{}{% endif %}"
            ),
            "device_class": "problem",
        },
        wanted=lambda facts: facts.drift or None, diagnostic=True,
    ),
    Entity(
        "temperature", "Temperature", "sensor", {"state_topic": "health"},
        {
            "value_template": f"{_V}{{{{ v.temperature_c | default(none) }}}}",
            "unit_of_measurement": "°C",
            "device_class": "temperature",
            "state_class": "measurement",
        },
        wanted=lambda facts: facts.temperature or None, diagnostic=True,
    ),
    Entity(
        "model", "Model", "sensor", _HEALTH,
        {
            # Empty until one runs.
            "value_template": f"{_V}{{{{ v.model | default(none, true) }}}}",
            "json_attributes_template": (
                f"{_V}{{{{ {{'sha256': v.model_sha256 | default(none, true), "
                "'signer': v.model_signer | default(none, true), "
                "'runtime': v.runtime | default(none, true), "
                "'accelerator': v.accelerator | default(none, true)} | tojson }}"
            ),
            "icon": "mdi:brain",
        },
        diagnostic=True,
    ),
    Entity(
        "fps", "Frames per second", "sensor", {"state_topic": "health"},
        {
            "value_template": f"{_V}{{{{ v.fps | default(none) }}}}",
            "unit_of_measurement": "fps",
            "state_class": "measurement",
            "icon": "mdi:speedometer",
        },
        optional=True, diagnostic=True,
    ),
    Entity(
        "latency", "Latency", "sensor", {"state_topic": "health"},
        {
            "value_template": (
                f"{_V}{{{{ v.latency_ms.p50 if v.latency_ms is mapping else none }}}}"
            ),
            "unit_of_measurement": "ms",
            "device_class": "duration",
            "state_class": "measurement",
        },
        optional=True, diagnostic=True,
    ),
    Entity(
        "watching", "Watching", "switch",
        {"state_topic": "control", "command_topic": "command/pause"},
        {
            "value_template": (
                f"{_V}{{{{ none if v.paused is not boolean else "
                "'paused' if v.paused else 'watching' }}"
            ),
            "state_on": "watching",
            "state_off": "paused",
            "payload_on": "OFF",
            "payload_off": "ON",
            "icon": "mdi:eye",
        },
        wanted=lambda facts: facts.control,
    ),
    _button("snapshot", "Snapshot", "mdi:camera"),
    _button("record", "Record for a minute", "mdi:record-rec", "60"),
    _button("reload", "Reload", "mdi:reload"),
    _button("rollback", "Go back to the model before", "mdi:backup-restore"),
    Entity(
        "choice", "Model in use", "select",
        {"state_topic": "control", "command_topic": "command/model"},
        {"icon": "mdi:brain"},
        made_of=_choice,
        wanted=lambda facts: facts.control and bool(facts.models),
    ),
)  # fmt: skip
