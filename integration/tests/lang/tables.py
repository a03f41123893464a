# Writes the table-like cases of this directory from tables/*.txt.
#
#   python2.7 tables.py
#
# A table file holds programs:
#
#   == AREA/NAME row, row     starts a program and says which rows it covers
#   expression                becomes `print repr(expression)`
#   ! statement               stays a statement
#   @ line                    is copied as it is (definitions; further lines of a block keep their indentation)
#
# An expression or statement that raises under CPython 2.7 is written inside a
# `try` that names exactly that exception and prints its text. Sets and
# dictionaries of more than one item are printed in order, because the
# sandbox's iteration order differs knowingly.

import ast
import os
import sys

import record

HERE = os.path.dirname(os.path.abspath(__file__))

ORDERED = [
    "def ordered(values):",
    "  result = list(values)",
    "  result.sort()",
    "  return result",
    "",
]


def unordered(value):
    return isinstance(value, (set, frozenset, dict)) and len(value) > 1


def as_shown(expression, value):
    """How the program prints an expression of this value."""
    if isinstance(value, dict) and len(value) > 1:
        return "print 'dict', ordered((%s).items())" % expression
    if unordered(value):
        return "print %r, ordered(%s)" % (type(value).__name__, expression)
    return "print repr(%s)" % in_brackets(expression)


def in_brackets(expression):
    """A bare tuple would become several arguments of `repr`."""
    tree = ast.parse(expression, mode="eval").body
    if isinstance(tree, ast.Tuple):
        arguments = ast.parse("f(%s)" % expression, mode="eval").body.args
        if len(arguments) != 1 or not isinstance(arguments[0], ast.Tuple):
            return "(%s)" % expression
    return expression


def caught(line, error):
    name = type(error).__name__
    if name not in record.USABLE:
        name = "Exception"
    return ["try:", "  " + line, "except %s, problem:" % name, "  print '%s:', problem" % name]


class Program(object):
    def __init__(self, path, covers):
        self.path = path
        self.covers = covers
        self.lines = []
        self.block = []
        self.globals = record.namespace()
        exec "\n".join(ORDERED) in self.globals

    def flush_block(self):
        if self.block:
            text = "\n".join(self.block) + "\n"
            exec compile(text, self.path, "exec", 0, True) in self.globals
            self.lines.extend(self.block)
            self.block = []

    def add(self, line):
        if line.startswith("@"):
            self.block.append(line[2:])
            return
        self.flush_block()
        if line.startswith("! "):
            statement = line[2:]
            try:
                exec compile(statement, self.path, "exec", 0, True) in self.globals
                self.lines.append(statement)
            except Exception, error:
                self.lines.extend(caught(statement, error))
            return
        code = compile(line, self.path, "eval", 0, True)
        try:
            self.lines.append(as_shown(line, eval(code, self.globals)))
        except Exception, error:
            self.lines.extend(caught("print repr(%s)" % in_brackets(line), error))

    def write(self):
        self.flush_block()
        body = self.lines
        if any("ordered(" in line for line in body):
            body = ORDERED + body
        text = "# covers: %s\n" % self.covers + "\n".join(body) + "\n"
        path = os.path.join(HERE, self.path + ".repy")
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        if record.read_or_none(path) != text:
            open(path, "w").write(text)


class Devices(object):
    """Programs print while they are tried out; nobody reads that."""
    def write(self, text):
        pass


def programs(text):
    program = None
    for line in text.splitlines():
        if line.startswith("== "):
            if program:
                yield program
            path, _, covers = line[3:].partition(" ")
            program = Program(path, covers)
        elif line.strip() and not line.startswith("# "):
            try:
                program.add(line)
            except SyntaxError, error:
                sys.stderr.write("%s: %s: %s\n" % (program.path, line, error))
    if program:
        yield program


# ---------------------------------------------------------------- operators

NUMBERS = [
    ("int", "[0, 1, -1, 7, -13, 9223372036854775807, -9223372036854775808]"),
    ("long", "[0L, 1L, -5L, 18446744073709551616, -1267650600228229401496703205376]"),
    ("float", "[0.0, -0.0, 0.5, -2.25, 1e22, -1e308, 1e999]"),
    ("complex", "[0j, 1j, (2-3j), (-0.5+1e10j)]"),
    ("bool", "[False, True]"),
]

ARITHMETIC = [
    ("add", "+"), ("subtract", "-"), ("multiply", "*"), ("divide", "/"), ("floor_divide", "//"),
    ("modulo", "%"), ("power", "**"), ("bit_and", "&"), ("bit_or", "|"), ("bit_xor", "^"),
]

COMPARISONS = [("less", "<"), ("less_equal", "<="), ("greater", ">"), ("greater_equal", ">="),
               ("equal", "=="), ("not_equal", "!=")]

# One value of each type that is no number, and one number.
UNLIKE = [
    ("None", "None"), ("int", "3"), ("long", "3L"), ("float", "1.5"), ("complex", "2j"), ("bool", "True"),
    ("str", "'ab'"), ("list", "[1, 2]"), ("tuple", "(1, 2)"), ("dict", "{1: 2}"), ("set", "set([1])"),
    ("frozenset", "frozenset([1])"), ("xrange", "xrange(2)"), ("slice", "slice(1, 2)"),
]


def numeric_programs():
    for word, sign in ARITHMETIC:
        for left, left_values in NUMBERS:
            rows = ["operator %s %s %s" % (sign, left, right) for right, _ in NUMBERS]
            lines = ["# covers: " + ", ".join(rows), "left = " + left_values]
            right_lists = NUMBERS
            if sign == "**":
                # Powers of powers would be numbers of many megabytes.
                right_lists = [("int", "[0, 1, 2, -1, 5, -3, 63, 64]"), ("long", "[0L, 3L, -2L, 40L]"),
                               ("float", "[0.0, 0.5, -2.0, 2.25]"), NUMBERS[3], NUMBERS[4]]
            lines.append("right = [")
            lines.extend("  %s," % values[1:-1] for _, values in right_lists)
            lines.append("]")
            lines.extend(["for a in left:", "  for b in right:", "    try:",
                          "      print repr(a), '%s', repr(b), '=', repr(a %s b)" % (sign.replace("%", "%"), sign),
                          "    except (TypeError, ValueError, ZeroDivisionError, OverflowError), problem:",
                          "      print repr(a), '%s', repr(b), type(problem), problem" % sign])
            yield "numbers/%s_%s" % (word, left), lines
    for word, sign in [("shift_left", "<<"), ("shift_right", ">>")]:
        for left, left_values in NUMBERS:
            rows = ["operator %s %s %s" % (sign, left, right) for right, _ in NUMBERS]
            yield "numbers/%s_%s" % (word, left), [
                "# covers: " + ", ".join(rows), "left = " + left_values,
                "right = [0, 1, 2, 31, 62, 63, 64, 65, 100, -1, 0L, 3L, 64L, -2L, 1.0, 1j, False, True]",
                "for a in left:", "  for b in right:", "    try:",
                "      print repr(a), '%s', repr(b), '=', repr(a %s b)" % (sign, sign),
                "    except (TypeError, ValueError, OverflowError), problem:",
                "      print repr(a), '%s', repr(b), type(problem), problem" % sign]
    for left, left_values in NUMBERS:
        rows = ["operator %s %s %s" % (sign, left, right) for _, sign in COMPARISONS for right, _ in NUMBERS]
        lines = ["# covers: " + ", ".join(rows), "left = " + left_values, "right = ["]
        lines.extend("  %s," % values[1:-1] for _, values in NUMBERS)
        lines.extend(["]", "for a in left:", "  for b in right:", "    print repr(a), repr(b), a == b, a != b,",
                      "    try:", "      print a < b, a <= b, a > b, a >= b, cmp(a, b)",
                      "    except TypeError, problem:", "      print problem"])
        yield "comparisons/numbers_%s" % left, lines
        yield "numbers/unary_%s" % left, [
            "# covers: operator unary+ %s, operator unary- %s, operator ~ %s, operator not %s" % ((left,) * 4),
            "for a in %s:" % left_values, "  print repr(a), repr(+a), repr(-a), not a, bool(a),", "  try:",
            "    print repr(~a),", "  except TypeError, problem:", "    print problem,",
            "  print repr(abs(a)), str(a)"]


def unlike_programs():
    listed = ["values = ["] + ["  %s," % text for _, text in UNLIKE] + ["]"]
    for word, sign in ARITHMETIC + [("shift_left", "<<"), ("shift_right", ">>")]:
        yield "unlike/%s" % word, ["# covers: operator %s unlike" % sign] + listed + [
            "for a in values:", "  for b in values:", "    try:", "      r = a %s b" % sign,
            "      if isinstance(r, (set, frozenset)) and len(r) > 1:",
            "        r = len(r)",
            "      print repr(a), '%s', repr(b), '=', repr(r)" % sign,
            "    except (TypeError, ZeroDivisionError), problem:",
            "      print problem"]
    for word, sign in COMPARISONS:
        yield "unlike/%s" % word, ["# covers: operator %s unlike" % sign] + listed + [
            "for a in values:", "  print repr(a),", "  for b in values:", "    try:", "      print a %s b," % sign,
            "    except TypeError, problem:", "      print '<' + str(problem) + '>',", "  print"]
    yield "unlike/membership", ["# covers: operator in unlike, operator not in unlike"] + listed + [
        "for a in values:", "  for b in values:", "    try:", "      print repr(a), repr(b), a in b, a not in b",
        "    except TypeError, problem:", "      print repr(a), repr(b), problem"]
    yield "unlike/augmented", ["# covers: operator += unlike"] + listed + [
        "for a in values:", "  for b in values:",
        "    if isinstance(a, (list, set)):", "      continue", "    try:", "      c = a", "      c += b",
        "      print repr(a), repr(b), repr(c)", "    except TypeError, problem:", "      print problem"]


# --------------------------------------------------------------- exceptions

UNICODE_ARGUMENTS = {
    "UnicodeDecodeError": "('ascii', 'a\\xffb', 1, 2, 'ordinal not in range')",
}
# Made only with unicode text, which the dialect does not have.
UNICODE_ONLY = ("UnicodeEncodeError", "UnicodeTranslateError")


def exception_programs():
    names = [name for name in record.USABLE
             if isinstance(getattr(record.__builtin__, name), type)
             and issubclass(getattr(record.__builtin__, name), BaseException)]
    for name in names:
        kind = getattr(record.__builtin__, name)
        bases = [base.__name__ for base in kind.__mro__ if base is not object]
        lines = ["# covers: exception %s" % name,
                 "print %s, type(%s) == type(ValueError)" % (name, name),
                 "print " + ", ".join("issubclass(%s, %s)" % (name, base) for base in bases),
                 "print issubclass(%s, KeyError), issubclass(%s, EnvironmentError)" % (name, name)]
        if name in UNICODE_ONLY:
            lines += ["try:", "  %s()" % name, "except TypeError, problem:", "  print problem"]
            yield "exceptions/" + name, lines
            continue
        made = [name + UNICODE_ARGUMENTS[name]] if name in UNICODE_ARGUMENTS else [
            "%s()" % name, "%s('one')" % name, "%s(1, 'two')" % name, "%s('a', 'b', 'c')" % name,
            "%s(None)" % name, "%s((1, 2))" % name, "%s(1, 2, 3, 4)" % name]
        if issubclass(kind, SyntaxError):
            # A second argument must be the place: (file, line, column, text).
            made = ["%s()" % name, "%s('one')" % name, "%s('text', ('file', 3, 5, 'line'))" % name]
        for expression in made:
            lines += ["problem = " + expression, "print str(problem), '|', repr(problem), '|', problem.args"]
        made = made[0] if name in UNICODE_ARGUMENTS else "%s('text')" % name
        for base in bases:
            lines += ["try:", "  raise %s" % made, "except %s, problem:" % base,
                      "  print 'caught as %s:', problem, type(problem)" % base]
        if name not in UNICODE_ARGUMENTS:
            lines += ["try:", "  raise %s" % name, "except %s, problem:" % name, "  print repr(problem)",
                      "try:", "  raise %s, 'old form'" % name, "except %s, problem:" % name, "  print repr(problem)",
                      "try:", "  raise %s, ('x',)" % name, "except %s, problem:" % name, "  print repr(problem)",
                      "problem.note = 'attributes may be set'", "print problem.note, problem.message == ''",
                      "try:", "  %s(keyword=1)" % name, "except TypeError, problem:", "  print problem"]
        else:
            lines += ["print problem.start, problem.end, problem.reason, repr(problem.object), problem.encoding",
                      "try:", "  %s('x')" % name, "except TypeError, problem:", "  print problem"]
        lines += ["class Own(%s):" % name, "  pass", "try:"]
        lines += ["  raise Own%s" % UNICODE_ARGUMENTS.get(name, "('mine')"),
                  "except %s, problem:" % name,
                  "  print type(problem), problem, isinstance(problem, Own)"]
        yield "exceptions/" + name, lines


# ------------------------------------------- flows, wrong arguments, in place

ACTIONS = [("break", "break"), ("continue", "continue"), ("return", "return 'returned'"),
           ("raise", "raise ValueError('raised')"), ("nothing", "pass")]

# Each wrapper puts the action of the loop's second turn inside a `try`.
WRAPPERS = [
    ["try:", "  ACTION", "finally:", "  log.append('finally')"],
    ["try:", "  ACTION", "except ValueError:", "  log.append('except')", "else:", "  log.append('else')"],
    ["try:", "  ACTION", "except KeyError:", "  log.append('never')", "finally:", "  log.append('finally')"],
    ["try:", "  pass", "finally:", "  log.append('finally')", "ACTION"],
    ["try:", "  raise KeyError('k')", "except KeyError:", "  log.append('except')", "  ACTION"],
    ["try:", "  try:", "    ACTION", "  finally:", "    log.append('inner')", "finally:", "  log.append('outer')"],
    ["try:", "  log.append('body')", "except ValueError:", "  pass", "else:", "  ACTION", "log.append('after')"],
    ["for k in 'ab':", "  try:", "    if k == 'b':", "      ACTION", "  finally:", "    log.append(k)",
     "else:", "  log.append('inner else')"],
]


def flow_programs():
    for loop in ("for", "while"):
        for word, action in ACTIONS:
            lines = ["# covers: statement %s, statement %s-else, statement try-finally" % (loop, loop)]
            for number, wrapper in enumerate(WRAPPERS):
                lines += ["def flow_%d():" % number]
                if loop == "for":
                    lines += ["  for i in range(3):"]
                else:
                    lines += ["  i = -1", "  while i < 2:", "    i += 1"]
                lines += ["    log.append(i)", "    if i == 1:"]
                lines += ["      " + line.replace("ACTION", action) for line in wrapper]
                lines += ["    log.append('turn')", "  else:", "    log.append('loop else')", "  return 'end'"]
            lines += ["for f in [%s]:" % ", ".join("flow_%d" % n for n in range(len(WRAPPERS))),
                      "  log = []", "  try:", "    print f(),", "  except ValueError, problem:",
                      "    print problem,", "  print log"]
            yield "flows/%s_%s" % (loop, word), lines


SUBJECTS = [
    ("str", "'a,b'", str), ("list", "[3, 1, 2]", list), ("tuple", "(1, 2)", tuple), ("dict", "{'a': 1}", dict),
    ("set", "set(['a'])", set), ("frozenset", "frozenset(['a'])", frozenset), ("int", "5", int),
    ("long", "5L", long), ("float", "2.5", float), ("complex", "(1+2j)", complex), ("slice", "slice(1, 2)", slice),
]
ARGUMENTS = "[(), (None,), (5,), ('a',), ([],), (5, 'a'), ('a', 'b'), (1.5, 1.5), ('a', 'b', 'c', 'd'), ({},), ((),)]"


def argument_programs():
    for name, text, kind in SUBJECTS:
        methods = [m for m in dir(kind) if "__" not in m and not m.startswith("_") and m not in ("encode", "decode")
                   and callable(getattr(kind, m)) and m not in ("viewkeys", "viewvalues", "viewitems", "format")]
        lines = ["# covers: " + ", ".join("%s.%s" % (name, m) for m in methods),
                 "for arguments in %s:" % ARGUMENTS]
        for method in methods:
            shown = "repr(x.%s(*arguments))" % method
            if method.startswith("iter"):
                shown = "list(x.%s(*arguments))" % method
            lines += ["  x = " + text, "  try:"]
            if method in ("symmetric_difference", "union"):
                lines += ["    result = list(x.%s(*arguments))" % method, "    result.sort()",
                          "    print '%s', arguments, result" % method]
            elif name == "set" and method in ("update", "symmetric_difference_update"):
                lines += ["    x.%s(*arguments)" % method, "    result = list(x)", "    result.sort()",
                          "    print '%s', arguments, result" % method]
            else:
                lines += ["    print '%s', arguments, %s%s" % (
                    method, shown, ", x" if kind in (list, dict, set) else "")]
            lines += ["  except Exception, problem:", "    print '%s', arguments, type(problem), problem" % method]
        yield "arguments/methods_of_%s" % name, lines
    built_ins = [b for b in record.USABLE if b[0].islower() and b not in ("id", "object", "__debug__", "set", "frozenset")]
    for half, names in enumerate([built_ins[:len(built_ins) / 2], built_ins[len(built_ins) / 2:]]):
        lines = ["# covers: " + ", ".join(names), "for arguments in %s:" % ARGUMENTS]
        for name in names:
            lines += ["  try:", "    print '%s', arguments, repr(%s(*arguments))" % (name, name),
                      "  except Exception, problem:", "    print '%s', arguments, type(problem), problem" % name]
        yield "arguments/built_ins_%d" % (half + 1), lines


def in_place_programs():
    signs = ARITHMETIC + [("shift_left", "<<"), ("shift_right", ">>")]
    for word, sign in signs:
        yield "in_place/%s" % word, [
            "# covers: operator %s= name" % sign,
            "def fresh():",
            "  return [" + ", ".join(text for name, text in UNLIKE if name != "slice") + "]",
            "for i in range(%d):" % (len(UNLIKE) - 1), "  for x, b in zip([fresh()[i] for k in fresh()], fresh()):",
            "    before = x", "    try:", "      x %s= b" % sign,
            "      if isinstance(x, (set, frozenset)):", "        print 'set of', len(x),",
            "      else:", "        print repr(x),", "      print x is before or before == fresh()[i]",
            "    except (TypeError, ZeroDivisionError), problem:",
            "      print problem, before == fresh()[i]"]


# ------------------------------------------------------ poisoned and refused

def poisoned_programs():
    for index in range(0, len(record.POISONED), 12):
        names = [name for name in record.POISONED[index:index + 12] if "__" not in name and name != "print"]
        lines = ["# covers: " + ", ".join("poisoned " + name for name in names)]
        for name in names:
            lines += ["try:", "  print %s(1)" % name, "except Exception, problem:", "  print problem"]
        lines += ["print [type(f) is type(%s) for f in (%s,)]" % (names[0], ", ".join(names)),
                  "try:", "  isinstance(1, %s)" % names[0], "except TypeError, problem:", "  print problem"]
        yield "poisoned/group_%d" % (index / 12 + 1), lines
    for name in ("eval", "getattr", "sorted", "hash"):
        yield "poisoned/uncaught_%s" % name, [
            "# covers: poisoned %s" % name, "print 'before'", "%s('1')" % name, "print 'never'"]


REFUSED = [
    ("lambda", "Lambda", "f = lambda x: x"),
    ("lambda_default", "Lambda", "def f(key=lambda a: a):\n  return key"),
    ("import", "Import", "import sys"),
    ("import_as", "Import", "import os.path as p"),
    ("from_import", "From", "from os import path"),
    ("exec", "Exec", "exec 'x = 1'"),
    ("global", "Global", "def f():\n  global x\n  x = 1"),
    ("generator_expression", "GenExpr", "print sum(x for x in [1])"),
    ("yield", "Yield", "def f():\n  yield 1"),
    ("with", "With", "with x as y:\n  pass"),
    ("backquotes", "Backquote", "print `5`"),
    ("conditional_expression", "IfExp", "print 1 if True else 2"),
    ("decorator", "Decorators", "@abs\ndef f(x):\n  return x"),
    ("class_decorator", "Decorators", "@abs\nclass C:\n  pass"),
    ("set_display", "Set", "x = {1, 2}"),
    ("set_comprehension", "SetComp", "x = {n for n in [1]}"),
    ("dict_comprehension", "DictComp", "x = {n: n for n in [1]}"),
    ("dunder_attribute", "__class__", "print (1).__class__"),
    ("dunder_name", "__builtins__", "print __builtins__"),
    ("dunder_function", "__len__", "class C:\n  def __len__(self):\n    return 1"),
    ("dunder_getattr", "__getattr__", "class C:\n  def __getattr__(self, n):\n    return 1"),
    ("dunder_inside", "a__b", "a__b = 1"),
    ("dunder_keyword", "__x__", "dict(__x__=1)"),
    ("dunder_class", "__C__", "class __C__:\n  pass"),
    ("dunder_import", "__import__", "__import__('os')"),
    ("private_mangled", "__hidden", "class C:\n  __hidden = 1"),
    ("prefix_func", "func_globals", "def f():\n  pass\nprint f.func_globals"),
    ("prefix_im", "im_self", "print [].append.im_self"),
    ("prefix_tb", "tb_frame", "x = 1\nprint x.tb_frame"),
    ("prefix_f", "f_back", "f_back = 1"),
    ("prefix_co", "co_code", "print (1).co_code"),
    ("encode", "encode", "print 'a'.encode('hex')"),
    ("decode", "decode", "print 'a'.decode('hex')"),
    ("name_encode", "encode", "encode = 1"),
    ("unicode_literal", "value", "x = u'abc'"),
    ("unicode_raw_literal", "value", "x = ur'abc'"),
    ("after_output", "Lambda", "print 'must not appear'\nx = lambda: 1"),
    ("syntax_error", "SyntaxError", "x = = 1"),
    ("syntax_unclosed", "SyntaxError", "x = (1,\n"),
    ("syntax_unclosed_string", "SyntaxError", "x = 'abc\nprint 1"),
    ("syntax_return_outside", "SyntaxError", "return 5"),
    ("syntax_break_outside", "SyntaxError", "break"),
    ("syntax_continue_in_finally", "SyntaxError", "for x in [1]:\n  try:\n    pass\n  finally:\n    continue"),
    ("syntax_assign_to_call", "SyntaxError", "f() = 1"),
    ("syntax_assign_to_literal", "SyntaxError", "5 = x"),
    ("syntax_assign_to_none", "SyntaxError", "None = 1"),
    ("syntax_delete_literal", "SyntaxError", "del 5"),
    ("syntax_duplicate_argument", "SyntaxError", "def f(a, a):\n  pass"),
    ("syntax_default_order", "SyntaxError", "def f(a=1, b):\n  pass"),
    ("syntax_keyword_order", "SyntaxError", "f(a=1, 2)"),
    ("syntax_keyword_twice", "SyntaxError", "dict(a=1, a=2)"),
    ("syntax_bad_token", "SyntaxError", "x = 1 ? 2"),
    ("syntax_bad_octal", "SyntaxError", "x = 089"),
    ("syntax_print_function_end", "SyntaxError", "print('a', end='')"),
    ("syntax_augmented_tuple", "SyntaxError", "a, b += 1, 2"),
    ("syntax_default_except_first", "SyntaxError", "try:\n  pass\nexcept:\n  pass\nexcept ValueError:\n  pass"),
    ("indentation_unexpected", "IndentationError", "x = 1\n  y = 2"),
    ("indentation_missing", "IndentationError", "if 1:\nx = 1"),
    ("indentation_dedent", "IndentationError", "if 1:\n    x = 1\n  y = 2"),
]


def refused_programs():
    for name, fragment, text in REFUSED:
        yield "refused/" + name, ["# expect: refused " + fragment] + text.split("\n")


def write_lines(path, lines):
    full = os.path.join(HERE, path + ".repy")
    if not os.path.isdir(os.path.dirname(full)):
        os.makedirs(os.path.dirname(full))
    text = "\n".join(lines) + "\n"
    if record.read_or_none(full) != text:
        open(full, "w").write(text)


def main():
    count = 0
    made = [numeric_programs, unlike_programs, exception_programs, flow_programs,
            argument_programs, in_place_programs, poisoned_programs, refused_programs]
    for path, lines in [entry for maker in made for entry in maker()]:
        write_lines(path, lines)
        count += 1
    tables = os.path.join(HERE, "tables")
    stdout = sys.stdout
    for name in sorted(os.listdir(tables)):
        sys.stdout = Devices()
        for program in programs(open(os.path.join(tables, name)).read()):
            program.write()
            count += 1
        sys.stdout = stdout
    print "%d programs written" % count


if __name__ == "__main__":
    main()
