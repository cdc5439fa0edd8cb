"""The cache of compiled code; no disk, archive or setting makes a fit fail."""

import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from itertools import cycle
from pathlib import Path

import pytest

from sknn_notes import _kernels

pytestmark = pytest.mark.skipif(
    "numba" not in _kernels.available(), reason="needs numba"
)
PACKAGE = Path(_kernels.__file__).parents[1]

# Prints the warnings, what the cache did, and an operation's result.
USE = """
import warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from sknn_notes import _kernels
    from sknn_notes._compile import Memory
    from sknn_notes._engine.tape import CompiledTape, Operation
    from sknn_notes.activations import ReLU
    from sknn_notes.layers import _activate
    kernels = _kernels.active().__name__.rpartition(".")[2]
    {before}
    Z = np.array([[-2.0, 2.0]])
    if kernels == "_numba":
        at = 0, 0, 0, -1, 2
        relu = Operation(_activate.forward, (ReLU.value,), at, lambda: 4 * (0.0,), -1)
        tape = CompiledTape([relu], (), (), Z.dtype)
        arrays = dict.fromkeys(Memory._fields, np.zeros(1)) | {{
            "classes": np.zeros(1, np.int64),
            "bits": np.zeros(1, np.uint32),
            "work": Z.reshape(-1),
        }}
        numbers = tape.numbers(np.zeros(1))
        keys, edges = np.empty((1, 0), np.uint64), np.array([0, 1])
        tape.run(Memory(**arrays), numbers, 0, edges, keys, 0)
        from sknn_notes._compile import _numba
        stats = _numba._dispatcher(_activate.forward, (ReLU.value,), Z.dtype).stats
        print("hits", sum(stats.cache_hits.values()))
    else:
        Z = ReLU().forward(Z, np)
for warning in caught:
    print("warning:", warning.category.__name__, warning.message)
print(kernels, Z.tolist())
"""


class Process:
    """What a process has printed that ran `USE`."""

    def __init__(self, *command, before="pass", **environment):
        kept = {k: v for k, v in os.environ.items() if k not in UNSET}
        home = environment.pop("HOME")
        environment = {**kept, "HOME": str(home), **environment}
        done = subprocess.run(
            command or [sys.executable, "-c", USE.format(before=before)],
            env={k: str(v) for k, v in environment.items()},
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.lines = done.stdout.splitlines()

    @property
    def warnings(self):
        return [line for line in self.lines if line.startswith("warning:")]

    @property
    def hits(self):
        (line,) = (line for line in self.lines if line.startswith("hits"))
        return int(line.split()[1])

    @property
    def result(self):
        return self.lines[-1]


UNSET = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "SKNN_NOTES_KERNELS", "NUMBA_DISABLE_JIT")
RIGHT = "_numba [[0.0, 2.0]]"


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def archive(tmp_path):
    """The package in a zip, as a function of one replacement in its sources."""

    def write(old="", new=""):
        path = tmp_path / "library.zip"
        with zipfile.ZipFile(path, "w") as file:
            for source in sorted(PACKAGE.rglob("*")):
                if source.suffix in (".py", ".css", ".svg", ".html"):
                    text = source.read_text()
                    text = text.replace(old, new) if old else text
                    name = source.relative_to(PACKAGE.parent)
                    # The date is that of the archive's other versions.
                    file.writestr(zipfile.ZipInfo(str(name)), text)
        return path

    return write


def locked(path):
    """Return a path that is no directory and can't become one, whoever asks."""
    path.write_text("")
    return path / "inside"


# Where the code comes from


@pytest.mark.nightly
def test_from_a_zip_code_is_kept_and_ages_with_the_archive(archive, home):
    path = archive()
    first = Process(PYTHONPATH=path, HOME=home)
    assert (first.hits, first.result, first.warnings) == (0, RIGHT, [])
    again = Process(PYTHONPATH=path, HOME=home)
    assert (again.hits, again.result, again.warnings) == (1, RIGHT, [])
    archive("return cast(0, z) if z < 0", "return cast(7, z) if z < 0")
    upgraded = Process(PYTHONPATH=path, HOME=home)
    assert (upgraded.hits, upgraded.result) == (0, "_numba [[7.0, 2.0]]")
    # A change of another file than the function's own.
    archive("The loops that minimize an objective", "Changed")
    changed = Process(PYTHONPATH=path, HOME=home)
    assert (changed.hits, changed.result) == (0, RIGHT)


@pytest.mark.nightly
def test_a_zip_without_a_home_that_can_be_written(archive, home):
    environment = {"PYTHONPATH": archive(), "HOME": home}
    environment["XDG_CACHE_HOME"] = locked(home / "no_directory")
    process = Process(**environment)
    assert process.result == RIGHT
    (warning,) = process.warnings
    assert "PermissionError: none of the directories ['" in warning
    assert "NUMBA_CACHE_DIR" in warning
    # What the warning recommends helps.
    environment["NUMBA_CACHE_DIR"] = home / "cache"
    assert Process(**environment).warnings == []
    assert Process(**environment).hits == 1


def test_an_installation_where_nothing_can_be_written(tmp_path, home):
    package = tmp_path / "library" / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    # A file in place of a directory stops the superuser, too.
    (package / "_compile" / "__pycache__").write_text("")
    environment = {"PYTHONPATH": package.parent, "HOME": home}
    assert Process(**environment).warnings == []
    assert Process(**environment).hits == 1
    environment["XDG_CACHE_HOME"] = locked(home / "no_directory")
    process = Process(**environment)
    assert process.result == RIGHT
    (warning,) = process.warnings
    assert "PermissionError: none of the directories ['" in warning


@pytest.mark.nightly
def test_a_file_system_without_locks_keeps_code_all_the_same(home):
    pytest.importorskip("fcntl")
    before = "import fcntl; fcntl.flock = lambda *_: Path('none').read_bytes()"
    before = "from pathlib import Path; " + before
    environment = {"PYTHONPATH": PACKAGE.parent, "HOME": home}
    environment["NUMBA_CACHE_DIR"] = home / "cache"
    for hits in (0, 1):
        process = Process(before=before, **environment)
        assert (process.hits, process.result, process.warnings) == (hits, RIGHT, [])


def test_what_is_compiled_ages_with_all_of_the_sources_and_numba(tmp_path, home):
    package = tmp_path / "library" / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": package.parent, "HOME": home}
    environment["NUMBA_CACHE_DIR"] = tmp_path / "cache"
    assert [Process(**environment).hits for _ in range(2)] == [0, 1]
    other = package / "_engine" / "training.py"
    other.write_text(other.read_text() + "\n# changed\n")
    assert [Process(**environment).hits for _ in range(2)] == [0, 1]
    newer = Process(before="import numba; numba.__version__ = '99.0'", **environment)
    assert (newer.hits, newer.result, newer.warnings) == (0, RIGHT, [])


FROZEN = """
import importlib.abc, importlib.util, pathlib, sys
root = pathlib.Path({root!r})
codes = {{}}
for path in root.rglob("*.py"):
    parts = path.relative_to(root.parent).with_suffix("").parts
    name = ".".join(parts).removesuffix(".__init__")
    place = str("/nowhere" / path.relative_to(root.parent))
    codes[name] = compile(path.read_text(), place, "exec"), path.stem == "__init__"

class Frozen(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name not in codes:
            return None
        code, is_package = codes[name]
        spec = importlib.util.spec_from_loader(
            name, self, origin=code.co_filename, is_package=is_package
        )
        spec.has_location = True
        return spec

    def exec_module(self, module):
        exec(codes[module.__name__][0], vars(module))

sys.meta_path.insert(0, Frozen())
sys.frozen = True
"""


@pytest.mark.nightly
def test_a_frozen_application_compiles_without_a_cache(home):
    """Its modules are not in files, neither as sources nor as bytecode."""
    code = FROZEN.format(root=str(PACKAGE)) + USE.format(before="pass")
    for _ in range(2):
        process = Process(sys.executable, "-c", code, HOME=home)
        assert (process.hits, process.result) == (0, RIGHT)
        (warning,) = process.warnings
        assert "as in a frozen application" in warning
        assert not list(home.rglob("sknn_notes*"))


# What is on disk


def spoil(file, how):
    content = file.read_bytes()
    if how == "truncated":
        content = content[:-100]
    elif how == "one bit":
        content = content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:]
    elif how == "empty":
        content = b""
    elif how == "a few bytes":
        content = content[:10]
    elif how == "no code":
        code = pickle.dumps(["something else"])
        content = content[:32] + sha256(code).digest() + code
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        ("truncated", "one bit"),
        pytest.param(("empty", "a few bytes"), marks=pytest.mark.nightly),
        pytest.param(("truncated", "no code"), marks=pytest.mark.nightly),
    ],
    ids=str,
)
def test_damaged_code_is_compiled_again_and_replaced(home, damage):
    environment = {"PYTHONPATH": PACKAGE.parent, "HOME": home}
    environment["NUMBA_CACHE_DIR"] = home / "cache"
    assert Process(**environment).warnings == []
    files = sorted((home / "cache").rglob("*.nbc"))
    assert files
    for file, how in zip(files, cycle(damage), strict=False):
        spoil(file, how)
    process = Process(**environment)
    assert (process.hits, process.result) == (0, RIGHT)
    (warning,) = process.warnings
    assert "can't be read from disk" in warning
    assert ".nbc is damaged" in warning or "no code" in damage
    repaired = Process(**environment)
    assert (repaired.hits, repaired.result, repaired.warnings) == (1, RIGHT, [])
    assert sorted((home / "cache").rglob("*.nbc")) == files


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform == "win32", reason="no limit to set there")
def test_a_quota_that_is_used_up(home):
    """A file longer than the limit fails as on a full disk."""
    environment = {"PYTHONPATH": PACKAGE.parent, "HOME": home}
    environment["NUMBA_CACHE_DIR"] = home / "cache"
    before = (
        "import resource, signal;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    )
    process = Process(before=before, **environment)
    assert (process.hits, process.result) == (0, RIGHT)
    (warning,) = process.warnings
    assert "File too large" in warning
    # No draft is left behind, and the next process keeps its code again.
    files = [path.name for path in (home / "cache").rglob("*") if path.is_file()]
    assert files == ["lock"]
    assert Process(**environment).warnings == []
    assert Process(**environment).hits == 1


@pytest.mark.parametrize(
    "name",
    [
        "ENOSPC",
        pytest.param("EDQUOT", marks=pytest.mark.nightly),
        pytest.param("EIO", marks=pytest.mark.nightly),
        pytest.param("EROFS", marks=pytest.mark.nightly),
    ],
)
def test_a_disk_that_takes_nothing(home, name):
    before = (
        "import errno, pathlib\n"
        "    def fail(self, content):\n"
        f"        raise OSError(errno.{name}, 'of the disk')\n"
        "    pathlib.Path.write_bytes = fail"
    )
    environment = {"PYTHONPATH": PACKAGE.parent, "HOME": home}
    process = Process(before=before, NUMBA_CACHE_DIR=home / "cache", **environment)
    assert (process.hits, process.result) == (0, RIGHT)
    (warning,) = process.warnings
    assert "OSError: [Errno" in warning
    assert "of the disk" in warning


# Without compiling


def test_numba_that_is_told_not_to_compile(home):
    environment = {"PYTHONPATH": PACKAGE.parent, "HOME": home, "NUMBA_DISABLE_JIT": 1}
    process = Process(**environment)
    assert process.result == "_numpy [[0.0, 2.0]]"
    (warning,) = process.warnings
    assert "ImportError: NUMBA_DISABLE_JIT is set" in warning
    assert "Reinstall" not in warning
    silent = Process(**environment, SKNN_NOTES_KERNELS="numpy")
    assert (silent.result, silent.warnings) == (process.result, [])


@pytest.mark.nightly
def test_numba_that_is_asked_for_but_told_not_to_compile(home):
    code = "import sknn_notes._kernels as k; k.active()"
    environment = {"NUMBA_DISABLE_JIT": "1", "SKNN_NOTES_KERNELS": "numba"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment, "PYTHONPATH": str(PACKAGE.parent)},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "NUMBA_DISABLE_JIT is set" in done.stderr.splitlines()[-1]


# Several processes

FIT = """
import sys, time
from pathlib import Path
import numpy as np
from sknn_notes import MLPClassifier
from sknn_notes._compile import _numba
folder, own = Path(sys.argv[1]), sys.argv[2]
(folder / f"ready_{own}").touch()
end = time.monotonic() + 60
while len(list(folder.glob("ready_*"))) < 2 and time.monotonic() < end:
    time.sleep(0.001)
X = np.random.default_rng(0).normal(size=(30, 4))
model = MLPClassifier(hidden_layer_sizes=5, activation="tanh", max_iter=2)
model.fit(X, np.arange(30) % 3)
stats = [_numba._dispatcher(*key).stats for key in _numba._addresses]
hits = [sum(each.cache_hits.values()) for each in stats]
misses = [sum(each.cache_misses.values()) for each in stats]
print(model.executor_, *hits, "/", *misses)
"""


def test_processes_that_start_at_once_compile_each_operation_once(home):
    pytest.importorskip("fcntl")
    kept = {k: v for k, v in os.environ.items() if k not in UNSET}
    environment = kept | {
        "HOME": str(home),
        "NUMBA_CACHE_DIR": str(home / "cache"),
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONWARNINGS": "ignore",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FIT, str(home), str(i)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    lines = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [line.pop(0) for line in lines] == ["numba", "numba"]
    hits, misses = [], []
    for line in lines:
        cut = line.index("/")
        hits.append([int(number) for number in line[:cut]])
        misses.append([int(number) for number in line[cut + 1 :]])
    n_operations = len(hits[0])
    assert n_operations > 5
    assert [sum(pair) for pair in zip(*misses, strict=True)] == n_operations * [1]
    assert [sum(pair) for pair in zip(*hits, strict=True)] == n_operations * [1]
