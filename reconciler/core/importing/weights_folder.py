"""A folder of GGUF files as models, one for each file that can be served."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.importing.candidates_of import Report
from reconciler.core.onboarding.candidates import Candidate, candidates, is_model
from reconciler.model.importing import ImportRow
from reconciler.model.machine import Machine, WeightsFile


def report(machine: Machine, files: Sequence[WeightsFile], folder: str) -> Report:
    """Import the files that were found in a folder."""
    if not files:
        why = "there is no such folder, or it holds no GGUF file that can be read"
        return Report((), (ImportRow(where=folder, key="folder", became="left out", why=why),))
    seen = {"servers": (), "weights": tuple(files)}
    models = candidates(machine.model_copy(update=seen), {})
    left_out = (_left_out(one) for one in files if not is_model(one))
    return Report(models, (*map(_carried, models), *left_out))


def _carried(one: Candidate) -> ImportRow:
    return ImportRow(where=one.file.path, key=f"model {one.name}", became="carried")


def _left_out(file: WeightsFile) -> ImportRow:
    why = file.problem or "it is not itself a model"
    instead = "" if file.problem else "name it in the `args` of one, as --mmproj or --lora"
    return ImportRow(where=file.path, key="file", became="left out", why=why, instead=instead)
