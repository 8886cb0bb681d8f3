"""Build llama.cpp's server with CUDA from PyPI's source package, once, into the cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "test-gpu"
PACKAGE = "llama-cpp-python"
OPTIONS = (
    "GGML_CUDA=ON", "CMAKE_BUILD_TYPE=Release", "CMAKE_CUDA_ARCHITECTURES=native",
    "LLAMA_BUILD_TESTS=OFF", "LLAMA_BUILD_EXAMPLES=OFF", "LLAMA_BUILD_APP=OFF",
    "LLAMA_USE_PREBUILT_UI=OFF", "LLAMA_OPENSSL=OFF",
)  # fmt: skip


def llama_server() -> str:
    """The server with CUDA: what LLAMA_SERVER names, or one built; raises SystemExit without."""
    if named := os.environ.get("LLAMA_SERVER"):
        return named
    built = CACHE / "build" / "bin" / "llama-server"
    if not built.exists():
        missing = [program for program in ("nvcc", "cmake", "c++") if shutil.which(program) is None]
        if missing:
            raise SystemExit(
                f"test-gpu: {', '.join(missing)} must be on the PATH to build llama.cpp, or set"
                " LLAMA_SERVER"
            )
        _build(str(shutil.which("cmake")), _source())
    return str(built)


def _source() -> Path:
    """Download and unpack the source, and return where llama.cpp is in it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    pip = (
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-binary",
        PACKAGE,
        "--dest",
        str(CACHE),
        PACKAGE,
    )
    subprocess.run(pip, check=True)
    archive = max(CACHE.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    with tarfile.open(archive) as unpacked:
        unpacked.extractall(CACHE, filter="data")
    return CACHE / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"


def _build(cmake: str, source: Path) -> None:
    build = str(CACHE / "build")
    subprocess.run(
        (cmake, "-S", str(source), "-B", build, *(f"-D{option}" for option in OPTIONS)), check=True
    )
    jobs = str(os.cpu_count() or 1)
    subprocess.run(
        (cmake, "--build", build, "--target", "llama-server", "--parallel", jobs), check=True
    )
