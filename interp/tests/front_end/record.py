"""Records what CPython 2.7 says about each source of verdicts.txt.

    python2.7 record.py < verdicts.txt > new && mv new verdicts.txt

A line holds a source, escaped as in a Python string, then a tab and the verdict: `ok`, or
the exception's class, the line and the text. A third column, if there is one, is what ours says
where it knowingly differs; it is kept, as are lines that begin with `##`.
"""
import sys
import warnings

warnings.simplefilter('ignore')


def verdict(source):
    try:
        compile(source, 'x', 'exec')
    except SyntaxError as error:
        return '%s %s %s' % (type(error).__name__, error.lineno, error.msg)
    except (ValueError, TypeError, MemoryError) as error:
        return '%s 0 %s' % (type(error).__name__, error)
    return 'ok'


for line in sys.stdin:
    line = line.rstrip('\n')
    if not line or line.startswith('##'):
        print line
        continue
    columns = line.split('\t')
    columns[1:2] = [verdict(columns[0].decode('string_escape'))]
    print '\t'.join(columns)
