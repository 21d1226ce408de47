"""What the role decides: which devices are refused, or well, and what a configuration is."""

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from edgekit_device.config.file import load
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.ansible.plugins import CONFIGURATION, FILTERS, REPORTS, AnsibleFilterError

OLD, NEW = "a" * 64, "b" * 64
Json = dict[str, Any]


def status(**health: Any) -> Json:
    """What `edgekit service status --json` says of a device that is well."""
    unit = {"load": "loaded", "active": "active", "sub": "running", "pid": 812, "restarts": 0,
            "result": "success", "exit": 0}  # fmt: skip
    usual = {
        "state": "running",
        "model_sha256": OLD,
        "problems": [],
        "frames": 100,
        "ts": "2026-01-05T10:00:00Z",
    }
    return {"unit": unit, "daemon": {"pid": 812, "health": usual | health, "problems": {}}}


def device(**changes: Any) -> Json:
    """The fact `edgekit_device` of a device that runs a model and is well."""
    distribution = {"version": "0.1.0", "sha256": ""}
    usual = {
        "architecture": "aarch64", "bits": 64, "python": "3.11.2", "system": "Debian",
        "systemd": True, "free_bytes": {"/opt": 10**10, "/var/lib": 10**10},
        "distributions": {"edgekit-core": distribution, "edgekit-device": distribution},
        "models": {"current": OLD, "previous": "", "stored": [OLD]},
        "configuration": {"present": True, "edited": False, "allowed_signers": "", "problem": ""},
        "status": status(), "status_problem": "", "missing_packages": [],
        "diagnoses": [], "doctor_problem": "", "at_work": False, "cut_short": False,
        "unfinished": False, "outdated": False, "board": "Raspberry Pi 4 Model B Rev 1.5",
        "kernel": "6.12.25", "up_seconds": 3600, "clock_off_seconds": 2.0, "unwritable": {},
        "model_refused": "", "same_as": "boot:(2, 1)",
    }  # fmt: skip
    return copy.deepcopy(usual | changes)


def wanted(**changes: Any) -> Json:
    """What an inventory wants of it."""
    usual = {
        "architectures": ["aarch64", "armv7l", "x86_64"], "python": ">=3.11", "version": "0.1.0",
        "wheels": {}, "has_model": True, "model_bytes": 10**7, "sha256": NEW, "unsigned_for": {},
        "allowed_signers": "", "config": True, "replace_config": False, "allow_downgrade": False,
        "ignored": [], "system_site_packages": True,
    }  # fmt: skip
    return usual | changes


def models(**changes: Any) -> Json:
    return {"current": OLD, "previous": "", "stored": [OLD]} | changes


def configuration(**changes: Any) -> Json:
    return {"present": True, "edited": False, "allowed_signers": "", "problem": ""} | changes


def test_a_device_that_fits_is_not_refused() -> None:
    assert FILTERS.edgekit_install_refusals(device(), wanted()) == []
    assert FILTERS.edgekit_rollout_refusals(device(), wanted()) == []


BOTH: list[tuple[Json, Json, str]] = [
    ({"architecture": "riscv64"}, {},
     "its architecture is riscv64, not aarch64, armv7l or x86_64"),
    ({"architecture": "armv6l", "bits": 32}, {},
     "its architecture is armv6l, not aarch64, armv7l or x86_64; the runtime is made for ARMv7, "
     "not for a Raspberry Pi 1 or Zero"),
    ({"architecture": "armv7l", "bits": 32, "python": "3.13.5"}, {},
     "its Python is 3.13.5; for 32 bits there is a runtime for 3.11 alone, that of Raspberry Pi OS "
     "bookworm"),
    ({"clock_off_seconds": -3 * 86400.0}, {},
     "its clock is 3 days behind this machine's, so that certificates and signatures count as not "
     "valid: let it find the time (timedatectl), or set this machine's"),
    ({"clock_off_seconds": 301.0}, {},
     "its clock is 5 minutes ahead of this machine's, so that certificates and signatures count as "
     "not valid: let it find the time (timedatectl), or set this machine's"),
    ({"unwritable": {"/opt": "is mounted read-only"}}, {},
     "/opt is mounted read-only there: nothing that is written stays; with raspi-config's overlay, "
     "switch that off, and start the device again"),
    ({"at_work": True}, {},
     "a change of its service is at work, perhaps of a run that lost its connection; wait for its "
     "end, and repeat this"),
    ({"bits": 32}, {}, "its system has 32 bits on a kernel of 64; install that of 64"),
    ({"python": "3.9.2"}, {}, "its Python is 3.9.2, and has to be >=3.11"),
    ({"systemd": False}, {}, "systemd does not run there"),
]  # fmt: skip


@pytest.mark.parametrize(("has", "wants", "why"), BOTH)
def test_what_cannot_run_edgekit_is_refused(has: Json, wants: Json, why: str) -> None:
    assert FILTERS.edgekit_install_refusals(device(**has), wanted(**wants)) == [why]
    assert why in FILTERS.edgekit_rollout_refusals(device(**has), wanted(**wants))


def test_a_system_of_32_bits_takes_numpy_and_opencv_from_apt() -> None:
    old = device(architecture="armv7l", bits=32)
    assert FILTERS.edgekit_install_refusals(old, wanted()) == []
    assert FILTERS.edgekit_rollout_refusals(old, wanted()) == []
    assert FILTERS.edgekit_install_refusals(old, wanted(system_site_packages=False)) == [
        "for 32 bits, NumPy and OpenCV come from apt; set edgekit_system_site_packages=true"
    ]


NONE = {"current": "", "previous": "", "stored": []}


@pytest.mark.parametrize(
    ("has", "wants", "why"),
    [
        ({"models": NONE}, {"has_model": False}, "it has no model yet; name one in edgekit_model"),
        ({"models": NONE}, {"allowed_signers": "k", "unsigned_for": {"k": "unsigned"}},
         "it runs signed models alone: unsigned"),
        ({"models": NONE, "free_bytes": {"/opt": 10**10, "/var/lib": 119_999_999}}, {},
         "its disk is full: 120 MB are free below /var/lib, and 120 MB are needed"),
        ({"distributions": {}, "free_bytes": {"/opt": 10**8, "/var/lib": 10**10}}, {},
         "its disk is full: 100 MB are free below /opt, and 600 MB are needed"),
        ({}, {"version": "0.0.9"}, "edgekit-core 0.1.0 is there, which is newer than 0.0.9; set "
         "edgekit_allow_downgrade=true to go back to it"),
        ({"configuration": configuration(edited=True)}, {},
         "its /etc/edgekit/edgekit.toml was edited there; bring that into edgekit_config, and set "
         "edgekit_replace_config=true to replace it"),
        ({"configuration": configuration(allowed_signers="somebody")}, {},
         "it runs signed models alone, and would run any; name the file of those who may sign in "
         "edgekit_allowed_signers"),
    ],
)  # fmt: skip
def test_what_an_installation_is_refused_for(has: Json, wants: Json, why: str) -> None:
    assert why in FILTERS.edgekit_install_refusals(device(**has), wanted(**wants))


@pytest.mark.parametrize(
    ("has", "wants"),
    [
        ({"configuration": configuration(edited=True)}, {"config": False}),
        ({"configuration": configuration(edited=True)}, {"replace_config": True}),
        ({"configuration": configuration(allowed_signers="k")}, {"allowed_signers": "k"}),
        ({}, {"version": "0.0.9", "allow_downgrade": True}),
        ({}, {"version": "0.2.0"}),
        ({}, {"has_model": False}),
        ({"free_bytes": {"/opt": 0, "/var/lib": 10**10}}, {}),
    ],
)  # fmt: skip
def test_what_an_installation_is_not_refused_for(has: Json, wants: Json) -> None:
    assert FILTERS.edgekit_install_refusals(device(**has), wanted(**wants)) == []


@pytest.mark.parametrize(
    ("has", "wants", "why"),
    [
        ({"distributions": {}}, {}, "edgekit is not installed; run install.yml"),
        ({}, {"version": "0.2.0"}, "it has edgekit 0.1.0, not 0.2.0; run install.yml"),
        ({"configuration": configuration(allowed_signers="k")}, {"unsigned_for": {"k": "unsigned"}},
         "it runs signed models alone: unsigned"),
        ({"configuration": configuration(problem="edgekit.toml: no TOML")}, {},
         "edgekit.toml: no TOML"),
        ({"free_bytes": {"/opt": 0, "/var/lib": 119_999_999}}, {},
         "its disk is full: 120 MB are free below /var/lib, and 120 MB are needed"),
        ({"status": status(state="stalled")}, {},
         "it is not well before anything is changed: it is stalled, and answers no frames"),
        ({"status": None, "status_problem": "there is no systemctl"}, {},
         "it is not well before anything is changed: there is no systemctl"),
        ({"models": NONE}, {},
         f"it is not well before anything is changed: it runs model {OLD[:12]}, not none"),
    ],
)  # fmt: skip
def test_what_a_rollout_is_refused_for(has: Json, wants: Json, why: str) -> None:
    assert why in FILTERS.edgekit_rollout_refusals(device(**has), wanted(**wants))


POWER = {"check": "power", "level": "problem", "text": "now: under-voltage"}
ADVICE = {"check": "memory", "level": "warning", "text": "no swap", "remedy": "apt install zram"}


def test_what_the_doctor_says_does_not_work_stops_a_rollout_and_advice_does_not() -> None:
    ill = device(diagnoses=[POWER | {"remedy": "vcgencmd get_throttled"}, ADVICE])
    why = "edgekit doctor: power: now: under-voltage (mend it with: vcgencmd get_throttled)"
    assert FILTERS.edgekit_findings(ill, []) == [why]
    assert FILTERS.edgekit_rollout_refusals(ill, wanted()) == [why]
    assert FILTERS.edgekit_rollout_refusals(ill, wanted(ignored=["power"])) == []
    assert FILTERS.edgekit_rollout_refusals(device(diagnoses=[ADVICE]), wanted()) == []
    # An installation may be what mends it.
    assert FILTERS.edgekit_install_refusals(ill, wanted()) == []


def test_a_doctor_who_says_nothing_does_not_count_as_well() -> None:
    silent = device(diagnoses=[], doctor_problem="doctor ended with -9")
    assert FILTERS.edgekit_rollout_refusals(silent, wanted()) == [
        "edgekit doctor does not say how it is: doctor ended with -9"
    ]


def test_a_device_that_went_away_in_a_step_gets_no_other() -> None:
    away, fine = {"unreachable": True}, {"changed": False}
    assert not FILTERS.edgekit_vanished({"edgekit_did_apt": fine, "edgekit_looked": away})
    assert FILTERS.edgekit_vanished({"edgekit_did_apt": away, "edgekit_did_install": fine})


def test_a_model_of_somebody_else_is_told_from_ours() -> None:
    def looks(sha256: str) -> Json:
        return {"results": [{"stdout": ""}, {"stdout": json.dumps(status(model_sha256=sha256))}]}

    other = "c" * 64
    assert FILTERS.edgekit_of_others(looks(other), NEW, OLD, "") == other
    for ours in (OLD, NEW, ""):
        assert FILTERS.edgekit_of_others(looks(ours), NEW, OLD, "") == ""
    for none in ({}, {"results": [{"unreachable": True}]}):
        assert FILTERS.edgekit_of_others(none, NEW, OLD, "") == ""


def test_a_model_that_is_stored_needs_no_room() -> None:
    full = device(free_bytes={"/opt": 0, "/var/lib": 0}, models=models(stored=[OLD, NEW]))
    assert FILTERS.edgekit_rollout_refusals(full, wanted()) == []


def test_a_device_that_was_not_reached_is_told_from_one_that_failed() -> None:
    away = {"unreachable": True, "msg": "Failed to connect:\n  No route to host"}
    assert FILTERS.edgekit_unreached(away) == ["away: Failed to connect: No route to host"]
    failed = {"failed": True, "msg": "sudo wants a password"}
    assert FILTERS.edgekit_unreached(failed) == ["cannot be looked at: sudo wants a password"]
    assert FILTERS.edgekit_unreached({"changed": False}) == []


def _with(state: Json, **daemon: Any) -> Json:
    return state | {"daemon": state["daemon"] | daemon}


DRIFT = {"since": "2026-01-05T10:00:00Z", "signs": [{"figure": "brightness", "text": "darker"}]}
ENDED = {"active": "failed", "pid": 0, "result": "exit-code", "exit": 10}


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (None, "the service does not say how it is"),
        ({"unit": status()["unit"] | ENDED},
         "the service is failed, and does not answer (exit-code, exit code 10)"),
        ({"unit": status()["unit"]}, "the service is active, and does not answer"),
        (status(state="paused"), "it is paused; resume it first, on its page or over MQTT"),
        (status(state="starting"), "it is starting, and answers no frames"),
        (status(model_sha256=NEW), f"it runs model {NEW[:12]}, not {OLD[:12]}"),
        (_with(status(state="degraded"), problems={"mqtt": "away"}), "mqtt: away"),
        (status(drift=DRIFT), "drift: darker"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_service(now: Json | None, why: str) -> None:
    assert FILTERS.edgekit_complaints(now, OLD, status()) == [why]


def test_what_was_wrong_before_does_not_count() -> None:
    before = _with(status(state="degraded", drift=DRIFT), problems={"mqtt": "away"})
    now = _with(status(state="degraded", drift=DRIFT), problems={"mqtt": "still away"})
    assert FILTERS.edgekit_complaints(now, OLD, before) == []
    also = _with(now, problems={"mqtt": "away", "camera": "slow"})
    assert FILTERS.edgekit_complaints(also, OLD, before) == ["camera: slow"]
    # A device is well enough for a change although something is wrong with it.
    assert FILTERS.edgekit_complaints(before, OLD) == []


def test_a_watch_wants_answers_from_one_process() -> None:
    def look(state: Json) -> Json:
        return {"stdout": json.dumps(state), "rc": 0}

    later, first = "2026-01-05T10:03:00Z", look(status())
    restarted = status(frames=900, ts=later) | {"unit": status()["unit"] | {"pid": 813}}
    cases = [
        (look(status(frames=101, ts=later)), []),
        (look(status(ts=later)), ["it answered no frame while it was watched"]),
        (
            look(status()),
            [
                "it said nothing new while it was watched; let edgekit_watch_seconds be more "
                "than its health.interval"
            ],
        ),
        (look(restarted), ["it was started again meanwhile"]),
        ({"unreachable": True}, ["it went away while it was watched"]),
        ({"stdout": "", "rc": 1}, ["the service does not say how it is"]),
    ]
    for last, wrong in cases:
        assert FILTERS.edgekit_watched({"results": [first, last]}, OLD, status()) == wrong


@pytest.mark.parametrize(
    ("stages", "may_fail", "seconds", "interval", "good"),
    [
        ([1, "10%", "100%"], 0, 180, 15, True),
        (["1", "25%"], "20", "60", "60", True),
        ([], 0, 180, 15, False),
        ([0], 0, 180, 15, False),
        ([1, "0%"], 0, 180, 15, False),
        ([1, "101%"], 0, 180, 15, False),
        (["a few"], 0, 180, 15, False),
        ([1], -1, 180, 15, False),
        ([1], 101, 180, 15, False),
        ([1], 0, 180, 0, False),
        ([1], 0, 5, 15, False),
    ],
)
def test_stages_that_ansible_would_take_otherwise_are_refused(
    stages: list[Any], may_fail: Any, seconds: Any, interval: Any, good: bool
) -> None:
    problems = CONFIGURATION.edgekit_stage_problems(stages, may_fail, seconds, interval)
    assert bool(problems) is not good


def test_a_list_may_come_from_the_command_line() -> None:
    assert CONFIGURATION.edgekit_list("1,10%") == ["1", "10%"]
    assert CONFIGURATION.edgekit_list([1, "10%"]) == [1, "10%"]


WHEELS = {"edgekit-core": {"sha256": "1"}, "edgekit-device": {"sha256": "2"}}


def test_wheels_of_one_version_are_told_apart_by_their_hashes() -> None:
    there = {
        name: {"version": "0.1.0", "sha256": wheel["sha256"]} for name, wheel in WHEELS.items()
    }
    has = device(distributions=there)
    assert not FILTERS.edgekit_packages_differ(has, wanted(wheels=WHEELS))
    assert FILTERS.edgekit_packages_differ(has | {"unfinished": True}, wanted(wheels=WHEELS))
    has["distributions"]["edgekit-device"]["sha256"] = "3"
    assert FILTERS.edgekit_packages_differ(has, wanted(wheels=WHEELS))
    assert not FILTERS.edgekit_packages_differ(has, wanted())
    assert FILTERS.edgekit_packages_differ(has, wanted(version="0.2.0"))
    assert FILTERS.edgekit_packages_differ(device(distributions={}), wanted())


def test_a_stage_is_told_device_by_device() -> None:
    hosts = {
        "porch": {"edgekit_outcome": "runs it"},
        "gate": {"edgekit_outcome": "x", "edgekit_failure": ["no answers", "taken\n\x1b[31mback"]},
        "shed": {},
        "old": {"edgekit_outcome": "runs it"},
        "barn": {},
    }
    lines = REPORTS.edgekit_stage_report(hosts, ["porch", "gate", "shed"], list(hosts))
    assert lines == [
        "1 of 3 devices of this stage are done",
        "gate   FAILED: no answers; taken ?[31mback",
        "porch  runs it",
        "shed   FAILED: away",
        "1 still to come: barn",
    ]


def test_why_a_task_failed_is_its_last_line() -> None:
    said = {
        "stderr": "a\nedgekit: model 1 was rolled back: it stalled\n",
        "msg": "non-zero return code",
    }
    assert REPORTS.edgekit_said_by(said, "Change") == "Change: model 1 was rolled back: it stalled"
    assert REPORTS.edgekit_said_by({"msg": ["one", "two"]}, "Check") == "one; two"
    assert REPORTS.edgekit_said_by({}, "Check") == "it failed"


def test_why_dpkg_apt_or_pip_failed_is_not_the_advice_after_it() -> None:
    said = {
        "stderr": "dpkg: error: the lock was locked by another process with pid 50\n"
        "Note: removing the lock file is always wrong.\n  See <https://example.com>."
    }
    line = "Do it: dpkg: error: the lock was locked by another process with pid 50"
    assert REPORTS.edgekit_said_by(said, "Do it") == line
    said = {"stderr": "ERROR: No matching distribution found for edgekit-core\nhint: see above"}
    line = "Do it: ERROR: No matching distribution found for edgekit-core"
    assert REPORTS.edgekit_said_by(said, "Do it") == line


def test_why_apt_brought_nothing_is_told_in_its_words() -> None:
    fine: Json = {"rc": 0}
    stale = {
        "failed": True,
        "msg": "'/usr/bin/apt-get' failed",
        "stderr": "E: Failed to fetch http://deb/venv.deb  404  Not Found\nE: Unable to fetch.",
    }
    assert REPORTS.edgekit_apt_problems(stale, fine, fine) == [
        "apt: Failed to fetch http://deb/venv.deb 404 Not Found"
    ]
    none = {"failed": True, "msg": "No package matching 'python3-venv' is available"}
    away = {
        "rc": 100,
        "stderr": "E: Failed to fetch http://deb Could not resolve 'deb'\n"
        "E: Some index files failed to download.",
    }
    broken = {"rc": 100, "stderr": "E: Packages need to be removed but remove is disabled."}
    assert REPORTS.edgekit_apt_problems(none, broken, away) == [
        "apt: No package matching 'python3-venv' is available",
        "what was half unpacked before could not be mended: Packages need to be removed but remove "
        "is disabled.",
        "its lists could not be fetched (network, clock, /etc/apt/sources.list): Failed to fetch "
        "http://deb Could not resolve 'deb'",
    ]
    slow = {"rc": 124, "stderr": ""}
    assert "nobody answered in ten minutes" in REPORTS.edgekit_apt_problems(none, fine, slow)[1]
    # What is there may do, and a device that went away is told as such.
    assert REPORTS.edgekit_apt_problems({"changed": True}, broken, away) == []
    assert REPORTS.edgekit_apt_problems({"unreachable": True, "failed": True}, fine, away) == []


def test_a_signer_who_is_to_go_is_told_before_anything_is_changed() -> None:
    (why,) = FILTERS.edgekit_install_refusals(device(model_refused="signed by A"), wanted())
    assert why == (
        "its model would not run any more: signed by A; let the signer in for now, roll out a "
        "model that another one signed, and take the signer away then"
    )


def test_whether_the_model_before_came_back() -> None:
    assert FILTERS.edgekit_taken_back({"rc": 0}, OLD) == f"model {OLD[:12]} runs again"
    failed = FILTERS.edgekit_taken_back({"rc": 1, "stderr": "edgekit: no answers"}, OLD)
    assert failed == f"it did not go back to model {OLD[:12]}: no answers"
    assert "may keep the new model" in FILTERS.edgekit_taken_back({"unreachable": True}, OLD)


def test_a_report_has_a_line_for_each_device() -> None:
    well: Json = {"edgekit_unknown": [], "edgekit_unwell": []}
    stalled = ["it is stalled, and answers no frames"]
    hosts = {
        "porch": well | {"edgekit_device": device(diagnoses=[
            POWER, ADVICE, {"check": "disk", "level": "ok", "text": "fine"}])},
        "gate": well | {"edgekit_unwell": stalled, "edgekit_device": device(
            status=status(state="stalled", drift=DRIFT, runtime="litert"), cut_short=True)},
        "shed": {"edgekit_unknown": ["away: no route"], "edgekit_unwell": []},
    }  # fmt: skip
    report = REPORTS.edgekit_report(hosts, list(hosts))
    assert report["porch"]["diagnoses"] == [POWER, ADVICE]
    assert report["porch"]["system"]["board"] == "Raspberry Pi 4 Model B Rev 1.5"
    assert report["gate"]["unfinished"] == ["a run was cut short on it; run it again"]
    assert report["shed"] == {"problem": "away: no route"}
    assert json.loads(json.dumps(report)) == report
    assert REPORTS.edgekit_table(report) == [
        f"gate   stalled · model {OLD[:12]} · edgekit 0.1.0 · litert · it is stalled, and "
        "answers no frames · a run was cut short on it; run it again · drift: darker",
        f"porch  running · model {OLD[:12]} · edgekit 0.1.0 · power: now: under-voltage",
        "shed   away: no route",
    ]


def test_a_variable_that_nobody_reads_is_told_with_the_one_that_is_meant() -> None:
    known = ["edgekit_model", "edgekit_wheels"]
    assert CONFIGURATION.edgekit_unknown_names(["edgekit_model"], known) == []
    assert CONFIGURATION.edgekit_unknown_names(["edgekit_modle", "edgekit_q"], known) == [
        "edgekit_modle: there is no such variable; is edgekit_model meant?",
        "edgekit_q: there is no such variable; names of your own begin otherwise",
    ]


@pytest.mark.parametrize(
    ("credentials", "why"),
    [
        ({"mqtt-pasword": "x"}, "edgekit_credentials.mqtt-pasword: there is none"),
        ({"mqtt-password": ""}, "has to be one line of text, in quotes"),
        ({"mqtt-password": 12345}, "has to be one line of text, in quotes"),
        ({"mqtt-password": "two\nlines"}, "has to be one line of text, in quotes"),
        ({"http-token": "short"}, "20 ASCII characters or more"),
        ({"http-token": " " + "x" * 30}, "20 ASCII characters or more"),
    ],
)
def test_what_is_wrong_with_a_credential_is_told_without_it(credentials: Json, why: str) -> None:
    (said,) = CONFIGURATION.edgekit_credential_problems(credentials)
    assert why in said
    assert not any(
        str(secret) in said for secret in credentials.values() if secret and secret != "short"
    )


def test_credentials_that_are_good() -> None:
    good = {"mqtt-password": "x y", "http-token": "0123456789abcdef0123"}
    assert CONFIGURATION.edgekit_credential_problems(good) == []


def test_a_configuration_is_what_the_daemon_reads(tmp_path: Path) -> None:
    config = tmp_path / "edgekit.toml"
    config.write_text(CONFIGURATION.edgekit_toml({
        "mqtt": {"host": "broker.lan", "qos": 1}, "source": "test:", "top-k": 2, "stdout": False,
        "decision": {"hold": 2, "labels": {"cup of tea": {"enter": 0.75}}},
    }))  # fmt: skip
    read = load(config, {})
    assert (read.source, read.top_k, read.stdout) == ("test:", 2, False)
    assert read.mqtt.host == "broker.lan"
    assert read.decision.labels is not None
    assert read.decision.labels["cup of tea"].enter == 0.75


_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(
    allow_nan=False
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@example({"DEL": "\x7f", "tab": "\t", "face": "\N{GRINNING FACE}", "quotes": '"\\'})
@given(st.dictionaries(
    st.text().filter(lambda key: key != "allowed-signers"),
    st.recursive(_SCALARS | st.lists(_SCALARS), lambda inner: st.dictionaries(st.text(), inner)),
))  # fmt: skip
def test_any_mapping_becomes_the_same_toml_or_is_refused(mapping: Json) -> None:
    try:
        text = CONFIGURATION.edgekit_toml(mapping)
    except AnsibleFilterError as error:
        assert "edgekit_config" in str(error)
        return
    text.encode()
    assert tomllib.loads(text) == mapping


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ({"source": "rtsp://me:secret@cam/1"}, "edgekit_config.source holds a password"),
        ({"mqtt": {"host": None}}, "edgekit_config.mqtt.host is None"),
        ({"allowed-signers": "/x"}, "set by edgekit_allowed_signers"),
    ],
)
def test_what_no_configuration_may_hold(mapping: Json, why: str) -> None:
    with pytest.raises(AnsibleFilterError, match=why) as told:
        CONFIGURATION.edgekit_toml(mapping)
    assert "secret" not in str(told.value)
