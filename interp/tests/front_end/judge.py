"""Judges sources with CPython 2.7's compiler, for the differential test.

Reads length-prefixed sources (decimal length, newline, bytes) and writes one line for each: `ok` or
the class of the exception.
"""
import sys
import warnings

warnings.simplefilter('ignore')

while True:
    length = sys.stdin.readline()
    if not length:
        break
    source = sys.stdin.read(int(length))
    try:
        compile(source, 'x', 'exec')
        verdict = 'ok'
    except Exception, error:
        verdict = type(error).__name__
    print verdict
