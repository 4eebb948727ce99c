"""Build the wheel and the source archive twice, and see that they come out the same: `build_twice.py FOLDER`.

Each time from a copy of what git has (HEAD), at another path, under another umask, time zone and locale, so that none of
these can be in the result. `SOURCE_DATE_EPOCH` is the time of the commit. Where both are the same to the last byte, they are
put into FOLDER, with their checksums in SHA256SUMS; else the status is 1 and it is said which differ.

Runs in the environment of `make dist`, which has the build back end pinned: nothing is fetched.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SURROUNDINGS = (("one", 0o022, "UTC", "C.UTF-8"), ("two/deeper", 0o077, "Asia/Tokyo", "C"))


def output_of(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def build(source: Path, result: Path, umask: int, zone: str, language: str, epoch: str) -> None:
    env = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": str(umask)}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(result), str(source)]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, umask=umask)


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def main(target: Path) -> int:
    epoch = output_of("git", "log", "-1", "--format=%ct")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for place, umask, zone, language in SURROUNDINGS:
            source, result = Path(folder, place, "source"), Path(folder, place, "dist")
            source.mkdir(parents=True)
            archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True, umask=umask)
            build(source, result, umask, zone, language, epoch)
            results.append(sums(result))
        one, two = results
        for name in sorted(one.keys() | two.keys()):
            print(f"{'the same' if one.get(name) == two.get(name) else 'DIFFERENT'}  {one.get(name)}  {name}")
        if one != two:
            return 1
        target.mkdir(parents=True, exist_ok=True)
        for name in two:
            shutil.copy(result / name, target / name)
    (target / "SHA256SUMS").write_text("".join(f"{checksum}  {name}\n" for name, checksum in two.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
