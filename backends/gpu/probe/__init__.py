"""The GPU probe: a process of its own that asks the driver and writes what it hears as lines of JSON.

It imports the standard library and ``pynvml`` (distribution ``nvidia-ml-py``), nothing else. It decides
nothing: codes leave as the numbers the driver gave, text leaves as it came; the parent turns both into words.

Lines it writes, told apart by ``k``:

* ``hello``    once, when the driver answers: probe version, driver and NVML version, number of GPUs
* ``opening``  before a GPU is touched for the first time, which may take seconds
* ``frame``    at each beat: every GPU with all that is known of it now; what could not be read is null
* ``xid``      as soon as the driver reports one, even while a call hangs elsewhere
* ``trouble``  why it cannot go on; the process ends after it

Commands it reads, one JSON object a line: ``{"interval_s": 1.0}``, ``{"processes": false}``,
``{"quit": true}``. It also ends when its standard input does, so it never outlives its parent.
"""

VERSION = 1
