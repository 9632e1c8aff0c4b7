#!/usr/bin/env python3
"""Writes crates/venues/tests/goldens/<venue>.json: what Python ccxt sends and understands, offline.

    "$(tools/ccxt/setup)" tools/goldens/make_goldens.py [venue ...]

Nothing is sent: ccxt's `fetch` is replaced. Running it twice gives the same bytes.
"""

import importlib
import pathlib
import sys

import forge

HERE = pathlib.Path(__file__).resolve().parent
GOLDENS = HERE.parent.parent / "crates" / "venues" / "tests" / "goldens"


def main(names):
    known = sorted(path.stem for path in (HERE / "venues").glob("*.py") if path.stem != "__init__")
    for name in names or known:
        if name not in known:
            sys.exit(f"no venue `{name}`; there is a file in tools/goldens/venues for: {', '.join(known)}")
        made = importlib.import_module(f"venues.{name}").build()
        GOLDENS.mkdir(parents=True, exist_ok=True)
        path = GOLDENS / f"{name}.json"
        path.write_text(forge.to_text(made), encoding="utf-8")
        print(f"{name}: {len(made.cases)} cases")


if __name__ == "__main__":
    main(sys.argv[1:])
