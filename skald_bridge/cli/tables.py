"""Tables that fit any width: whole columns are left out first, then values are shortened between words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2
ELLIPSIS = "…"


@dataclass(frozen=True)
class Column:
    """``rank``: the higher, the sooner it is left out; 0 never is.

    ``enough``: to so many cells its values are shortened before columns of a lower rank are left out; ``None``: not.
    ``wraps``: its values go on in the next line instead of being shortened.
    """

    name: str
    rank: int = 0
    enough: int | None = None
    wraps: bool = False


def fit(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Places and widths of the columns that are shown; ``natural``: the widest value or name of each, in cells."""
    whole = [min(size, max(1, width)) for size in natural]
    enough = [
        size if column.enough is None else min(size, max(column.enough, cell_len(column.name)))
        for column, size in zip(columns, whole, strict=True)
    ]
    shown = list(range(len(columns)))

    def excess(sizes: Sequence[int]) -> int:
        return sum(sizes[place] for place in shown) + GAP * (len(shown) - 1) - width

    while excess(enough) > 0 and (extra := [place for place in shown if columns[place].rank]):
        shown.remove(max(extra, key=lambda place: (columns[place].rank, place)))
    for least in (enough, [1] * len(columns)):
        while excess(whole) > 0 and (wide := [place for place in shown if whole[place] > least[place]]):
            whole[max(wide, key=lambda place: (columns[place].enough is not None, whole[place]))] -= 1
    return [(place, whole[place]) for place in shown]


def shorten(text: Text, width: int) -> Text:
    """At most so many cells: whole words and an ellipsis; a single word that is too long is cut."""
    if text.cell_len <= width:
        return text
    room = len(set_cell_size(text.plain, max(0, width - 1)).rstrip())
    kept = text.plain[: room + 1]
    end = kept.rfind(" ")
    cut = text[: end if end > 0 else room]
    cut.rstrip()
    return cut.append(ELLIPSIS) if width > 0 else Text()


class FittedTable:
    """For rich's ``Console.print``; cells are rich's markup, on one line each."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        self._columns = columns
        self._rows = [[Text.from_markup(cell) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        natural = [
            max([cell_len(column.name), *(row[place].cell_len for row in self._rows)])
            for place, column in enumerate(self._columns)
        ]
        width = (
            sum(natural) + GAP * len(natural) if getattr(console, "unbounded", False) else options.max_width
        )
        shown = fit(self._columns, natural, width)
        names = [Text(column.name, "bold") for column in self._columns]
        for row in (names, *self._rows):
            yield from self._lines(console, row, shown)

    def _lines(
        self, console: Console, row: Sequence[Text], shown: Sequence[tuple[int, int]]
    ) -> Iterator[Text]:
        cells = [
            list(row[place].wrap(console, width, overflow="ellipsis"))
            if self._columns[place].wraps and row[place].cell_len > width
            else [shorten(row[place], width)]
            for place, width in shown
        ]
        for number in range(max(map(len, cells), default=0)):
            line = Text(no_wrap=True, overflow="ignore")
            for (_, width), parts in zip(shown, cells, strict=True):
                if number < len(parts) and (part := parts[number]).cell_len:
                    line.append_text(part)
                    line.append(" " * (width - part.cell_len))
                else:
                    line.append(" " * width)
                line.append(" " * GAP)
            line.rstrip()
            yield line
