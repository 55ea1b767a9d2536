"""Topic filters with values, found by the topics that they match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class _Level(Generic[V]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Level[V]] = {}
        # A list of none or one, because None is a value, too.
        self.value: list[V] = []


class MQTTMatcher(Generic[V]):
    """A mapping of topic filters that is searched by topic (MQTT 3.1.1 section 4.7)."""

    def __init__(self) -> None:
        self._root: _Level[V] = _Level()

    def __setitem__(self, key: str, value: V) -> None:
        level = self._root
        for name in key.split("/"):
            level = level.children.setdefault(name, _Level())
        level.value = [value]

    def _path(self, key: str) -> list[_Level[V]]:
        levels = [self._root]
        for name in key.split("/"):
            child = levels[-1].children.get(name)
            if child is None:
                raise KeyError(key)
            levels.append(child)
        if not levels[-1].value:
            raise KeyError(key)
        return levels

    def __getitem__(self, key: str) -> V:
        return self._path(key)[-1].value[0]

    def __delitem__(self, key: str) -> None:
        levels = self._path(key)
        levels[-1].value = []
        for name in reversed(key.split("/")):
            level = levels.pop()
            if level.children or level.value:
                break
            del levels[-1].children[name]

    def iter_match(self, topic: str) -> Iterator[V]:
        """Yield the value of every filter that matches `topic`."""
        names = topic.split("/")
        # Wildcards at the first level do not match topics of the server (section 4.7.2).
        yield from self._match(self._root, names, 0, not topic.startswith("$"))

    def _match(self, level: _Level[V], names: list[str], at: int, wild: bool) -> Iterator[V]:
        if at == len(names):
            yield from level.value
        else:
            if names[at] in level.children:
                yield from self._match(level.children[names[at]], names, at + 1, True)
            if wild and "+" in level.children:
                yield from self._match(level.children["+"], names, at + 1, True)
        # `a/#` matches `a`, too.
        if wild and "#" in level.children:
            yield from level.children["#"].value


def topic_matches_sub(sub: str, topic: str) -> bool:
    """Return whether the filter `sub` matches `topic`."""
    matcher: MQTTMatcher[bool] = MQTTMatcher()
    matcher[sub] = True
    return next(matcher.iter_match(topic), False)
