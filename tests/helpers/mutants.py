"""Single-line mutations of a Python file: what a careless hand could change without an error at import.

Operators, constants, conditions, keyword arguments left out, results, statements. Not mutated are docstrings,
annotations, sentences (what is raised, printed or logged, and texts with a space), and how a command is started.
"""
import ast
import dataclasses

COMPARISONS = {ast.Lt: ('<', '<='), ast.LtE: ('<=', '<'), ast.Gt: ('>', '>='), ast.GtE: ('>=', '>'),
               ast.Eq: ('==', '!='), ast.NotEq: ('!=', '=='), ast.Is: ('is', 'is not'), ast.IsNot: ('is not', 'is'),
               ast.In: ('in', 'not in'), ast.NotIn: ('not in', 'in')}
ARITHMETIC = {ast.Add: ('+', '-'), ast.Sub: ('-', '+'), ast.Mult: ('*', '/'), ast.Div: ('/', '*'),
              ast.FloorDiv: ('//', '*'), ast.Mod: ('%', '*'), ast.Pow: ('**', '*'), ast.BitOr: ('|', '&'),
              ast.BitAnd: ('&', '|')}
OPPOSITE = ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn  # comparisons whose mutant is their negation
REMOVED = ast.Expr, ast.AugAssign, ast.Raise, ast.Assert, ast.Break, ast.Continue
SPEAKING = 'print', 'log', '_log'
FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Mutant:
    """key: place and change, for people and for the file of results. source: of the mutated file.

    lines: numbers of lines, one of which a test must have run to notice it; None: any of the file.
    """
    key: str
    source: bytes
    lines: frozenset | None


def mutants(path, source):
    """The Mutants of a file. path: what keys begin with."""
    walk = _Walk(source)
    walk.visit(ast.parse(source))
    found = {}
    for start, end, new, lines in walk.edits:
        old = source[start:end]
        mutated = source[:start] + new + b'\n' * (old.count(b'\n') - new.count(b'\n')) + source[end:]
        try:
            ast.parse(mutated)
        except SyntaxError:
            continue
        number = source.count(b'\n', 0, start) + 1
        column = start - source.rfind(b'\n', 0, start)
        short = ' -> '.join(' '.join(text.decode().split())[:60] or 'nothing' for text in (old, new))
        found[f'{path}:{number}:{column} {short}'] = Mutant(f'{path}:{number}:{column} {short}', mutated, lines)
    return list(found.values())


class _Walk(ast.NodeVisitor):
    """edits: [(first byte, end, what comes there, lines)]."""

    def __init__(self, source):
        self.source, self.edits, self._lines = source, [], None
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    # Places --------------------------------------------------------------------------------------------

    def _start(self, node):
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node):
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def _add(self, node, new):
        self.edits.append((self._start(node), self._end(node), new.encode(), self._lines))

    def _add_operator(self, left, right, old, new):
        start = self._end(left)
        at = self.source.find(old.encode(), start, self._start(right))
        if at >= 0:
            self.edits.append((at, at + len(old), new.encode(), self._lines))

    def visit(self, node):
        before = self._lines
        if isinstance(node, ast.stmt):
            if self._is_left_out(node):
                return
            if self._lines is not None and not isinstance(node, FUNCTIONS):
                header = node.body[0].lineno if hasattr(node, 'body') else node.end_lineno + 1
                self._lines = frozenset(range(node.lineno, max(node.lineno + 1, header)))
            if isinstance(node, REMOVED) or _sets_a_place(node):
                self._add(node, 'pass')
        super().visit(node)
        self._lines = before

    @staticmethod
    def _is_left_out(node):
        return (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)  # a docstring
                or isinstance(node, FUNCTIONS) and node.name == 'cli'
                or isinstance(node, ast.If) and ast.unparse(node.test).startswith('__name__'))

    # Statements ----------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node):
        self._lines = frozenset(range(node.body[0].lineno, node.end_lineno + 1))
        for default in filter(None, (*node.args.defaults, *node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    def visit_AnnAssign(self, node):
        if node.value:
            self.visit(node.value)

    def visit_Raise(self, node):
        """Only its removal; what it says is for people."""

    def visit_Return(self, node):
        if node.value is None:
            self._add(node, 'pass')
        elif not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self._add(node, 'return None')
            self.visit(node.value)

    def visit_If(self, node):
        self._negate(node.test)
        self.generic_visit(node)

    visit_While = visit_If

    # Expressions ---------------------------------------------------------------------------------------

    visit_IfExp = visit_If

    def visit_comprehension(self, node):
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def _negate(self, test):
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], OPPOSITE):
            return
        if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
            text = self.source[self._start(test):self._end(test)].decode()
            self._add(test, f'(not ({text}))')

    def visit_UnaryOp(self, node):
        if isinstance(node.op, (ast.Not, ast.USub)):
            self._add(node, '(' + self.source[self._start(node.operand):self._end(node.operand)].decode() + ')')
        self.visit(node.operand)

    def visit_BoolOp(self, node):
        old, new = ('and', 'or') if isinstance(node.op, ast.And) else ('or', 'and')
        for left, right in zip(node.values, node.values[1:]):
            self._add_operator(left, right, old, new)
        self.generic_visit(node)

    def visit_Compare(self, node):
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators):
            self._add_operator(left, right, *COMPARISONS[type(operator)])
        self.generic_visit(node)

    def visit_BinOp(self, node):
        if not any(isinstance(side, ast.JoinedStr) for side in (node.left, node.right)) and (
                type(node.op) in ARITHMETIC):
            self._add_operator(node.left, node.right, *ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_JoinedStr(self, node):
        """A sentence."""

    def visit_Constant(self, node):
        value = node.value
        if isinstance(value, bool):
            self._add(node, str(not value))
        elif isinstance(value, int):
            self._add(node, str(value + 1))
        elif isinstance(value, float):
            self._add(node, str(2 * value or 1.0))
        elif isinstance(value, str) and ' ' not in value:
            self._add(node, "'mutated'")

    def visit_Call(self, node):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', '')
        if called in SPEAKING:
            return
        given = sorted([*node.args, *node.keywords], key=self._start)
        for place, argument in enumerate(given):
            if isinstance(argument, ast.keyword):
                before, after = given[:place][-1:], given[place + 1:][:1]
                start = self._end(before[0]) if before else self._start(argument)
                end = self._start(after[0]) if after and not before else self._end(argument)
                self.edits.append((start, end, b'', self._lines))
        self.generic_visit(node)


def _sets_a_place(node):
    """Whether a statement sets an attribute or an item; without other assignments there would be a NameError."""
    return isinstance(node, ast.Assign) and all(
        isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
