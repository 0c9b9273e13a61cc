"""The distinct values of a column of facts: which rows have them, what was said of them, and how often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

EXAMPLES = 20


class Tally(msgspec.Struct):
    """What one expectation said about a number of rows; tallies of several chunks add up."""

    config: dict[str, Any]
    rows: int = 0
    unexpected: int = 0
    missing: int = 0
    examples: dict[str, int] = {}

    def add(self, other: Tally) -> None:
        """Add the rows of another chunk."""
        self.rows += other.rows
        self.unexpected += other.unexpected
        self.missing += other.missing
        for value, count in other.examples.items():
            if value in self.examples or len(self.examples) < EXAMPLES:
                self.examples[value] = self.examples.get(value, 0) + count


def merge(into: list[Tally], more: Sequence[Tally]) -> list[Tally]:
    """Add the tallies of another chunk, expectation by expectation; a chunk that nothing could be read of has none."""
    if not more:
        return into
    if not into:
        return [msgspec.json.decode(msgspec.json.encode(tally), type=Tally) for tally in more]
    for one, other in zip(into, more, strict=True):
        one.add(other)
    return into


class Answers:
    """What GX said of each value so far: the values it judged by column, the unexpected ones by expectation."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.parameters = dict(parameters)
        self.unexpected: dict[int, set[Any]] = defaultdict(set)
        self._judged: dict[str, set[Any]] = defaultdict(set)

    @property
    def count(self) -> int:
        """Number of values that were judged, over all columns."""
        return sum(map(len, self._judged.values()))

    def not_judged(self, columns: Mapping[str, Distinct]) -> dict[str, list[Any]]:
        """Return the values of each column that GX was not asked about; columns without any are left out."""
        new = {name: [v for v in column.values if v not in self._judged[name]] for name, column in columns.items()}
        return {name: values for name, values in new.items() if values}

    def learn(self, new: Mapping[str, list[Any]], unexpected: Mapping[int, list[Any]]) -> None:
        """Remember that `new` was judged, and which of it each expectation did not expect."""
        for number, values in unexpected.items():
            self.unexpected[number].update(values)
        for name, values in new.items():
            self._judged[name].update(values)


class Distinct:
    """The distinct values of a column, and which of them each row has."""

    def __init__(self, column: pa.DictionaryArray) -> None:
        encoded = column.dictionary_decode().dictionary_encode(null_encoding="encode")
        self.values: list[Any] = encoded.dictionary.to_pylist()
        self.codes = encoded.indices.to_numpy(zero_copy_only=False)

    def codes_of(self, values: Set[Any]) -> list[int]:
        """Return the codes of those of `values` that the column has."""
        return [code for code, value in enumerate(self.values) if value in values] if values else []

    def tally(self, config: dict[str, Any], found: Sequence[int]) -> Tally:
        """Count the rows of the unexpected codes that an expectation found."""
        counts = np.bincount(self.codes, minlength=len(self.values))
        unexpected = {code: int(counts[code]) for code in found}
        return Tally(
            config=config,
            rows=len(self.codes),
            unexpected=sum(unexpected.values()),
            missing=int(counts[self.values.index(None)]) if None in self.values else 0,
            examples={
                "null" if (text := shown(self.values[code])) is None else text: count
                for code, count in [*unexpected.items()][:EXAMPLES]
            },
        )

    def rows_of(self, found: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        """Yield the rows that have one of these codes, each with the value as text."""
        for code in found:
            for row in np.flatnonzero(self.codes == code).tolist():
                yield row, shown(self.values[code])


def shown(value: Any) -> str | None:  # noqa: ANN401 - a fact has any scalar type
    """Return a value as a reason shows it."""
    return None if value is None else str(value)[:255]
