"""The truth machine: generated lives of an account, with syncs in between, after each of which the tables are held against what Klaviyo showed.

    lives.py       what may happen in a life: data
    generation.py  lives for hypothesis, which shrinks one that fails
    world.py       the sandbox, a client and a database for one life, in this process or over HTTP
    history.py     every version that a record has had, noted by the harness itself
    promises.py    which of them a table may hold after which syncs, moment by moment
    rows.py        a record's JSON as a row, read in the plainest way
    auditing.py    the audit of such a world
    doing.py       what happens in a life is done to the account
    tally.py       what has been lived, counted
    living.py      a life is lived, and compared after each sync
    search.py      many lives, one after the other
    courses.py     which ones
    command.py     thousands of them by one command
    faults.py      errors that are planted into the library, to show that the machine catches them

Nothing here plans, cuts or merges with the library's code.
"""
