# Records what CPython 2.7 prints for the cases of this directory.
#
#   python2.7 record.py                 record every case (writes NAME.out, NAME.err)
#   python2.7 record.py AREA...         record only these areas or files
#   python2.7 record.py --check [AREA]  compare instead of writing; exit 1 on a difference
#   python2.7 record.py --run FILE      run one program as the sandbox would (the oracle of the differential run)
#
# A case is AREA/NAME.repy. NAME.out holds its standard output. NAME.err exists
# when the program ends with an uncaught exception (exit status 1) and holds
# the last line of the traceback block. Cases whose header says
# "# recorded: by hand" use what only the sandbox has and are left alone.
#
# The program runs in a namespace that holds what a Repy program sees: the
# built-ins that are usable, functions that refuse in place of the poisoned
# ones, no `open` and no `file` of CPython, empty `__name__` and `__doc__`.

import ast
import os
import sys
import __builtin__

USABLE = """abs bool chr cmp complex dict divmod filter float frozenset hex id int
isinstance issubclass len list long map max min object oct ord pow range reduce
repr round set slice str sum tuple xrange zip
True False None NotImplemented Ellipsis __debug__
ArithmeticError AssertionError AttributeError BaseException DeprecationWarning
EOFError EnvironmentError Exception FloatingPointError FutureWarning IOError
ImportError IndentationError IndexError KeyError KeyboardInterrupt LookupError
MemoryError NameError NotImplementedError OSError OverflowError
PendingDeprecationWarning ReferenceError RuntimeError RuntimeWarning
StandardError StopIteration SyntaxError SyntaxWarning SystemError SystemExit
TabError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError
UnicodeError UnicodeTranslateError UserWarning ValueError Warning
ZeroDivisionError""".split()

POISONED = """all any apply basestring bin buffer bytearray bytes callable
classmethod coerce compile delattr dir enumerate eval execfile exit format
getattr globals hasattr hash help input intern iter locals memoryview next
print property quit raw_input reload reversed setattr sorted staticmethod super
unichr unicode vars __import__ BufferError BytesWarning GeneratorExit
ImportWarning UnicodeWarning""".split()

REFUSED_NODES = ("Lambda Import ImportFrom Exec Global GeneratorExp Yield With Repr IfExp Set "
                 "SetComp DictComp").split()
ALLOWED_DUNDER = ("__init__", "__del__", "__str__", "__repr__")
REFUSED_PREFIXES = ("im_", "func_", "tb_", "f_", "co_")


class RunBuiltinException(Exception):
    pass


def poisoned(name):
    def refuse(*args, **kwargs):
        raise RunBuiltinException((name,))
    return refuse


REAL_TYPE = type
record_import = __import__


def one_argument_type(*args, **kwargs):
    if len(args) != 1 or kwargs:
        raise RunBuiltinException(('type() may only take exactly one non-keyword argument.',))
    return REAL_TYPE(args[0])


def namespace():
    """The globals of a fresh program; `__builtins__` inside holds its built-ins."""
    builtins = dict((name, getattr(__builtin__, name)) for name in USABLE)
    for name in POISONED:
        builtins[name] = poisoned(name)
    for name in "copyright credits license __name__ __doc__".split():
        builtins[name] = ""
    builtins["type"] = one_argument_type
    return {"__builtins__": builtins}


def take_over_builtins():
    """Makes the built-ins of this whole process those of a program.

    A namespace with built-ins of its own would put CPython into its restricted
    mode, in which old-style classes are read-only; the sandbox has no such mode.
    """
    builtins = namespace()["__builtins__"]
    own = __builtin__.__dict__
    for name in own.keys():
        del own[name]
    # CPython itself imports now and then while it runs a program.
    builtins["__import__"] = record_import
    own.update(builtins)


def name_is_refused(name):
    if "__" in name and name not in ALLOWED_DUNDER:
        return True
    return name.startswith(REFUSED_PREFIXES) or name in ("encode", "decode")


def dialect_errors(tree):
    """What the sandbox would refuse, as lines of text."""
    errors = []
    for node in ast.walk(tree):
        kind = type(node).__name__
        line = getattr(node, "lineno", "?")
        if kind in REFUSED_NODES:
            errors.append("line %s: %s is not in the dialect" % (line, kind))
        names = []
        if kind == "Name":
            names.append(node.id)
        if kind == "Attribute":
            names.append(node.attr)
        if kind in ("FunctionDef", "ClassDef"):
            names.append(node.name)
            if node.decorator_list:
                errors.append("line %s: decorator" % line)
        if kind == "keyword":
            names.append(node.arg)
        if kind == "Str" and not isinstance(node.s, str):
            errors.append("line %s: unicode literal" % line)
        for name in names:
            if name_is_refused(name):
                errors.append("line %s: refused name %s" % (line, name))
    return errors


def last_line(kind, value):
    """The last line of the sandbox's traceback block for an exception."""
    if kind is RunBuiltinException:
        return "Unsafe call: %s" % value
    if isinstance(kind, REAL_TYPE):
        text = str(kind)[1:-1]
    else:
        text = str(kind)
    return "Exception (with %s): %s" % (text if isinstance(kind, REAL_TYPE) else "type " + text, value)


class Output(object):
    """Where `print` writes to: an object, as in the sandbox.

    CPython shows containers piece by piece when it prints to a file of C's
    library, so that half a list is seen if an item fails; to an object it does not.
    """
    def __init__(self, stream):
        self.write = stream.write


def run(path):
    """Runs one program in this process; the exit status is the sandbox's."""
    source = open(path).read().replace("\r\n", "\n")
    try:
        tree = compile(source, path, "exec", ast.PyCF_ONLY_AST, True)
    except (SyntaxError, TypeError), error:
        sys.stderr.write("%s: %s\n" % (type(error).__name__, error))
        return 3
    errors = dialect_errors(tree)
    if errors:
        sys.stderr.write("\n".join(errors) + "\n")
        return 3
    try:
        program = compile(source, path, "exec", 0, True)
    except SyntaxError, error:
        sys.stderr.write("%s: %s\n" % (type(error).__name__, error))
        return 3
    # CPython's own recursion would end the process where the sandbox raises.
    sys.setrecursionlimit(1000)
    take_over_builtins()
    sys.stdout = Output(sys.stdout)
    try:
        exec program in {}
    except SystemExit:
        return 0
    except:
        kind, value = sys.exc_info()[:2]
        sys.stderr.write(last_line(kind, value) + "\n")
        return 1
    return 0


def header(path):
    """The `# key: value` lines at the head of a case."""
    keys = {}
    for line in open(path):
        if not line.startswith("# ") or ":" not in line:
            break
        key, value = line[2:].split(":", 1)
        keys[key] = value.strip()
    return keys


def run_apart(path):
    """Runs a program in a child; (status, standard output, standard error)."""
    import subprocess
    child = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), "--run", path],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=open(os.devnull))
    out, err = child.communicate()
    return child.returncode, out, err


def cases(wanted):
    here = os.path.dirname(os.path.abspath(__file__))
    for area in sorted(os.listdir(here)):
        directory = os.path.join(here, area)
        if not os.path.isdir(directory):
            continue
        for name in sorted(os.listdir(directory)):
            if not name.endswith(".repy"):
                continue
            if wanted and area not in wanted and name not in wanted and area + "/" + name not in wanted:
                continue
            yield os.path.join(directory, name)


def read_or_none(path):
    return open(path).read() if os.path.exists(path) else None


def main(arguments):
    if arguments[:1] == ["--run"]:
        status = run(arguments[1])
        # The sandbox ends a program without CPython's last soft-space newline.
        sys.__stdout__.flush()
        sys.stderr.flush()
        os._exit(status)
    check = arguments[:1] == ["--check"]
    wanted = arguments[1:] if check else arguments
    bad = 0
    count = 0
    for path in cases(wanted):
        keys = header(path)
        if keys.get("recorded") == "by hand" or "expect" in keys:
            continue
        count += 1
        status, out, err = run_apart(path)
        stem = path[:-len(".repy")]
        if status not in (0, 1) or "Traceback" in err:
            sys.stderr.write("%s: exit status %s\n%s" % (path, status, err))
            bad += 1
            continue
        if status == 0 and err:
            sys.stderr.write("%s: standard error is not empty: %s" % (path, err))
            bad += 1
        expected = {".out": out, ".err": err if status == 1 else None}
        for suffix, text in expected.items():
            if check:
                if read_or_none(stem + suffix) != text:
                    sys.stderr.write("%s%s differs from what CPython says\n" % (stem, suffix))
                    bad += 1
            elif text is None:
                if os.path.exists(stem + suffix):
                    os.unlink(stem + suffix)
            elif read_or_none(stem + suffix) != text:
                open(stem + suffix, "w").write(text)
    sys.stderr.write("%d cases, %d problems\n" % (count, bad))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
