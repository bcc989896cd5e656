"""Compiles on all cores, or on as many as `build_ext -j` says; all else is in pyproject.toml.

Each core has a process: setuptools would compile in threads, and Cython is not made for these.
"""

import os
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue

from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError


class OnAllCores(build_ext):
    command_name = "build_ext"  # by which it finds its options

    def build_extensions(self) -> None:
        cores = self.parallel or len(os.sched_getaffinity(0))
        fork = get_context("fork")  # so that a process has all that is known here
        work: SimpleQueue[int | None] = fork.SimpleQueue()
        processes = [fork.Process(target=self.build_some, args=(work,)) for _ in range(cores)]
        for process in processes:
            process.start()
        for number in (*range(len(self.extensions)), *(None for _ in processes)):
            work.put(number)
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise CompileError("not all could be compiled; what is said above tells why")

    def build_some(self, work: "SimpleQueue[int | None]") -> None:
        """One after the other, until there are no more."""
        self.parallel, extensions = None, self.extensions
        for number in iter(work.get, None):
            self.extensions = [extensions[number]]
            super().build_extensions()


setup(cmdclass={"build_ext": OnAllCores})
