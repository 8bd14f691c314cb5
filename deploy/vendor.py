"""Fetches the console's third-party files: `make vendor`. `--check` compares what is there with its checksums.

Packages come by `npm pack` from whatever registry npm is set to; only the files named here are kept.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "static" / "vendor"
MANIFEST = FOLDER / "VENDOR.json"
# package, version, licence, {file in the package: file here}
PACKAGES = (
    ("htmx.org", "2.0.11", "0BSD", {"dist/htmx.min.js": "htmx/htmx.min.js", "LICENSE": "htmx/LICENSE"}),
    ("idiomorph", "0.8.0", "0BSD", {"dist/idiomorph-ext.min.js": "idiomorph/idiomorph-ext.min.js"}),
    (
        "@tabler/core",
        "1.6.1",
        "MIT",
        {
            "dist/css/tabler.min.css": "tabler/tabler.min.css",
            "dist/js/tabler.min.js": "tabler/tabler.min.js",
            "LICENSE": "tabler/LICENSE",
        },
    ),
    (
        "uplot",
        "1.6.32",
        "MIT",
        {
            "dist/uPlot.iife.min.js": "uplot/uplot.min.js",
            "dist/uPlot.min.css": "uplot/uplot.min.css",
            "LICENSE": "uplot/LICENSE",
        },
    ),
)
ICON_PACKAGE = ("@tabler/icons", "3.51.0", "MIT")
ICONS = (
    "activity",
    "alert-triangle",
    "bell",
    "bolt",
    "box",
    "chart-bar",
    "check",
    "chevron-down",
    "circle-check",
    "clock",
    "database",
    "external-link",
    "filter",
    "heart-rate-monitor",
    "home",
    "layout-dashboard",
    "logout",
    "moon",
    "network",
    "plus",
    "refresh",
    "search",
    "server",
    "settings",
    "shield",
    "sun",
    "tools",
    "trending-up",
    "user",
    "users",
    "x",
    "eye",
)


def main() -> None:
    sys.exit(check() if "--check" in sys.argv else fetch())


def fetch() -> int:
    entries = []
    for name, version, licence, files in PACKAGES:
        with unpacked(name, version) as package:
            for inside, here in files.items():
                if (package / inside).exists():
                    entries.append(keep(name, version, licence, here, (package / inside).read_bytes()))
    name, version, licence = ICON_PACKAGE
    with unpacked(name, version) as package:
        entries.append(keep(name, version, licence, "tabler-icons/sprite.svg", sprite(package)))
        entries.append(keep(name, version, licence, "tabler-icons/LICENSE", (package / "LICENSE").read_bytes()))
    MANIFEST.write_text(json.dumps(entries, indent=1) + "\n")
    print(f"{len(entries)} files in {FOLDER.name}")
    return 0


class unpacked:
    """An npm package unpacked in a folder that goes away again."""

    def __init__(self, name: str, version: str) -> None:
        self.wanted = f"{name}@{version}"

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory()
        pack = ["npm", "pack", self.wanted, "--silent", "--pack-destination", self.folder.name]
        subprocess.run(pack, check=True, capture_output=True)
        archive = next(Path(self.folder.name).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            tar.extractall(self.folder.name, filter="data")
        return Path(self.folder.name) / "package"

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


def keep(name: str, version: str, licence: str, here: str, content: bytes) -> dict[str, str]:
    path = FOLDER / here
    path.parent.mkdir(parents=True, exist_ok=True)
    # Source maps are not shipped: a reference to one would be a request that fails.
    lines = [line for line in content.splitlines(keepends=True) if b"sourceMappingURL" not in line[:60]]
    path.write_bytes(b"".join(lines))
    return {"package": name, "version": version, "licence": licence, "file": here, "sha256": digest(path)}


def sprite(package: Path) -> bytes:
    symbols = []
    for name in ICONS:
        source = (package / "icons" / "outline" / f"{name}.svg").read_text()
        inner = source[source.index(">", source.index("<svg")) + 1 : source.rindex("</svg>")]
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inner.split())}</symbol>')
    return ('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n").encode()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check() -> int:
    wrong = [one["file"] for one in json.loads(MANIFEST.read_text()) if digest(FOLDER / one["file"]) != one["sha256"]]
    print("changed: " + ", ".join(wrong) if wrong else "all vendored files are as fetched")
    return 1 if wrong else 0


if __name__ == "__main__":
    main()
