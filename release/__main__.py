"""`make dist`: what is published of a commit, checked, with hashes and bills of materials.

`python -m release [--output DIR] [--without-bills]`, in an environment with release/tools.txt.
Into DIR go a source distribution and a wheel of each of the three, NAME.cdx.json with all that it
brings, and SHA256SUMS.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from release import building, checking, sbom
from release.shared_setup import HOME


def _bills(wheels: list[Path], commit: building.Commit, output: Path) -> None:
    for name, extra in sbom.EXTRAS.items():
        (wheel,) = (file for file in wheels if file.name.startswith(name.replace("-", "_") + "-"))
        items = sbom.resolve(wheel, extra)
        (output / f"{name}.cdx.json").write_text(sbom.bill(items, commit), encoding="utf-8")
        print(f"{name}[{extra}]: {len(items) - 1} packages with it")
        for other, licence in sbom.copyleft(items).items():
            print(f"    {licence}: {other}")
        if unknown := sbom.unknown(items):
            print(f"    no licence given: {', '.join(unknown)}")


def main() -> None:
    """Build, check, and write what goes beside."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=building.ROOT / "dist", metavar="DIR")
    parser.add_argument("--without-bills", action="store_true",
                        help="leave out the bills of materials: they need a registry")  # fmt: skip
    options = parser.parse_args()
    output: Path = options.output.resolve()
    if output.exists() and any(output.iterdir()) and not (output / "SHA256SUMS").exists():
        raise SystemExit(f"{output} holds something else; name an empty folder, or remove it")
    commit = building.head()
    print(f"building commit {commit.name[:12]}")
    if files := building.left_out():
        more = f" and {len(files) - 5} more" if len(files) > 5 else ""
        print(f"not in it, because changed since: {', '.join(files[:5])}{more}", file=sys.stderr)
    if ".example" in HOME:
        print("its links lead nowhere: HOME in release/shared_setup.py is a placeholder until the "
              "project has an address", file=sys.stderr)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="edgekit-release-") as folder:
        tree, built = Path(folder) / "tree", Path(folder) / "built"
        building.export(commit, tree)
        files_built = building.build(tree, commit, built)
        licence = (tree / "LICENSE").read_bytes()
        found = [f"{file.name}: {fault}" for file in files_built
                 for fault in checking.faults(file, licence, (building.ROOT, tree))]  # fmt: skip
        if found:
            raise SystemExit("\n".join(found))
        building.run(sys.executable, "-m", "twine", "check", "--strict", *files_built)
        if not options.without_bills:
            _bills([file for file in files_built if file.suffix == ".whl"], commit, built)
        sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
                for file in sorted(built.iterdir())]  # fmt: skip
        (built / "SHA256SUMS").write_text("".join(sums), encoding="ascii")
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(built, output)
    print("".join(sums), end="")
    print(f"all in {output}")


if __name__ == "__main__":
    main()
