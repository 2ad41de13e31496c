"""The wheel and the source distribution, built as they would be for a release, from a copy of the sources: nothing is left in the checkout."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Distributions(NamedTuple):
    """The two files that a release has."""

    wheel: Path
    source: Path


@pytest.fixture(autouse=True)
def without_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the checkout out of the import path of the processes that a test starts."""
    monkeypatch.delenv("PYTHONPATH", raising=False)


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The files of a release; the wheel is made from the source distribution."""
    folder = tmp_path_factory.mktemp("release")
    sources = folder / "sources"
    shutil.copytree(ROOT / "klaviyo_assets", sources / "klaviyo_assets", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "klaviyo_assets_tests" / "packaging", sources / "klaviyo_assets_tests" / "packaging")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    # Without isolation: the environment has setuptools, so nothing is downloaded.
    built = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, sources], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert "absent from the `packages` configuration" not in built.stdout
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distributions(wheel, source)


@pytest.fixture(scope="session")
def installed(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and the dependencies of this one, without the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--no-compile", "--quiet"]
    subprocess.run([*install, str(distributions.wheel)], check=True)
    # After the installation, since pip would otherwise find the checkout's own installation, and remove it.
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    dg = python.with_name("dg")
    dg.write_text(f'#!{python}\nimport sys\nfrom dagster_dg_cli.cli import main\nif __name__ == "__main__":\n    sys.exit(main())\n')
    dg.chmod(0o755)
    return python
