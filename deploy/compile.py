"""Compile: a build hook of hatchling that puts modules compiled by mypyc into a wheel.

They are made in a folder that is gone afterwards: beside its source, a module that was compiled
once would count however the source changes. Tested with hatchling 1.33, mypy 2.4, setuptools 84.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.errors import CompileError, LinkError

LIBRARY = "reconciler"
"""The modules are one library, `reconciler__mypyc`, which lies beside the package."""

REMEDY = (
    "it takes a C compiler and the headers of this Python (Debian: gcc, python3-dev); without"
    " HATCH_BUILD_HOOK_ENABLE_CUSTOM it is installed as it is"
)


class CompileHook(BuildHookInterface[Any]):
    """Compiles what `modules` of its table in pyproject.toml names."""

    _folder: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the source itself is installed; raise SystemExit where that fails."""
        if version == "editable":
            return
        self._folder = TemporaryDirectory(prefix="reconciler-compile-")
        build_data["pure_python"], build_data["infer_tag"] = False, True
        build_data["force_include"] |= self._compiled(Path(self._folder.name))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        _ = version, build_data, artifact_path
        if self._folder is not None:
            self._folder.cleanup()

    def _compiled(self, folder: Path) -> dict[str, str]:
        """Where each compiled file is, and where in the package it belongs."""
        extensions = mypycify(self.config["modules"], target_dir=str(folder), group_name=LIBRARY)
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        built = folder / "built"
        command.build_lib, command.build_temp = str(built), str(folder / "objects")
        command.ensure_finalized()
        try:
            command.run()
        except (CompileError, LinkError) as error:
            self.app.abort(f"the gateway is not compiled: {error}; {REMEDY}")
        return {str(one): str(one.relative_to(built)) for one in built.rglob("*.so")}
