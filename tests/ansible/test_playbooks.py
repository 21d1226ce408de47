"""The playbooks as files: what is said of their variables holds, and Ansible takes them."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import generate_ansible
from tests.ansible.playbooks import BIN, FOLDER, Controller, environment, needs_ansible

ROLE = FOLDER / "roles" / "edgekit"
PLAYBOOKS = sorted(path.stem for path in FOLDER.glob("*.yml") if path.stem != "inventory.example")
VARIABLES = generate_ansible.defaults()
TEXTS = {path: path.read_text("utf-8") for path in sorted(FOLDER.rglob("*")) if path.suffix in
         (".yml", ".j2")}  # fmt: skip


def test_the_table_of_variables_is_fresh() -> None:
    page = generate_ansible.PAGE.read_text(encoding="utf-8")
    assert page == generate_ansible.render(), "run `make docs`"


def test_each_variable_has_a_default_a_type_and_a_use() -> None:
    assert VARIABLES.keys() == generate_ansible.options().keys()
    types = {str: "str", bool: "bool", int: "int", list: "list", dict: "dict"}
    work = "".join(
        text for path, text in TEXTS.items() if path.parent.name in ("tasks", "vars", "templates")
    )
    for name, option in generate_ansible.options().items():
        assert types[type(VARIABLES[name])] == option["type"], name
        assert re.search(rf"\b{name}\b", work), name


def test_only_what_comes_with_ansible_is_used() -> None:
    words = {
        "name",
        "block",
        "rescue",
        "always",
        "when",
        "loop",
        "loop_control",
        "register",
        "vars",
    }
    words |= {
        "run_once",
        "delegate_to",
        "become",
        "changed_when",
        "failed_when",
        "check_mode",
        "diff",
    }
    words |= {
        "environment",
        "no_log",
        "ignore_errors",
        "ignore_unreachable",
        "until",
        "retries",
        "delay",
    }
    ours = {path.stem for path in (ROLE / "library").glob("*.py")}

    def check(tasks: list[dict[str, object]]) -> None:
        for task in tasks:
            for part in ("block", "rescue", "always"):
                check(task.get(part, []))  # type: ignore[arg-type]
            modules = task.keys() - words
            assert all(m.startswith("ansible.builtin.") or m in ours for m in modules), modules

    for path in (ROLE / "tasks").glob("*.yml"):
        check(yaml.safe_load(TEXTS[path]))


def test_the_documented_commands_name_playbooks_and_variables() -> None:
    for page in ("ansible.md", "fleet.md"):
        text = (FOLDER.parents[1] / "docs" / page).read_text(encoding="utf-8")
        named = re.findall(r"ansible-playbook -i inventory.yml (\w+)\.yml", text)
        assert named
        assert set(named) <= set(PLAYBOOKS)
        assert set(re.findall(r"-e (\w+)=", text)) <= VARIABLES.keys()
    # The other page names metrics and groups, too.
    text = (FOLDER.parents[1] / "docs" / "ansible.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(edgekit_\w+)[=`]", text)) <= VARIABLES.keys() | {"edgekit_canary"}


def test_an_ansible_that_is_too_old_is_refused_first() -> None:
    oldest = yaml.safe_load(TEXTS[ROLE / "meta" / "main.yml"])["galaxy_info"]["min_ansible_version"]
    first = yaml.safe_load(TEXTS[ROLE / "tasks" / "check_names.yml"])[0]["ansible.builtin.assert"]
    assert first["that"] == f"ansible_version.full is version('{oldest}', '>=')"
    assert f"has to be {oldest} or later" in first["fail_msg"]
    page = (FOLDER.parents[1] / "docs" / "ansible.md").read_text("utf-8")
    assert f"ansible-core {oldest} or later" in page


@needs_ansible
def test_ansible_and_its_linter_take_them(tmp_path: Path) -> None:
    inventory = ["-i", str(FOLDER / "inventory.example.yml")]
    files = [str(FOLDER / f"{name}.yml") for name in PLAYBOOKS]
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "--syntax-check", *inventory, *files], cwd=FOLDER,
        env=environment(tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    # It knows no inventory.
    settings = environment(tmp_path) | {"ANSIBLE_HOST_PATTERN_MISMATCH": "warning"}
    done = subprocess.run(
        [str(BIN / "ansible-lint"), "--offline", "--strict", "--profile", "production", "."],
        cwd=FOLDER, env=settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@needs_ansible
@pytest.mark.parametrize(
    ("playbook", "more", "why"),
    [
        (
            "install",
            {},
            "name the folder of the wheels in edgekit_wheels, or the version in edgekit_version",
        ),
        ("install", {"edgekit_wheels": "none"}, "holds no wheels of edgekit-core"),
        ("install", {"edgekit_offline": "maybe"}, "edgekit_offline"),
        (
            "install",
            {"edgekit_credentials": {"mqtt-pasword": "geheim"}},
            "mqtt-pasword: there is none",
        ),
        ("install", {"edgekit_credentials": "geheim"}, "edgekit_credentials"),
        (
            "install",
            {"edgekit_version": "1", "edgekit_allowed_signers": "none"},
            "cannot read edgekit_allowed_signers",
        ),
        (
            "install",
            {
                "edgekit_version": "1",
                "edgekit_config": {"a": 1},
                "edgekit_config_template": "none.j2",
            },
            "cannot read edgekit_config_template",
        ),
        ("facts", {"edgekit_report": "none/report.json"}, "for edgekit_report"),
        (
            "rollout",
            {"edgekit_model": "x", "edgekit_stage": [1]},
            "edgekit_stage: there is no such variable; is edgekit_stages meant?",
        ),
        ("rollout", {}, "name the model file in edgekit_model"),
        ("rollout", {"edgekit_model": "none.tflite"}, "cannot read the model"),
        ("rollout", {"edgekit_stages": []}, "edgekit_stages are numbers from 1"),
        ("rollback", {}, "say which model is to go"),
        ("rollback", {"edgekit_model_sha256": "26388c"}, "say which model is to go"),
    ],
)
def test_what_is_wrong_on_the_controller_is_told_before_a_device_is_asked(
    tmp_path: Path, playbook: str, more: dict[str, object], why: str
) -> None:
    # Nobody is there: whoever was asked would be away.
    host = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    controller = Controller(tmp_path, {"edgekit": {"hosts": {"porch": host}}})
    done = controller.play(playbook, **more)
    assert done.code == 2, done.said
    assert why in done.words
    assert "geheim" not in done.said
    assert "UNREACHABLE" not in done.said


@needs_ansible
def test_a_run_without_a_device_does_not_end_well(tmp_path: Path) -> None:
    done = Controller(tmp_path, {"cameras": {"hosts": {"porch": {}}}}).play("facts")
    assert done.code != 0
    assert "Could not match supplied host pattern" in done.words


@needs_ansible
def test_work_of_the_controller_is_not_done_on_a_device_called_as_it_is(tmp_path: Path) -> None:
    host = {"ansible_host": "192.0.2.7", "ansible_port": 1}
    done = Controller(tmp_path, {"edgekit": {"hosts": {"porch": host, "::1": host}}}).play(
        "rollback"
    )
    assert done.code != 0
    assert "the inventory calls a device ::1, which Ansible takes for this machine" in done.words
    assert "UNREACHABLE" not in done.said


@needs_ansible
def test_a_group_without_a_device_does_not_end_well(tmp_path: Path) -> None:
    done = Controller(tmp_path, {"edgekit": {"hosts": {}}}).play("rollback")
    assert done.code != 0
    assert "ignoring: edgekit_is_empty" in done.words


def test_each_playbook_refuses_an_empty_group_and_variables_that_nobody_reads() -> None:
    for name in PLAYBOOKS:
        play = yaml.safe_load(TEXTS[FOLDER / f"{name}.yml"])[0]
        assert "edgekit_is_empty" in play["hosts"]
        begin = play["tasks"][0]["ansible.builtin.import_role"]["tasks_from"]
        tasks = yaml.safe_load(TEXTS[ROLE / "tasks" / f"{begin}.yml"])
        assert tasks[0]["ansible.builtin.import_tasks"] == "check_names.yml"


@needs_ansible
def test_a_device_that_is_away_is_reported(tmp_path: Path) -> None:
    host = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    controller = Controller(tmp_path, {"edgekit": {"hosts": {"porch": host}}})
    done = controller.play("facts", edgekit_report=str(tmp_path / "report.json"))
    assert "porch away: " in done.words
    assert '"problem": "away: ' in (tmp_path / "report.json").read_text()
