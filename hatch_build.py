"""Compiles the nano's decoder while the package is built; without a C compiler the package is complete all the same."""

from __future__ import annotations

import sysconfig
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "src/spatialreasoner/nano/native"


class NativeHook(BuildHookInterface[Any]):
    """Puts the library of `decoder.c` into the wheel, or beside its source where that is installed as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library; the wheel is then for this kind of machine alone, whatever its Python."""
        made = _builder(Path(self.root)).build_library()
        if made is None:
            self.app.display_warning("no C compiler: without the nano's library, generating takes about three times as long")
            return
        build_data["artifacts"].append(f"/{NATIVE}/{made.name}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _builder(root: Path) -> Any:
    """The package's own module, which cannot be imported before the package is installed."""
    spec = spec_from_file_location("native_build", root / NATIVE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
