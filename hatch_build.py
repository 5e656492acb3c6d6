"""Compiles the package's C sources while it is built; without a C compiler the package is complete all the same."""

from __future__ import annotations

import sysconfig
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeHook(BuildHookInterface[Any]):
    """Puts the libraries of the C sources into the wheel, or beside the sources where they are installed as they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the libraries; the wheel is then for this kind of machine alone, whatever its Python."""
        native = _builder(Path(self.root))
        made = [native.build_library(source) for source in native.C_SOURCES]
        if None in made:
            self.app.display_warning(
                "no C compiler: the nano's answers, procedural rooms, error bars and reading take up to three times as long"
            )
        for library in filter(None, made):
            build_data["artifacts"].append(f"/{library.relative_to(self.root).as_posix()}")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def _builder(root: Path) -> Any:
    """The package's own module, which cannot be imported before the package is installed."""
    spec = spec_from_file_location("native_build", root / "src" / "spatialreasoner" / "core" / "native.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
