"""Size, names and docstrings of the source."""

from __future__ import annotations

import ast

from tests.house.source_tree import PACKAGE, REPOSITORY, definitions, parsed, python_files

LONGEST_FUNCTION = 70
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc", "tools"}


def test_no_function_is_longer_than_70_lines() -> None:
    too_long = [
        f"{found} is {found.length} lines long"
        for path in python_files("src", "tests", "bench", "scripts")
        for found in definitions(path)
        if not isinstance(found.node, ast.ClassDef) and found.length > LONGEST_FUNCTION
    ]
    assert too_long == []


def test_no_module_or_folder_has_a_name_that_says_nothing() -> None:
    nameless = {
        str(path.relative_to(REPOSITORY))
        for path in python_files("src", "tests", "bench", "scripts")
        if NAMELESS & {part.removesuffix(".py").strip("_") for part in path.relative_to(REPOSITORY).parts}
    }
    assert nameless == set()


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(REPOSITORY))
        for path in python_files("src", "tests", "bench", "scripts")
        if parsed(path).body and not ast.get_docstring(parsed(path))
    ]
    assert silent == []


def test_every_public_function_and_class_has_a_docstring() -> None:
    undocumented = [
        str(found)
        for path in PACKAGE.rglob("*.py")
        for found in definitions(path)
        if found.is_public and not _is_overload_or_setter(found.node) and not ast.get_docstring(found.node)
    ]
    assert sorted(undocumented) == []


def _is_overload_or_setter(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether the definition only adds a signature, or a way to write, to a documented one."""
    return any(ast.unparse(decorator).rpartition(".")[2] in {"overload", "setter"} for decorator in node.decorator_list)


def test_the_length_counts_from_def_to_the_last_line() -> None:
    found = next(
        found
        for found in definitions(REPOSITORY / "tests" / "house" / "test_source.py")
        if found.name == "_is_overload_or_setter"
    )
    assert found.length == 1 + 1 + 1  # def, docstring, one return
