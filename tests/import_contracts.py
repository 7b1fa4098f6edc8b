"""The kind of import contract that import-linter lacks: an allow-list."""

import sys
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class ImportsOnly(Contract):
    """`modules` import the standard library and `allowed`, directly, and nothing else."""

    modules = fields.ListField(subfield=fields.ModuleExpressionField())
    allowed = fields.ListField(subfield=fields.ModuleExpressionField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        allowed = _matching(graph, self.allowed)
        wrong = [
            (importer, imported)
            for importer in sorted(_matching(graph, self.modules))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported not in allowed and imported not in sys.stdlib_module_names
        ]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, imported in check.metadata["wrong"]:
            output.print_error(f"- {importer} -> {imported}", bold=False)


def _matching(graph: ImportGraph, expressions: Any) -> set[str]:
    """Unlike the contracts of import-linter, a module of that very name only, not what is below it."""
    return {name for expression in expressions for name in graph.find_matching_modules(expression.expression)}
