"""As far as it can be seen without Windows: no module needs what only POSIX has to be imported there."""

import subprocess
import sys

AS_ON_WINDOWS = """
import ctypes, importlib, pkgutil, subprocess, sys, types
import tiny_agents
names = [module.name for module in pkgutil.walk_packages(tiny_agents.__path__, "tiny_agents.")]
for name in names:  # so that the standard library and the dependencies are there, as they are on this system
    importlib.import_module(name)
for name in [name for name in sys.modules if name.partition(".")[0] == "tiny_agents"]:
    del sys.modules[name]
for name in ("fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "readline"):
    sys.modules[name] = None
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
subprocess.CREATE_NO_WINDOW = subprocess.CREATE_NEW_PROCESS_GROUP = 0
sys.platform = "win32"
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_all_modules_can_be_imported_without_what_only_posix_has() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 300
