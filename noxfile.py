"""The checks, each a session: ``nox -l`` lists them, ``nox -s lint`` runs one.

A session runs in an environment of its own below ``.nox``, which it keeps. With
``--no-venv`` it runs in the environment at hand and installs nothing. What follows
``--`` goes to the program that the session runs. Continuous integration runs these
sessions and nothing else.
"""

import shutil
import tarfile
import zipfile
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "imports", "tests", "doctests", "docs"]
nox.options.reuse_venv = "yes"
# Without this, a session whose Python is missing counts as passed.
nox.options.error_on_missing_interpreters = True

# Several workers run the tests: more threads than that only wait for each other.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
}
# Tests with threads and processes, which may end in another order every time.
RACES = [
    "tests/faults",
    "tests/test_threads.py",
    "tests/test_predictions_on_threads.py",
    "tests/engine/test_interruptions.py",
    "tests/engine/test_device_faults.py",
    "tests/model_selection/test_together.py",
    "tests/neural_network/test_together.py",
    "tests/neural_network/test_interrupted_fits.py",
    "tests/neural_network/test_killed.py",
]
NIGHTLY_WHEELS = "https://pypi.anaconda.org/scientific-python-nightly-wheels/simple"


def install(session, *arguments):
    """Install into the environment of the session, if it has one."""
    if session.venv_backend != "none":
        session.install(*arguments)


def pytest(session, *arguments):
    """Run pytest on two workers."""
    session.run("python", "-m", "pytest", "-n", "2", *arguments, env=ONE_THREAD)


@nox.session
def tests(session):
    """Tests of the compiled code: with numba and all that single tests need."""
    install(session, "-e", ".[fast,test-full]")
    pytest(session, *session.posargs)


@nox.session
def newest(session):
    """Tests without numba, on the newest versions: numba may hold numpy back."""
    upgrade = ["--upgrade", "--upgrade-strategy", "eager"]
    install(session, *upgrade, "-e", ".[test-full]")
    pytest(session, *session.posargs)


@nox.session(python="3.11")
def oldest(session):
    """Tests on the oldest versions that pyproject.toml allows."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    oldest = [*project["dependencies"], *extras["plot"], *extras["progress"]]
    pins = [item.replace(">=", "==") for item in oldest]
    # What scikit-learn 1.6 needs itself. It passes pytest an iterator, which pytest 9.1
    # warns of, and asks frames for a protocol which polars 1.40 warns of. matplotlib
    # 3.8 calls what pyparsing 3.3 warns of.
    pins += ["joblib==1.2.0", "threadpoolctl==3.1.0", "pytest<9.1", "polars<1.40"]
    pins += ["pyparsing<3.3"]
    tools = ["skops", "optuna", "optuna-integration"]
    install(session, "--prefer-binary", "-e", ".[test]", *pins, *tools)
    pytest(session, *session.posargs)


@nox.session
def sklearn_nightly(session):
    """Tests on the nightly builds of scikit-learn, numpy and scipy."""
    install(session, "-e", ".[test]")
    upgrade = ["--pre", "--upgrade", "--extra-index-url", NIGHTLY_WHEELS]
    install(session, *upgrade, "scikit-learn", "numpy", "scipy")
    pytest(session, *session.posargs)


@nox.session
def nightly(session):
    """Tests that take too long for every change."""
    install(session, "-e", ".[fast,test-full]")
    pytest(session, "-m", "nightly", *session.posargs)


@nox.session
def races(session):
    """Tests with threads and processes, 20 times."""
    install(session, "-e", ".[fast,test-full]")
    for _ in range(20):
        pytest(session, "-q", *(session.posargs or RACES))


@nox.session
def coverage(session):
    """Lines and branches that the tests reach.

    Steps are computed by numpy, because coverage can't see compiled code; numba is
    there for the tests of the compiler.
    """
    install(session, "-e", ".[fast,test-full]", "pytest-cov>=6")
    session.env["SKNN_NOTES_KERNELS"] = "numpy"
    pytest(session, "--cov", *session.posargs)


@nox.session
def mutants(session):
    """Whether the tests notice changes of the source: ``-- --family losses``."""
    install(session, "-e", ".[test-full]", "coverage>=7.6", "cosmic-ray>=8.3")
    session.run("python", "benchmarks/mutants.py", *session.posargs)


@nox.session
def lint(session):
    """Ruff's rules and format."""
    install(session, "-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session):
    """Types, by mypy."""
    install(session, "-e", ".[fast,test-full,dev]")
    session.run("mypy", *session.posargs)


@nox.session
def imports(session):
    """Who may import whom."""
    install(session, "-e", ".[dev]")
    session.run("lint-imports")


@nox.session
def doctests(session):
    """Examples in docstrings and on the pages."""
    install(session, "-e", ".[fast,test-full,docs]")
    pytest(session, "-q", "--doctest-modules", "sknn_notes")
    pytest(session, "-q", "--doctest-glob=*.rst", "docs")


@nox.session
def docs(session):
    """Documentation, warnings as errors; ``-- -D plot_gallery=1`` runs the examples."""
    install(session, "-e", ".[docs]")
    build = ["sphinx-build", "-W", "--keep-going", "-q"]
    session.run(*build, *session.posargs, "docs", "docs/_build/html", env=ONE_THREAD)
    session.run("python", ".ci/check_site.py", "docs/_build/html")


@nox.session
def audit(session):
    """Known vulnerabilities of what the package and its extras install."""
    extras = "fast,plot,progress,gpu,dask,onnx"
    # With --no-venv, of all that is installed.
    install(session, "-e", f".[{extras}]", "pip-audit>=2.7")
    session.run("pip-audit", "--skip-editable", *session.posargs)


@nox.session
def compare(session):
    """Time of a training step: ``-- main HEAD --threads 1``."""
    install(session, "-e", ".[fast]")
    options = session.posargs or ["main", "HEAD", "--threads", "1"]
    session.run("python", "benchmarks/compare.py", *options)


@nox.session
def build(session):
    """Build the sdist and the wheel into ``dist``, and check them."""
    install(session, "build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    session.run("python", "-m", "twine", "check", "--strict", *map(str, built("*")))
    packed = set(zipfile.ZipFile(*built("*.whl")).namelist())
    sources = {path.as_posix() for path in Path("sknn_notes").rglob("*.py")}
    if missing := (sources | {"sknn_notes/py.typed"}) - packed:
        session.error(f"missing from the wheel: {sorted(missing)}")


def built(pattern):
    """Files in ``dist``, as absolute paths."""
    return sorted(Path("dist").absolute().glob(pattern))


@nox.session(reuse_venv=False, requires=["build"])
@nox.parametrize("kind", ["whl", "tar.gz"])
def release(session, kind):
    """Install what ``build`` made in a new environment, and test it from the sdist."""
    (archive,) = built(f"*.{kind}")
    session.install(f"sknn_notes[test] @ {archive.as_uri()}")
    # pip may have kept what it built from an earlier sdist of the same version.
    again = ["--no-cache-dir", "--no-deps", "--force-reinstall"]
    session.install(*again, str(archive))
    (sdist,) = built("*.tar.gz")
    folder = Path(session.create_tmp())
    with tarfile.open(sdist) as files:
        files.extractall(folder, filter="data")
    session.chdir(folder / sdist.name.removesuffix(".tar.gz"))
    # -P: the installed package is tested, not the one in the folder.
    python = ["python", "-P"]
    session.run(*python, "-c", "import sknn_notes; sknn_notes.show_versions()")
    quick = ["tests/test_conventions.py", "tests/test_show_versions.py"]
    quick += ["tests/test_encoding.py", "tests/engine/test_lbfgs.py"]
    session.run(*python, "-m", "pytest", "-n", "2", *quick, env=ONE_THREAD)
