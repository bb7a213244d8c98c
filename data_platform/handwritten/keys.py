"""The keys of hand-written assets: what people write, and the `[layer, pipeline, name]` it means.

Called by `handwritten.reading`. A key may be as short as is clear: `name` alone is an asset of
analytics, `[layer, name]` one of the pipeline.
"""

import difflib
from dataclasses import dataclass

import dagster as dg

LAYERS = ("raw", "staging", "analytics")
FOLLOWED = (*LAYERS, "destinations")
"""Layers of what a function may come after; it reads rows of the others."""


@dataclass(frozen=True)
class Names:
    """The assets that a short key may mean.

    Attributes:
        pipeline: whose `assets.py` it is.
        written: keys of the file's own assets, as written.
        declared: layer and name of the assets that the pipeline's YAML declares.
    """

    pipeline: str
    written: tuple[dg.AssetKey, ...]
    declared: tuple[tuple[str, str], ...]

    def resolve(self, key: dg.AssetKey) -> dg.AssetKey:
        """The full key of an asset that is read or judged.

        Raises:
            ValueError: it means none, or several.
        """
        if key in self.written:
            return full_key(key, self)
        match list(key.path):
            case [name]:
                return self._by_name(name)
            case [layer, name] if layer in FOLLOWED:
                return dg.AssetKey([layer, self.pipeline, name])
            case [layer, _, _] if layer in FOLLOWED:
                return key
            case _:
                raise ValueError(_no_key(key))

    def reference(self, key: dg.AssetKey) -> str:
        """The same as a reference of the language: `pipeline.layer.name`."""
        layer, pipeline, name = self.resolve(key).path
        return f"{pipeline}.{layer}.{name}"

    def _by_name(self, name: str) -> dg.AssetKey:
        """An asset of the pipeline by its name alone; its own file's come first."""
        own = [full_key(key, self) for key in self.written if key.path[-1] == name]
        found = own or [
            dg.AssetKey([layer, self.pipeline, one]) for layer, one in self.declared if one == name
        ]
        if len(found) == 1:
            return found[0]
        if found:
            forms = " or ".join(f'["{key.path[0]}", "{name}"]' for key in found)
            raise ValueError(f"{name!r} may be several assets: name it by dg.AssetIn(key={forms})")
        known = [one for _, one in self.declared] + [key.path[-1] for key in self.written]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
        raise ValueError(f"there is no asset {name!r} in pipeline {self.pipeline}; {hint}")


def full_key(key: dg.AssetKey, names: Names) -> dg.AssetKey:
    """The key of an asset of the file itself.

    Raises:
        ValueError: it can't be one of the pipeline's.
    """
    match list(key.path):
        case [name]:
            return dg.AssetKey(["analytics", names.pipeline, name])
        case [layer, name] if layer in LAYERS:
            return dg.AssetKey([layer, names.pipeline, name])
        case [layer, pipeline, _] if layer in LAYERS and pipeline == names.pipeline:
            return key
        case _:
            raise ValueError(_no_key(key))


def _no_key(key: dg.AssetKey) -> str:
    return (
        f"the key {key.to_user_string()} is none of the platform's: layer/pipeline/name, where the "
        f"layer is {', '.join(LAYERS[:-1])} or {LAYERS[-1]}"
    )
