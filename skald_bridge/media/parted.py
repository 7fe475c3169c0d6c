"""A video worked on in parts: divided, each part by a child task or right here, and put together again."""

from __future__ import annotations

import base64
import io
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from prefect.client.schemas.objects import FlowRun

from skald_blocks import MediaStore
from skald_bridge.media import cutting, sheet
from skald_bridge.media.children import Children, node_of
from skald_bridge.media.comparison import Intended
from skald_bridge.media.contents import Reading, differences, read, remarks
from skald_bridge.media.dividing import divided
from skald_bridge.media.errors import BadMedia, naming_full_disk
from skald_bridge.media.findings import Findings, Thresholds, find
from skald_bridge.media.inputs import STORE_PREFIX, Source, local_source
from skald_bridge.media.jobs import publish_analysis, publish_renditions, read_measures
from skald_bridge.media.looks import Look
from skald_bridge.media.measure import Measures, join
from skald_bridge.media.probe import Probe, probe, timestamp
from skald_bridge.media.renditions import Preset, Style, ladder
from skald_bridge.media.report import findings_markdown, table

_ARTIFACT_WIDTH = 1200


@dataclass(frozen=True)
class SourcePart:
    """One part; ``folder`` in the store holds its source and its results. Times in seconds."""

    number: int
    start: float
    end: float
    folder: str

    @property
    def source(self) -> str:
        return f"{self.folder}/source.mkv"


@dataclass(frozen=True)
class Dress:
    """How a part is to look; ``revision`` of the attachments that said so."""

    look: Look = "none"
    label: str = ""
    revision: int = 1


@dataclass(frozen=True)
class Worked:
    """Where a part was transcoded, in which dress, at which attempt."""

    node: str
    dress: Dress
    attempt: int


@dataclass(frozen=True)
class Product:
    """What the job made: URLs, and the pages for people."""

    files: Mapping[str, str]
    markdown: str
    picture: str
    findings: Findings
    warnings: list[str]


class PartedJob:
    """One job; its methods are its stages, in the order of their use. No ``children``: all is done here."""

    def __init__(
        self,
        source: Source,
        facts: Probe,
        store: MediaStore,
        folder: str,
        scratch: Path,
        *,
        title: str,
        key: str,
        height: int,
        quality: int,
        preset: Preset,
        store_name: str = "",
        children: Children | None = None,
    ) -> None:
        """``key``: names this job for good, so that a second start finds the children of the first."""
        self.facts = facts
        self.worked: dict[int, Worked] = {}
        self.warnings: list[str] = []
        self._source = source
        self._store = store
        self._folder = folder
        self._scratch = scratch
        self._title = title
        self._key = key
        self._rung = ladder([height], self.facts)[0]
        self._quality = quality
        self._preset: Preset = preset
        self._store_name = store_name
        self._children = children
        self._reading: Reading | None = None

    def divide(self, part_seconds: float) -> list[SourcePart]:
        """Split the source and publish the parts."""
        reading = read(self._source, self.facts)
        if not reading.times:
            raise BadMedia(f"input {self._source.display!r} holds no picture", remedy="Record it again.")
        self._reading = reading
        self.warnings = remarks(reading, self.facts)
        files, starts = divided(self._source, self.facts, reading, part_seconds, self._own("split"))
        parts = []
        bounds = [*starts, reading.content.seconds]
        with naming_full_disk(self._store.url(self._folder)):
            for index, path in enumerate(files):
                part = SourcePart(
                    index + 1, bounds[index], bounds[index + 1], f"{self._folder}/parts/{index + 1:05d}"
                )
                self._store.publish(path, part.source)
                parts.append(part)
        return parts

    def transcode(self, part: SourcePart, dress: Dress, *, attempt: int = 1) -> Worked:
        """One part in its dress, without sound; ``attempt`` counts the calls for this part."""
        if self._children is None:
            local, own = self._part_here(part, "transcode")
            style = Style(dress.look, dress.label, self._quality, self._preset, sound=False)
            publish_renditions(local, probe(local), [self._rung.height], style, self._store, part.folder, own)
            worked = Worked(socket.gethostname(), dress, attempt)
        else:
            attachments = {
                "heights": [self._rung.height],
                "look": dress.look,
                "label": dress.label,
                "quality": self._quality,
                "preset": self._preset,
                "sound": False,
            }
            ended = self._child(self._children, "transcode", part, attachments)
            worked = Worked(node_of(ended), _dress(ended, dress), attempt + ended.run_count - 1)
        self.worked[part.number] = worked
        return worked

    def analyze(self, part: SourcePart) -> str:
        """Measures of one part, published; returns the node that made them."""
        if self._children is None:
            local, own = self._part_here(part, "analyze")
            publish_analysis(local, probe(local), Thresholds(), self._store, part.folder, own)
            return socket.gethostname()
        return node_of(self._child(self._children, "analyze", part, {"thumbnailSeconds": 0}))

    def merge(self, parts: Sequence[SourcePart]) -> Path:
        """The finished video, in the scratch folder: all parts, and the sound of the source."""
        own = self._own("merge")
        found = []
        for part in parts:
            folder = own / str(part.number)
            folder.mkdir()
            found.append(self._store.fetch(f"{part.folder}/{self._rung.name}.mp4", folder))
        starts = [part.start for part in parts]
        return cutting.merge(found, starts, self._source, self.facts, self._read(), own / "video.mp4")

    def report(self, parts: Sequence[SourcePart], video: Path, pictures: int) -> Product:
        """Contact sheet, report and video, published."""
        measures = join(
            (read_measures(self._store, part.folder) for part in parts), [part.start for part in parts]
        )
        findings = find(measures)
        merged = local_source(video)
        shown = probe(merged)
        size = self.facts.shape.at_height(self._rung.height)
        made = read(merged, shown).content
        self.warnings += differences(self._read(), made, self.facts, Intended(displayed=size))
        picture = sheet.draw(self._sheet(parts, measures, findings, shown, pictures), merged, shown)
        own = self._own("report")
        markdown = self._markdown(parts, findings, shown)
        (own / "report.md").write_text(markdown)
        (own / "report.json").write_text(json.dumps(self._json(parts, findings, shown), indent=1))
        sheet.save(picture, own / "contact-sheet.jpg")
        files = {}
        with naming_full_disk(self._store.url(self._folder)):
            for path in (video, own / "contact-sheet.jpg", own / "report.md", own / "report.json"):
                files[path.name] = self._store.publish(path, f"{self._folder}/{path.name}")
        return Product(files, markdown, _data_url(picture), findings, self.warnings)

    def remove_parts(self) -> None:
        """Take the parts, no longer needed, out of the store."""
        for name in self._store.list(f"{self._folder}/parts"):
            self._store.remove(name)

    def _child(self, children: Children, kind: str, part: SourcePart, attachments: dict[str, Any]) -> FlowRun:
        common = {"input": f"{STORE_PREFIX}{part.source}", "output": part.folder, "store": self._store_name}
        return children.run(
            f"{kind}/{kind}",
            {"attachments": {**common, **attachments}},
            name=f"{kind} {part.number} of {self._title}",
            key=f"{self._key}:{kind}:{part.number}",
        )

    def _part_here(self, part: SourcePart, kind: str) -> tuple[Source, Path]:
        own = self._own(f"{kind}-{part.number}")
        return local_source(self._store.fetch(part.source, own)), own

    def _read(self) -> Reading:
        if self._reading is None:
            self._reading = read(self._source, self.facts)
        return self._reading

    def _own(self, name: str) -> Path:
        folder = self._scratch / name
        folder.mkdir(exist_ok=True)
        return folder

    def _sheet(
        self, parts: Sequence[SourcePart], measures: Measures, findings: Findings, shown: Probe, pictures: int
    ) -> sheet.Sheet:
        bands = [
            sheet.SheetPart(part.start, part.end, f"{worked.node}  ·  {_dressed(worked.dress)}")
            for part, worked in self._done(parts)
        ]
        return sheet.Sheet(self._title, shown.line, findings, measures, bands, pictures=pictures)

    def _markdown(self, parts: Sequence[SourcePart], findings: Findings, shown: Probe) -> str:
        rows = [
            (str(part.number), _times(part), worked.node, str(worked.attempt), _dressed(worked.dress))
            for part, worked in self._done(parts)
        ]
        head = ("Part", "Time", "Node", "Attempts", "Look")
        page = findings_markdown(self._title, shown, findings, self.warnings)
        return f"{page}\n## Parts\n\n{table(head, rows)}\nFrom: {self.facts.line}\n"

    def _json(self, parts: Sequence[SourcePart], findings: Findings, shown: Probe) -> dict[str, Any]:
        return {
            "source": self.facts.json(),
            "video": shown.json(),
            "findings": findings.json(),
            "warnings": self.warnings,
            "parts": [
                {"number": p.number, "start": p.start, "end": p.end, "node": w.node, "attempt": w.attempt}
                | vars(w.dress)
                for p, w in self._done(parts)
            ],
        }

    def _done(self, parts: Sequence[SourcePart]) -> list[tuple[SourcePart, Worked]]:
        return [(part, self.worked[part.number]) for part in parts]


def _times(part: SourcePart) -> str:
    return f"{timestamp(part.start)} to {timestamp(part.end)}"


def _dressed(dress: Dress) -> str:
    look = "as it is" if dress.look == "none" else dress.look
    return look if dress.revision == 1 else f"{look} (revision {dress.revision})"


def _dress(run: FlowRun, asked: Dress) -> Dress:
    """What the child was told; an earlier start of this job may have asked for another look."""
    told = run.parameters.get("attachments", {})
    same = (told.get("look"), told.get("label")) == (asked.look, asked.label)
    return asked if same else Dress(told.get("look", "none"), told.get("label", ""))


def _data_url(picture: Image.Image) -> str:
    """A JPEG small enough for a database row."""
    small = picture.copy()
    small.thumbnail((_ARTIFACT_WIDTH, 4 * _ARTIFACT_WIDTH))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=80, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
