"""Run the study of descriptions: stage after stage, every task one file, so that a study that was stopped continues where it was."""

import functools
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optigram.engine import processes
from optigram.engine.job import Engine, Job
from optigram.errors import InputError
from optigram.files import parse_json, versions, writable_folder, written_whole
from optigram.papers.descriptions import show as show_page
from optigram.papers.descriptions.autoencoder import Autoencoder
from optigram.papers.descriptions.recipe import SAE, SCALES, Settings
from optigram.papers.descriptions.workshop import AUTOENCODER, STAGES, TEST, Workshop
from optigram.runs.folder import CELLS, MANIFEST
from optigram.study.runner import Show

FORMAT = "optigram-descriptions-1"


@dataclass(frozen=True)
class DescriptionStudy:
    """Settings of a run. `engine` None means `workers` processes (0: this one)."""

    settings: Settings
    device: str = "cpu"
    workers: int = 1
    engine: Engine | None = None

    @classmethod
    def of(cls, scale: str, workers: int, engine: Engine | None = None, device: str = "cpu", **places: Any) -> "DescriptionStudy":
        """The study at a scale; `places` are the other fields of `Settings`. Raises InputError for an unknown scale."""
        if scale not in SCALES:
            raise InputError(f"expected --scale {' or '.join(SCALES)}, got {scale!r}")
        return cls(Settings(scale, sizes=SCALES[scale], **places), device, workers, engine)

    def run(self, out: Path, tell: Callable[[str], None], show: Show) -> None:
        """Do what is not done yet in the folder `out`, and write the records and the page. Raises InputError for another study's folder."""
        folder = writable_folder(out / CELLS)
        self._claim(out)
        if self.settings.encoder is None:
            tell("no --encoder: only the two classes of the Imaginet are studied, and the judge learns from the corpus alone")
        workshop, engine = (
            Workshop(self.settings, folder, self.device),
            self.engine or functools.partial(processes.run, workers=self.workers),
        )
        build = (lambda: workshop) if self.workers == 0 else functools.partial(Workshop, self.settings, folder, self.device)
        for what in STAGES:
            tasks = workshop.stage(what)
            todo = [task for task in tasks if not (folder / task.file).exists()]
            done = len(tasks) - len(todo)
            show(done, len(tasks), what)
            for _ in engine(Job(build, Workshop.do), todo):
                done += 1
                show(done, len(tasks), what)
        self._gather(workshop, out)
        show_page.write(out, out)

    def _gather(self, workshop: Workshop, out: Path) -> None:
        """All results of units in one file, and the facts of the run in another."""
        lines = []
        for task in workshop.tasks(TEST):
            described = workshop.description(task.kind, task.number)
            for one in described["sources"].values():
                one.pop("evidence", None)  # which stays in the cell's file
            tested = json.loads((workshop.folder / task.file).read_text(encoding="utf-8"))
            lines.append(json.dumps(described | {"tests": tested["tests"], "testing": tested["seconds"]}, ensure_ascii=False))
        with written_whole(out / show_page.RECORDS) as temporary:
            temporary.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9))
        kinds = self.settings.classes
        facts: dict[str, Any] = {"settings": self.settings.to_dict(), "classes": {kind: workshop.facts(kind) for kind in kinds}}
        if SAE in kinds:
            trained = Autoencoder.read(workshop.folder / AUTOENCODER)
            facts["autoencoder"] = {"usable": len(trained.latents), "unexplained": trained.unexplained}
        with written_whole(out / show_page.FACTS) as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    def _claim(self, out: Path) -> None:
        """Write the manifest, or compare it with the folder's own."""
        wanted: dict[str, Any] = {"format": FORMAT, "settings": json.loads(json.dumps(self.settings.to_dict())), "device": self.device}
        path = out / MANIFEST
        if not path.exists():
            with written_whole(path) as temporary:
                temporary.write_text(json.dumps(wanted | {"versions": versions()}, indent=1) + "\n", encoding="utf-8")
            return
        try:
            found: Any = parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read {path} ({error}); name another folder") from error
        old = found if isinstance(found, dict) else {}
        if old.get("format") != FORMAT:
            raise InputError(f"{out} holds something else ({old.get('format')!r}); name another folder")
        before, now = dict(_flat(old)), dict(_flat(wanted))
        changed = [f"{name}: {before.get(name)!r} -> {value!r}" for name, value in now.items() if before.get(name) != value]
        if changed:
            raise InputError(f"{out} holds another study ({'; '.join(changed)[:300]}); name another folder")


def _flat(found: dict[str, Any], where: str = "") -> list[tuple[str, Any]]:
    """Nested settings as pairs of a path and a value."""
    pairs: list[tuple[str, Any]] = []
    for name, value in found.items():
        pairs += _flat(value, f"{where}{name}.") if isinstance(value, dict) else [(where + name, value)]
    return pairs
