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

    def __init__(self, column: pa.Array) -> None:
        """Take a column, dictionary-encoded or plain; of a dictionary only what rows have counts."""
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        known = [*encoded.dictionary.to_pylist(), None]
        codes = encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
        counts = np.bincount(codes, minlength=len(known))
        used = np.flatnonzero(counts)
        self.values: list[Any] = [known[code] for code in used]
        self.codes = (np.cumsum(counts > 0) - 1)[codes]
        self._counts: list[int] = counts[used].tolist()
        self._missing = sum(count for value, count in zip(self.values, self._counts, strict=True) if value is None)

    def codes_of(self, values: Set[Any]) -> list[int]:
        """Return the codes of those of `values` that the column has."""
        return [code for code, value in enumerate(self.values) if value in values] if values else []

    def tally(self, config: dict[str, Any], found: Sequence[int]) -> Tally:
        """Count the rows of the unexpected codes that an expectation found."""
        unexpected = {code: self._counts[code] for code in found}
        return Tally(
            config=config,
            rows=len(self.codes),
            unexpected=sum(unexpected.values()),
            missing=self._missing,
            examples={
                "null" if (text := shown(self.values[code])) is None else text: count
                for code, count in [*unexpected.items()][:EXAMPLES]
            },
        )

    def rows_of(self, found: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        """Yield the rows that have one of these codes, each with the value as text."""
        for row in np.flatnonzero(np.isin(self.codes, found)).tolist() if found else ():
            yield row, shown(self.values[self.codes[row]])


def shown(value: Any) -> str | None:  # noqa: ANN401 - a fact has any scalar type
    """Return a value as a reason shows it."""
    return None if value is None else str(value)[:255]
