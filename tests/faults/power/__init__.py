"""Power cuts, modelled: what a process writes is noted, and what a cut may leave of it is built and opened again.

A kill -9 loses nothing: the kernel still holds what was written. A power cut loses what was not synced. For a gateway
that is started by a starter of one's own:

    trace = tracer.install(folder, journal)             # in the process, before sqlite3 is used; or
    env = os.environ | tracer.environment(folder, journal)   # from outside, for it and all that it starts
    ...                                                 # let it work, kill it (-9)
    disk.cut(journal, folder, Random(seed))             # now the folder is as a power cut may have left it
    journal.unlink()                                    # the next life begins with what is there now, on disk

`cut(..., into, at=n)` builds the state after the first n entries somewhere else; `disk.states` gives all of them.
"""
