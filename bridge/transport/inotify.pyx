# cython: language_level=3
"""The kernel's side of watching directories (inotify(7)): what to watch, and what has happened."""

from cpython.exc cimport PyErr_SetFromErrno, PyErr_SetFromErrnoWithFilename
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from posix.unistd cimport read as read_from

import os

cdef extern from "<sys/inotify.h>" nogil:
    struct inotify_event:
        int wd
        uint32_t mask
        uint32_t len
        char *name
    enum: IN_CLOEXEC, IN_NONBLOCK
    int inotify_init1(int)
    int inotify_add_watch(int, const char *, uint32_t)
    int inotify_rm_watch(int, int)


cdef enum:
    ROOM = 4096  # words of events that are read at once; one has 68 at the most


cpdef int begin() except -1:
    cdef int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)
    if fd < 0:
        PyErr_SetFromErrno(OSError)
    return fd


cpdef int add(int fd, bytes path, uint32_t mask) except -1:
    cdef const char *name = path
    cdef int number
    while True:
        with nogil:  # the path may be on a disk that is slow
            number = inotify_add_watch(fd, name, mask)
        if number >= 0:
            return number
        if errno != EINTR:
            PyErr_SetFromErrnoWithFilename(OSError, name)


cpdef int drop(int fd, int number) except -1:
    if inotify_rm_watch(fd, number) < 0:
        PyErr_SetFromErrno(OSError)
    return 0


cpdef list read(int fd):
    cdef uint32_t[ROOM] room  # words, so that it is aligned
    cdef inotify_event *event
    cdef Py_ssize_t place = 0, count = read_from(fd, room, sizeof(room))
    if count < 0:
        if errno in (EAGAIN, EINTR):
            return []
        PyErr_SetFromErrno(OSError)
    events = []
    while place < count:
        event = <inotify_event *>(<char *>room + place)
        # The name is filled up with NULs; there is none if it is about the directory itself.
        name = <bytes>event.name if event.len else b""
        events.append((event.wd, event.mask, os.fsdecode(name)))
        place += sizeof(inotify_event) + event.len
    return events
