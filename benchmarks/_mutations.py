"""Mutations of the library's source, by the operators of cosmic-ray.

A place is a token, or a statement, that can be changed. The sample draws places, then
one change of each, since an operator such as ``+`` has eleven changes and a comparison
with a number five: otherwise, most mutants would be of arithmetic, which tests catch
most easily.

Left out is only what numpy's steps never run, or what has no effect at all: the bodies
of compiled loops (``exclude_also`` in ``pyproject.toml``) and what records them,
annotations, and code for type checkers.
"""

import ast
import difflib
import random
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators import (
    binary_operator_replacement,
    boolean_replacer,
    break_continue,
    comparison_operator_replacement,
    exception_replacer,
    number_replacer,
    remove_decorator,
    unary_operator_replacement,
    zero_iteration_for_loop,
)

OPERATORS = [
    *binary_operator_replacement.operators(),
    *comparison_operator_replacement.operators(),
    *unary_operator_replacement.operators(),
    boolean_replacer.AddNot,
    boolean_replacer.ReplaceTrueWithFalse,
    boolean_replacer.ReplaceFalseWithTrue,
    boolean_replacer.ReplaceAndWithOr,
    boolean_replacer.ReplaceOrWithAnd,
    break_continue.ReplaceBreakWithContinue,
    break_continue.ReplaceContinueWithBreak,
    exception_replacer.ExceptionReplacer,
    number_replacer.NumberReplacer,
    remove_decorator.RemoveDecorator,
    zero_iteration_for_loop.ZeroIterationForLoop,
]
# What records compiled loops, and what only those call that record.
RECORDING = [
    r"def (_?record\w*|check_loops|has_loops|_is_flat|_?numbers|ends)\(self",
    r"def \w+\(W, (steps, )?alpha, numbers, spare\)",
]
# The ``*`` of a signature or of an unpacking is no product.
NOT_BINARY = {"parameters", "dictorsetmaker", "arglist", "testlist_star_expr"}


class Mutant(NamedTuple):
    """A change: the ``occurrence``-th place of a file where an operator applies."""

    family: str
    path: str
    line: int
    column: int
    operator: str
    occurrence: int
    alternative: int

    @property
    def id(self):
        """Name of the mutant, which ``--replay`` takes."""
        place = f"{self.path}:{self.line}:{self.column}"
        return f"{place}:{self.operator}:{self.alternative}"

    def apply(self, source):
        """Return the changed source, None if it does not compile or is the same."""
        operator = next(x for x in OPERATORS if x.__name__ == self.operator)
        changed = mutate_code(source, operator(), self.occurrence)
        try:
            same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source))
        except SyntaxError:
            return None
        return None if same else changed


def sample(root, families, n_mutants, seed):
    """Draw mutants, from each family in proportion to the places that it has."""
    places = {name: places_of(root, name, files) for name, files in families.items()}
    total = sum(map(len, places.values()))
    mutants = []
    for family, every in places.items():
        rng = random.Random(f"{seed} {family}")
        wanted, drawn = round(n_mutants * len(every) / total), []
        order = rng.sample(sorted(every), len(every))
        for place in order:
            if len(drawn) == wanted:
                break
            path = root / place[0]
            changes = rng.sample(every[place], len(every[place]))
            fitting = (x for x in changes if x.apply(path.read_text()) is not None)
            drawn += [x for x in [next(fitting, None)] if x is not None]
        mutants += drawn
    return mutants, {family: len(every) for family, every in places.items()}


def places_of(root, family, files):
    """Return the mutants of each place of a family."""
    places = defaultdict(list)
    for file in files:
        for path in sorted(root.glob(file)):
            name = path.relative_to(root).as_posix()
            source = path.read_text()
            excluded = Excluded(source, exclusions(root))
            counts: dict = defaultdict(int)
            for node in ast_nodes(get_ast(source)):
                for operator in map(_made, OPERATORS):
                    kind = type(operator).__name__
                    alternatives: dict = defaultdict(int)
                    for (line, column), _ in operator.mutation_positions(node):
                        at = line, column
                        mutant = Mutant(
                            family,
                            name,
                            line,
                            column,
                            kind,
                            counts[kind],
                            alternatives[at],
                        )
                        counts[kind] += 1
                        alternatives[at] += 1
                        is_star = kind.startswith("ReplaceBinary") and (
                            node.parent.type in NOT_BINARY
                        )
                        if not is_star and at not in excluded:
                            places[name, line, column].append(mutant)
    return places


_instances: dict = {}


def _made(operator):
    return _instances.setdefault(operator, operator())


def exclusions(root):
    """Return the pattern of lines whose statements are left out."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = settings["tool"]["coverage"]["report"]["exclude_also"]
    return re.compile("|".join([*patterns, *RECORDING, "if TYPE_CHECKING:"]))


class Excluded:
    """Ranges of a source that are left out."""

    def __init__(self, source, pattern):
        lines = source.splitlines(keepends=True)
        self._ranges: list = []
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.If):
                first = min([node.lineno, *(x.lineno for x in decorators(node))])
                head = "".join(lines[first - 1 : node.body[0].lineno - 1])
                if pattern.search(head) or pattern.search(plain_head(node)):
                    self._ranges.append(((first, 0), (node.end_lineno, 10**6)))
            for name in ("annotation", "returns"):
                if hint := getattr(node, name, None):
                    start, stop = hint.lineno, hint.end_lineno
                    ends = (start, hint.col_offset), (stop, hint.end_col_offset)
                    self._ranges.append(ends)

    def __contains__(self, place):
        return any(start <= place < stop for start, stop in self._ranges)


def plain_head(node):
    """Return the first line of a statement, on one line and without annotations."""
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}:"
    names = [x.arg for x in [*node.args.posonlyargs, *node.args.args]]
    return f"def {node.name}({', '.join(names)})"


def decorators(node):
    """Return the decorators of a statement."""
    return getattr(node, "decorator_list", [])


def statement_at(source, line):
    """Return the lines of the statement at a line, and of the scope around it.

    Returns
    -------
    lines : range
        The lines of the statement; of a compound one, those of its head.
    scope : range
        The lines of the class, or of the file, if the statement runs on import.
        Otherwise None.
    """
    tree = ast.parse(source)
    lines, scope = range(line, line + 1), range(1, source.count("\n") + 2)
    runs_later = False

    def visit(node):
        nonlocal lines, scope, runs_later
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                continue
            start = getattr(child, "lineno", 0)
            start = min([start, *(x.lineno for x in decorators(child))])
            if not start <= line <= getattr(child, "end_lineno", 10**9):
                continue
            body = getattr(child, "body", None)
            last = body[0].lineno - 1 if body else child.end_lineno
            lines = range(start, max(last, start) + 1)
            is_function = isinstance(child, ast.FunctionDef)
            if isinstance(child, ast.ClassDef):
                scope = range(start, child.end_lineno + 1)
            runs_later |= is_function and line not in lines
            visit(child)

    visit(tree)
    return lines, None if runs_later else scope


def texts(source, changed):
    """Return the first lines that differ, before and after a change."""
    lines = source.splitlines(), changed.splitlines()
    kinds = difflib.SequenceMatcher(None, *lines, autojunk=False).get_opcodes()
    _, *at = next(x for x in kinds if x[0] != "equal")
    ranges = lines[0][at[0] : at[1]], lines[1][at[2] : at[3]]
    old, new = ("".join(x[:1]).strip() for x in ranges)
    return old, new


def package_files(root, families):
    """Return the files that are mutated, as absolute paths."""
    globs = [x for files in families.values() for x in files]
    return sorted(str(path) for x in globs for path in Path(root).glob(x))
