"""Run one module of unittest's and write TAP to a file: `tap.py MODULE FILE`. Knows no suite."""

import sys
import unittest


class Results(unittest.TextTestResult):
    """What became of each test, by its name within the module."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.became = {}

    def note(self, test, result):
        self.became[test.id().removeprefix(f"{module}.")] = result

    def addSuccess(self, test):
        super().addSuccess(test)
        self.became.setdefault(test.id().removeprefix(f"{module}."), "ok {}")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, f"ok {{}} # SKIP {reason}")

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, "not ok {}")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "not ok {}")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "not ok {}")

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.note(test, "not ok {}")


module, file = sys.argv[1:]
sys.path.insert(0, "")
tests = unittest.defaultTestLoader.loadTestsFromName(module)
done = unittest.TextTestRunner(resultclass=Results).run(tests)
with open(file, "w", encoding="utf-8") as out:
    for number, (name, result) in enumerate(done.became.items(), 1):
        print(result.format(f"{number} {name}"), file=out)
    print(f"1..{done.testsRun}", file=out)
