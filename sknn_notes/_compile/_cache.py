"""Compiled code on disk. A failure of the cache costs time, but never raises."""

import pickle
import sys
import tempfile
import warnings
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from uuid import uuid4

import numba
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

_LIBRARY = __package__.partition(".")[0]


class DiskCache(NullCache):
    """Cache of the compiled code of a function, with one file per signature.

    A file contains a digest of the sources and of numba's version, a digest of the
    code, and the code. Code of other sources is not used, and damaged code is not run.
    Code that can't be loaded is compiled again and replaced. Code that can't be saved
    is compiled by every process.
    """

    def __init__(self, name):
        self._name = name

    def holds(self, sig, codegen):
        """Tell whether there is a file for a signature, up to date or not."""
        try:
            return self._path(sig, codegen).exists()
        except Exception:
            return False

    def load_overload(self, sig, target_context):
        """Return the code for a signature, None if it has to be compiled."""
        target_context.refresh()
        try:
            path = self._path(sig, target_context.codegen())
            if path.exists() and (code := _read(path)) is not None:
                return CompileResult._rebuild(target_context, *pickle.loads(code))
        except Exception as error:
            _warn_once(error)
        return None

    def save_overload(self, sig, data):
        """Save the code for a signature."""
        try:
            if data.library.has_dynamic_globals:
                raise ValueError(f"{self._name} holds addresses of this process")
            _write(self._path(sig, data.codegen), dumps(data._reduce()))
        except Exception as error:
            _warn_once(error)

    def _path(self, sig, codegen):
        _stamp()  # Raises before a directory is created if nothing can be saved.
        key = repr((sig, codegen.magic_tuple(), sys.implementation.cache_tag))
        name = f"{self._name}-{sha256(key.encode()).hexdigest()[:20]}.nbc"
        return directory() / name


@cache
def _stamp():
    """Return a digest of the sources of the library and of numba's version.

    It covers all sources, since functions of one file are compiled into those of
    another.
    """
    sources = list(_sources(resources.files(_LIBRARY)))
    if not sources:
        raise FileNotFoundError(
            f"the sources of {_LIBRARY} are not in files, as in a frozen application, "
            "so it is unknown whether compiled code is up to date"
        )
    return sha256(numba.__version__.encode() + b"".join(sources)).digest()


def _sources(folder):
    """Yield the contents of all Python files in a folder, sorted by name."""
    for file in sorted(folder.iterdir(), key=str):
        if file.name.endswith((".py", ".pyc")):
            yield file.read_bytes()
        elif "." not in file.name and file.name != "__pycache__" and file.is_dir():
            yield from _sources(file)


@contextmanager
def locked():
    """Let one process compile at a time, so that others load what it has saved."""
    with ExitStack() as stack:
        # There are no locks on Windows and on some network file systems. Without a
        # directory nothing is saved anyway.
        with suppress(ImportError, OSError):
            import fcntl

            _stamp()  # Raises before a directory is created if nothing can be saved.
            file = stack.enter_context((directory() / "lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
            # A forked process keeps the file open.
            stack.callback(fcntl.flock, file, fcntl.LOCK_UN)
        yield


@cache
def directory():
    """Return the first writeable directory for compiled code."""
    folder = Path(__file__).parent
    name = f"sknn_notes_{sha256(str(folder).encode()).hexdigest()[:20]}"
    places = [Path(AppDirs("numba", appauthor=False).user_cache_dir, name)]
    if folder.is_dir():  # Not in a zip.
        places.insert(0, folder / "__pycache__")
    # Numba's settings have no types.
    if chosen := vars(numba.config)["CACHE_DIR"]:
        places.insert(0, Path(chosen, name))
    for place in places:
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=place).close()
            return place
    raise PermissionError(f"none of the directories {[*map(str, places)]} is writeable")


def _read(path):
    """Return the code in a file, None if it belongs to other sources."""
    content = path.read_bytes()
    stamp, digest, code = content[:32], content[32:64], content[64:]
    if len(stamp) == 32 and stamp != _stamp():
        return None
    if digest != sha256(code).digest():
        raise ValueError(f"{path} is damaged")
    return code


def _write(path, code):
    """Write a file atomically."""
    content = _stamp() + sha256(code).digest() + code
    draft = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


_failures: list[Exception] = []


def _warn_once(error):
    """Warn about the first failure in a process; later ones have the same cause."""
    _failures.append(error)
    if len(_failures) == 1:
        warnings.warn(
            "Compiled code can't be read from disk or saved there "
            f"({type(error).__name__}: {error}). It is compiled again, which takes "
            "some seconds. If this happens in every process, set NUMBA_CACHE_DIR to a "
            "writeable directory, or SKNN_NOTES_KERNELS=numpy to compile nothing.",
            stacklevel=2,
        )
