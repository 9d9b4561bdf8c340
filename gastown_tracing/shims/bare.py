"""Compiling modules for the bundle without what nobody reads there: a good third of what would be loaded."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType


def compiled(source: str, file: str) -> CodeType:
    """Return the code of a module without docstrings, annotations and what is below `if TYPE_CHECKING`."""
    tree = ast.fix_missing_locations(_Bare().visit(ast.parse(source)))
    return compile(tree, file, "exec", dont_inherit=True, optimize=2)


class _Bare(ast.NodeTransformer):
    """Leaves out what only type checkers read: annotations, and what is below `if TYPE_CHECKING`."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:  # ast's name
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:  # the same
        value = node.value
        return ast.copy_location(ast.Pass() if value is None else ast.Assign([node.target], value), node)

    def visit_If(self, node: ast.If) -> ast.If | list[ast.stmt]:  # the same
        self.generic_visit(node)
        return node.orelse if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node
