"""Judges sources with CPython 2.7's compiler, for the differential test.

Reads length-prefixed sources (decimal length, newline, bytes) and writes one line for each: `ok` and
the tree in the form that shape.rs writes too, or the class of the exception.
"""
import ast
import struct
import sys
import warnings

warnings.simplefilter('ignore')
sys.setrecursionlimit(10000)


def many(nodes):
    return '(' + ' '.join([shape(node) for node in nodes]) + ')'


def maybe(node):
    return '-' if node is None else shape(node)


def name(text):
    return '-' if text is None else text


def op(node):
    return type(node).__name__


def bits(value):
    return '%016x' % struct.unpack('>Q', struct.pack('>d', value))


def number(value):
    if isinstance(value, int):
        return 'i%d' % value
    if isinstance(value, long):
        return 'l%d' % value
    if isinstance(value, float):
        return 'f' + bits(value)
    return 'j' + bits(value.imag)


def call(node):
    keywords = ['%s=%s' % (one.arg, shape(one.value)) for one in node.keywords]
    return '(call %s %s (%s) %s %s)' % (
        shape(node.func), many(node.args), ' '.join(keywords), maybe(node.starargs), maybe(node.kwargs))


def binary(node):
    return '(%s %s %s)' % (op(node.op), shape(node.left), shape(node.right))


def compare(node):
    rest = ['%s %s' % (op(one), shape(right)) for one, right in zip(node.ops, node.comparators)]
    return '(compare %s %s)' % (shape(node.left), ' '.join(rest))


def comprehension(node):
    text = '(listcomp ' + shape(node.elt)
    for one in node.generators:
        text += ' for %s %s' % (shape(one.target), shape(one.iter))
        for test in one.ifs:
            text += ' if ' + shape(test)
    return text + ')'


def function(node):
    args = node.args
    defaults = [None] * (len(args.args) - len(args.defaults)) + args.defaults
    parameters = ['%s=%s' % (pattern(one), maybe(default)) for one, default in zip(args.args, defaults)]
    return '(def %s (%s) %s %s %s)' % (
        node.name, ' '.join(parameters), name(args.vararg), name(args.kwarg), many(node.body))


def pattern(node):
    if isinstance(node, ast.Name):
        return node.id
    return '(' + ' '.join([pattern(one) for one in node.elts]) + ')'


def handlers(node):
    return '(' + ' '.join(['(except %s %s %s)' % (maybe(one.type), maybe(one.name), many(one.body))
                           for one in node.handlers]) + ')'


SHAPES = {
    'Name': lambda n: '%s@%d:%d' % (n.id, n.lineno, n.col_offset),
    'Num': lambda n: number(n.n),
    'Str': lambda n: 's' + n.s.encode('hex'),
    'Tuple': lambda n: '(tuple %s)' % many(n.elts),
    'List': lambda n: '(%s %s)' % ('list' if isinstance(n.ctx, ast.Load) else 'tuple', many(n.elts)),
    'Dict': lambda n: '(dict %s)' % ' '.join([shape(k) + ':' + shape(v) for k, v in zip(n.keys, n.values)]),
    'ListComp': comprehension,
    'Attribute': lambda n: '(. %s %s)' % (shape(n.value), n.attr),
    'Subscript': lambda n: '(sub %s %s)' % (shape(n.value), shape(n.slice)),
    'Index': lambda n: shape(n.value),
    'Slice': lambda n: '(slice %s %s %s)' % (maybe(n.lower), maybe(n.upper), step(n.step)),
    'Ellipsis': lambda n: '...',
    'ExtSlice': lambda n: '(dims %s)' % many(n.dims),
    'Call': call,
    'UnaryOp': lambda n: '(%s %s)' % (op(n.op), shape(n.operand)),
    'BinOp': binary,
    'Compare': compare,
    'BoolOp': lambda n: '(%s %s)' % (op(n.op), many(n.values)),
    'Expr': lambda n: '(expr %s)' % shape(n.value),
    'Assign': lambda n: '(assign %s %s)' % (many(n.targets), shape(n.value)),
    'AugAssign': lambda n: '(aug %s %s %s)' % (op(n.op), shape(n.target), shape(n.value)),
    'Delete': lambda n: '(del %s)' % many(n.targets),
    'Print': lambda n: '(print %s %s %s)' % (maybe(n.dest), many(n.values), n.nl),
    'Assert': lambda n: '(assert %s %s)' % (shape(n.test), maybe(n.msg)),
    'Raise': lambda n: '(raise %s %s %s)' % (maybe(n.type), maybe(n.inst), maybe(n.tback)),
    'Return': lambda n: '(return %s)' % maybe(n.value),
    'Pass': lambda n: 'pass',
    'Break': lambda n: 'break',
    'Continue': lambda n: 'continue',
    'If': lambda n: '(if %s %s %s)' % (shape(n.test), many(n.body), many(n.orelse)),
    'While': lambda n: '(while %s %s %s)' % (shape(n.test), many(n.body), many(n.orelse)),
    'For': lambda n: '(for %s %s %s %s)' % (shape(n.target), shape(n.iter), many(n.body), many(n.orelse)),
    'TryExcept': lambda n: '(try %s %s %s)' % (many(n.body), handlers(n), many(n.orelse)),
    'TryFinally': lambda n: '(finally %s %s)' % (many(n.body), many(n.finalbody)),
    'FunctionDef': function,
    'ClassDef': lambda n: '(class %s %s %s)' % (n.name, many(n.bases), many(n.body)),
}


def step(node):
    # `a[b:c:]` has the step None without a place of its own.
    return 'None' if isinstance(node, ast.Name) and node.id == 'None' else maybe(node)


def shape(node):
    text = SHAPES.get(type(node).__name__, lambda n: '?')(node)
    return '%d:%s' % (node.lineno, text) if isinstance(node, ast.stmt) else text


while True:
    length = sys.stdin.readline()
    if not length:
        break
    source = sys.stdin.read(int(length))
    try:
        tree = compile(source, 'x', 'exec', ast.PyCF_ONLY_AST)
        compile(source, 'x', 'exec')
        verdict = 'ok ' + many(tree.body)
    except Exception, error:
        verdict = type(error).__name__
    print verdict
